"""Detection networks by name."""

from typing import Any

from dbnet_jax.models.backbones.mobilenet_v3 import LAYOUTS
from dbnet_jax.models.backbones.resnet import RESNETS
from dbnet_jax.models.dbnet import MOBILENETS, DBNet
from dbnet_jax.models.decoder import NECKS
from dbnet_jax.models.layers.deformable import OFFSETS
from dbnet_jax.models.necks.scale_fusion import ATTENTIONS

__all__ = ["BACKBONES", "DBNet", "create_model"]

BACKBONES = (*RESNETS, *MOBILENETS)
_WORDS = {"neck": NECKS, "attention": ATTENTIONS, "dcn_offsets": OFFSETS, "mobilenet": LAYOUTS}
_DEFORMABLE = "deformable_"


def create_model(name: str = "resnet18", **options: Any) -> DBNet:
    """The whole detection network as a Linen module.

    **Arguments:**

    - `name`: the backbone: "resnet18", "resnet34", "resnet50", "resnet101", the same behind "deformable_" (which is
        the option `dcn=True`), "mobilenet_v3_large" or "mobilenet_v3_small".
    - `options`: fields of `DBNet`, which explains them: `scale_fusion=True` makes a DBNet++, `inner_channels`, `k`,
        `serial`, `adaptive`, `neck`, `dcn_offsets`, `dtype`, …

    **Returns:** a module with `init(rng, images, train=False)` and `apply(variables, images, train=False)`. Images are
    normalised, float32 [batch, height, width, 3]; height and width are multiples of 32.

    **Raises:** ValueError if the name, an option or an option's value is not possible.
    """
    backbone = name.removeprefix(_DEFORMABLE)
    if backbone not in BACKBONES:
        names = [*RESNETS, *(f"{_DEFORMABLE}{resnet}" for resnet in RESNETS), *MOBILENETS]
        raise ValueError(f"`name` (={name!r}) must be one of {names}")
    known = set(DBNet.__dataclass_fields__) - {"backbone", "parent", "name"}
    if unknown := sorted(set(options) - known):
        raise ValueError(f"`options` {unknown} are unknown; {name} takes {sorted(known)}")
    dcn = options.get("dcn", backbone != name)
    if backbone != name and not dcn:
        raise ValueError(f"`dcn` (={dcn}) contradicts `name` (={name!r}); the plain network is {backbone!r}")
    model = DBNet(backbone=backbone, **options | {"dcn": dcn})
    _check(model)
    return model


def _check(model: DBNet) -> None:
    if model.dcn and model.backbone in MOBILENETS:
        raise ValueError(f"`dcn` (=True) is for ResNets: {model.backbone} wants `dcn` = False")
    if model.max_width is not None and model.backbone in MOBILENETS:
        raise ValueError(f"`max_width` (={model.max_width}) is for ResNets: {model.backbone} wants None")
    if model.serial and not model.adaptive:
        raise ValueError(
            "`serial` (=True) is an input of the threshold head, which a model of standard binarisation (`adaptive` = "
            "False, `config.model.binarization` = 'standard') has not"
        )
    for field, words in _WORDS.items():
        if getattr(model, field) not in words:
            raise ValueError(f"`{field}` (={getattr(model, field)!r}) must be one of {words}")
    # The attention of the scale fusion has a quarter of the channels, and its gate a quarter of these.
    inner = 16 if model.scale_fusion and model.attention_channels is None else 4
    for field, multiple in (("width", 1), ("max_width", 1), ("inner_channels", inner), ("attention_channels", 4)):
        value = getattr(model, field)
        if value is not None and (value < 1 or value % multiple):
            raise ValueError(f"`{field}` (={value}) must be positive and a multiple of {multiple}")
