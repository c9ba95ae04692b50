"""The detectors, made by name."""

from typing import Any

from dbnet_jax.models.dbnet import DBNet
from dbnet_jax.models.resnet import RESNETS

__all__ = ["DBNet", "create_model"]


def create_model(name: str = "resnet18", **options: Any) -> DBNet:
    """The whole detector as a Linen module.

    **Arguments:**

    - `name`: the backbone: "resnet18" or "resnet50".
    - `options`: fields of `DBNet`: `width`, `inner_channels`, `k`, `dtype`.

    **Returns:** a module with `init(rng, images, train=False)` and `apply(variables, images, train=False)`, where
    images are float32 [batch, height, width, 3], normalised, of a height and width that are multiples of 32.

    **Raises:** ValueError when the name or an option is unknown or an option's value cannot work.
    """
    if name not in RESNETS:
        raise ValueError(f"`name` (={name!r}) must be one of {sorted(RESNETS)}")
    known = set(DBNet.__dataclass_fields__) - {"backbone", "parent", "name"}
    if unknown := sorted(set(options) - known):
        raise ValueError(f"`options` {unknown} are unknown; {name} takes {sorted(known)}")
    for field, multiple in (("width", 1), ("inner_channels", 4)):
        value = options.get(field, multiple)
        if value < 1 or value % multiple:
            raise ValueError(f"`{field}` (={value}) must be positive and a multiple of {multiple}")
    return DBNet(backbone=name, **options)
