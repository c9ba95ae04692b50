"""What a config says wrong, found before anything is read or compiled."""

from typing import Any

from ml_collections import ConfigDict

from dbnet_jax.normalization import NORMALIZATIONS

# Fields that take one of a few words; those of `model` and `predict` are checked where they are used, first of all.
WORDS = {
    "data.source": ("files", "tfds"),
    "data.render": ("host", "device"),
    "data.cache": ("none", "host", "device"),
    "data.normalization": tuple(NORMALIZATIONS),
    "data.threshold_distance": ("true", "official"),
    "train.optimizer": ("sgd", "adamw"),
    "train.schedule": ("step", "epoch"),
    "loss.binary_loss": ("dice", "cross_entropy"),
}
NOT_NEGATIVE = (
    "loss.probability_weight",
    "loss.binary_weight",
    "loss.threshold_weight",
    "loss.negative_ratio",
    "loss.min_negatives",
)


def check_training(config: ConfigDict) -> None:
    """Refuses a config that could not train. **Raises:** ValueError, which names the field and its value."""
    for field, words in WORDS.items():
        if _value(config, field) not in words:
            raise ValueError(f"`config.{field}` (={_value(config, field)!r}) must be one of {words}")
    for field in NOT_NEGATIVE:
        if _value(config, field) < 0:
            raise ValueError(f"`config.{field}` (={_value(config, field)}) must not be negative")
    if config.data.cache == "device" and config.data.render != "device":
        raise ValueError("`config.data.cache` (='device') needs `config.data.render` = 'device'")
    if config.data.render == "device" and config.data.threshold_distance != "true":
        raise ValueError("`config.data.threshold_distance` (='official') needs `config.data.render` = 'host'")
    crop = tuple(config.data.crop)
    if len(crop) != 2 or min(crop) < 32 or crop[0] % 32 or crop[1] % 32:
        raise ValueError(f"`config.data.crop` (={crop}) must be (height, width), multiples of 32")


def _value(config: ConfigDict, field: str) -> Any:
    section, name = field.split(".")
    return config[section][name]
