"""Detection networks by name."""

from typing import Any

from flax.core import FrozenDict

from dbnet_jax.messages import check_choice
from dbnet_jax.models.backbones import ALL_OPTIONS, BACKBONES, backbone_options
from dbnet_jax.models.dbnet import DBNet
from dbnet_jax.models.decoder import NECKS
from dbnet_jax.models.layers.batch_norm import BatchNorm
from dbnet_jax.models.necks.scale_fusion import ATTENTIONS

__all__ = ["BACKBONES", "DBNet", "create_model"]

_WORDS = {"neck": NECKS, "attention": ATTENTIONS}
_DEFORMABLE = "deformable_"


def create_model(name: str = "resnet18", **options: Any) -> DBNet:
    """The whole detection network as a Linen module.

    **Arguments:**

    - `name`: the backbone, a name in `BACKBONES`: "resnet18", "resnet50", "mobilenet_v3_large", …. "deformable_"
        before the name is the option `dcn=True`.
    - `options`: fields of `DBNet`, which explains them (`scale_fusion=True` makes a DBNet++, `inner_channels`, `k`,
        `serial`, `adaptive`, `neck`, `dtype`, …), and the backbone's own (`dcn`, `dcn_offsets`, `max_width`; of a
        MobileNet `mobilenet`). Other backbones' `dcn` and `max_width` must be at their defaults.

    **Returns:** a module with `init(rng, images, train=False)` and `apply(variables, images, train=False)`. Images are
    float32 [batch, height, width, 3], normalised; their height and width are multiples of 32.

    **Raises:** ValueError if the name, an option or an option's value is not possible.
    """
    backbone = name.removeprefix(_DEFORMABLE)
    if backbone not in BACKBONES or (backbone != name and "dcn" not in backbone_options(backbone)):
        deformable = [f"{_DEFORMABLE}{known}" for known in BACKBONES if "dcn" in backbone_options(known)]
        raise ValueError(f"`name` (={name!r}) must be one of {[*BACKBONES, *deformable]}")
    own = backbone_options(backbone)
    fields = set(DBNet.__dataclass_fields__) - {"backbone", "backbone_options", "parent", "name"}
    if unknown := sorted(set(options) - fields - ALL_OPTIONS.keys()):
        raise ValueError(f"`options` {unknown} are unknown; {name} takes {sorted(fields | own.keys())}")
    if backbone != name and not options.setdefault("dcn", True):
        raise ValueError(f"`dcn` (=False) contradicts `name` (={name!r}); the plain network is {backbone!r}")
    for option, default in ALL_OPTIONS.items():
        # A word chooses a variant of a part that this backbone lacks; it changes nothing.
        if option not in own and not isinstance(default, str) and options.get(option, default) != default:
            having = [known for known in BACKBONES if option in backbone_options(known)]
            raise ValueError(
                f"`{option}` (={options[option]!r}) is an option of {', '.join(having)}: {backbone} wants {default!r}"
            )
    chosen = {option: value for option, value in options.items() if option in own}
    plain = {option: value for option, value in options.items() if option in fields}
    model = DBNet(backbone=backbone, backbone_options=FrozenDict(chosen), **plain)
    _check(model)
    return model


def _check(model: DBNet) -> None:
    if model.serial and not model.adaptive:
        raise ValueError(
            "`serial` (=True) needs a threshold head, which a model of standard binarisation lacks (`adaptive` = "
            "False, `config.model.binarization` = 'standard')"
        )
    for field, words in _WORDS.items():
        check_choice(field, getattr(model, field), words)
    # The attention of the scale fusion has a quarter of the channels, and its gate a quarter of these.
    inner = 16 if model.scale_fusion and model.attention_channels is None else 4
    for field, multiple in (("width", 1), ("inner_channels", inner), ("attention_channels", 4)):
        value = getattr(model, field)
        if value is not None and (value < 1 or value % multiple):
            raise ValueError(f"`{field}` (={value}) must be positive and a multiple of {multiple}")
    # The factory checks the backbone's own options.
    BACKBONES[model.backbone](norm=BatchNorm, width=model.width, dtype=model.dtype, **model.backbone_options)
