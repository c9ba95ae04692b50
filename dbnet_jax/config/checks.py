"""Checks of a config, before data is read or a program is compiled."""

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from ml_collections import ConfigDict

from dbnet_jax.backends import BACKENDS
from dbnet_jax.detection.looks import KINDS as LOOKS
from dbnet_jax.detection.tiles import window_of
from dbnet_jax.images.normalization import NORMALIZATIONS
from dbnet_jax.images.resize import RULES
from dbnet_jax.losses.db import BINARY_LOSSES
from dbnet_jax.messages import check_choice, check_least
from dbnet_jax.optimizer import KINDS
from dbnet_jax.postprocess import UNCLIP_RATIOS
from dbnet_jax.training.profiling import parse_window

# The choices of a field. `model_from_config` checks the fields of `model`.
WORDS = {
    "data.source": ("files", "tfds"),
    "data.pixels": ("host", "device"),
    "data.cache": ("none", "host", "device"),
    "data.normalization": tuple(NORMALIZATIONS),
    "data.threshold_distance": ("true", "official"),
    "train.optimizer": KINDS,
    "train.schedule": ("step", "epoch"),
    "loss.binary_loss": BINARY_LOSSES,
}
# The least value of a number.
LEAST = {
    **dict.fromkeys((f"loss.{part}_weight" for part in ("probability", "binary", "threshold")), 0),
    "loss.negative_ratio": 0,
    "loss.min_negatives": 0,
    "train.batch_size": 1,
    "train.accumulate": 1,
    "train.keep_checkpoints": 1,  # without a checkpoint, no run could be resumed
    "train.steps": 0,
    "train.warmup": 0,
    "train.checkpoint_every": 0,
    "train.evaluate_every": 0,
    "train.picture_every": 0,
}
PREDICT_WORDS: dict[str, tuple[object, ...]] = {
    "backend": BACKENDS,
    "map": ("probability", "binary"),
    "shape": tuple(UNCLIP_RATIOS),
    "resize": RULES,
    "checkpoint": ("best", "latest"),
    "follow_exif": (True, False),
    "frames": ("first", "all"),
    "looks": LOOKS,
    "rings": (True, False),
}
# The numbers that a field of `predict` may have.
WHOLE = ("size", "first_size", "max_side", "max_pixels", "batch_size", "max_candidates", "stretch_width", "dpi")
OPTIONAL = ("size", "max_pixels", "unclip_ratio", "stretch_width")  # may be None
RANGES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("threshold", "box_threshold"), ("in [0, 1]", lambda value: 0 <= value <= 1)),
    **dict.fromkeys(("unclip_ratio", "text_height", *WHOLE), ("positive", lambda value: 0 < value < math.inf)),
    "min_size": ("0 or more", lambda value: 0 <= value < math.inf),
}


def check_common(config: ConfigDict) -> None:
    """Refuses values of fields that all tasks have. **Raises:** ValueError, which names the field and its value."""
    for field, words in WORDS.items():
        if _has(config, field):
            check_choice(f"config.{field}", _value(config, field), words)
    for field, least in LEAST.items():
        if _has(config, field):
            check_least(f"config.{field}", _value(config, field), least)
    if not config.train.steps and not config.train.epochs > 0:
        raise ValueError(f"`config.train.epochs` (={config.train.epochs}) must be positive, or `config.train.steps`")
    parse_window(config.train.profile_steps)


def check_training(config: ConfigDict) -> None:
    """Refuses a detector's config that cannot train. **Raises:** ValueError, which names the field and its value."""
    check_common(config)
    if config.data.cache == "device" and config.data.pixels != "device":
        raise ValueError("`config.data.cache` (='device') needs `config.data.pixels` = 'device'")
    if config.data.pixels == "device" and config.data.threshold_distance != "true":
        raise ValueError("`config.data.threshold_distance` (='official') needs `config.data.pixels` = 'host'")
    crop = tuple(config.data.crop)
    if len(crop) != 2 or min(crop) < 32 or crop[0] % 32 or crop[1] % 32:
        raise ValueError(f"`config.data.crop` (={crop}) must be (height, width), multiples of 32")
    check_predict(config.predict)


def check_predict(predict: ConfigDict) -> None:
    """Refuses values of `config.predict` with which prediction would fail, or would find nothing.

    **Raises:** ValueError, which names the field and its value.
    """
    for name, words in PREDICT_WORDS.items():
        check_choice(f"config.predict.{name}", predict[name], words)
    for name, (wanted, holds) in RANGES.items():
        value, kind = predict[name], Integral if name in WHOLE else Real
        if value is None and name in OPTIONAL:
            continue
        if not isinstance(value, kind) or isinstance(value, bool) or not holds(value):
            whole, none = " and whole" * (name in WHOLE), ", or None" * (name in OPTIONAL)
            raise ValueError(f"`config.predict.{name}` (={value!r}) must be {wanted}{whole}{none}")
    sizes = predict.sizes
    if not sizes or not all(isinstance(one, int) and one > 0 for one in sizes):
        raise ValueError(f"`config.predict.sizes` (={sizes!r}) must be positive and whole, one or more")
    window_of(predict.tiles)
    if predict.size is None and predict.resize == "official":
        raise ValueError("`config.predict.size` (=None) needs a number with `config.predict.resize` = 'official'")
    if predict.size is not None and predict.looks == "all":
        raise ValueError(
            f"`config.predict.looks` (='all') needs `config.predict.size` (={predict.size}) = None: the looks have the "
            f"sizes of `config.predict.sizes` (={tuple(sizes)})"
        )
    if predict.rings and predict.shape != "polygon":
        raise ValueError(
            f"`config.predict.rings` (=True) needs `config.predict.shape` (={predict.shape!r}) = 'polygon'"
        )
    if predict.stretch_width is not None and predict.resize != "official":
        raise ValueError(
            f"`config.predict.stretch_width` (={predict.stretch_width}) needs `config.predict.resize` = 'official'"
        )


def change_predict(predict: ConfigDict, fields: Mapping[str, Any]) -> None:
    """Changes fields of `config.predict` from Python: NumPy's numbers are allowed, and 640.0 stands for 640.

    **Raises:** ValueError when there is no such field, or a value is of another type.
    """
    for name, value in fields.items():
        if name not in predict:
            raise ValueError(f"`{name}` (={value!r}) is no field of `config.predict`: {sorted(predict)}")
        plain = value.item() if getattr(value, "ndim", None) == 0 else value
        if name in WHOLE and isinstance(plain, float) and plain.is_integer():
            plain = int(plain)
        try:
            predict[name] = plain
        except TypeError as error:
            wanted = predict.get_type(name).__name__
            raise ValueError(f"`{name}` (={value!r}) must be of type {wanted}") from error


def _has(config: ConfigDict, field: str) -> bool:
    section, name = field.split(".")
    return name in config[section]


def _value(config: ConfigDict, field: str) -> Any:
    section, name = field.split(".")
    return config[section][name]
