"""Picture in, polygons out."""

import copy
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt8
from ml_collections import ConfigDict

from configs import common
from dbnet_jax.checkpoint import Checkpoints
from dbnet_jax.decode import read_image
from dbnet_jax.mesh import Variables, batch_sharded, replicated
from dbnet_jax.models import BACKBONES, create_model
from dbnet_jax.normalization import normalize
from dbnet_jax.postprocess import UNCLIP_RATIOS, Detections, extract_polygons
from dbnet_jax.resize import RULES, padded_size, resize_and_pad, resized_size

# Of no named size: pictures of one call differ, and their maps are of another size still.
Picture = UInt8[np.ndarray, "_ _ 3"]


class Maps(TypedDict):
    """The maps of one picture, float32 [height, width] in [0, 1], at the size at which the network saw it.

    A network of `binarization="standard"` has the first alone.
    """

    probability_map: Float[np.ndarray, "height width"]
    threshold_map: NotRequired[Float[np.ndarray, "height width"]]
    binary_map: NotRequired[Float[np.ndarray, "height width"]]


MAPS = ("probability_map", "threshold_map", "binary_map")
_MAPS_OF = {"differentiable": MAPS, "standard": MAPS[:1]}


def model_from_config(config: ConfigDict) -> nn.Module:
    """The network that `config.model` describes. **Raises:** ValueError when it describes none."""
    options = dict(config.model)
    backbone, dtype = options.pop("backbone"), options.pop("dtype")
    if backbone not in BACKBONES:
        hint = "; deformable convolution is `config.model.dcn`" if backbone.startswith("deformable_") else ""
        raise ValueError(f"`config.model.backbone` (={backbone!r}) must be one of {BACKBONES}{hint}")
    dtypes = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    if dtype not in dtypes:
        raise ValueError(f"`config.model.dtype` (={dtype!r}) must be one of {sorted(dtypes)}")
    adaptive = len(_maps_of(config)) > 1
    options.pop("binarization")
    return create_model(backbone, **options, adaptive=adaptive, dtype=dtypes[dtype])


def _maps_of(config: ConfigDict) -> tuple[str, ...]:
    """Which maps the network has."""
    binarization = config.model.binarization
    if binarization not in _MAPS_OF:
        raise ValueError(f"`config.model.binarization` (={binarization!r}) must be one of {tuple(_MAPS_OF)}")
    return _MAPS_OF[binarization]


class Detector:
    """Finds text in pictures of any size, in the coordinates of the picture.

    **Arguments:**

    - `config`: its sections `model`, `data` (the normalisation) and `predict`.
    - `variables`: the network's `params` and `batch_stats`.
    - `mesh`: one axis "data" of local devices to share each batch; the first device alone by default.
    """

    def __init__(self, config: ConfigDict, variables: Variables, mesh: Mesh | None = None):
        self.config = config
        self._variables = variables
        self._devices = 1 if mesh is None else mesh.size
        # Each device takes the same number of pictures.
        self._batch_size = -(-int(config.predict.batch_size) // self._devices) * self._devices
        _check_words(config.predict)
        if f"{config.predict.map}_map" not in _maps_of(config):
            raise ValueError("`config.predict.map` (='binary') needs `config.model.binarization` = 'differentiable'")
        self._eval_step = make_eval_step(model_from_config(config), config.data.normalization, mesh)

    @classmethod
    def from_checkpoint(cls, workdir_or_file: str | os.PathLike[str], **overrides: Any) -> "Detector":
        """The detector that a run trained, from its `config.json` and its best checkpoint.

        **Arguments:**

        - `workdir_or_file`: the run's folder.
        - `overrides`: fields of `config.predict`: `box_threshold=0.6`, `checkpoint="latest"`, …

        **Raises:** FileNotFoundError when there is no run or no checkpoint; ValueError when an override is unknown
        or the checkpoint does not fit its config.
        """
        config = load_config(workdir_or_file)
        for key, value in overrides.items():
            if key not in config.predict:
                raise ValueError(f"`{key}` (={value!r}) is no field of `config.predict`: {sorted(config.predict)}")
            config.predict[key] = value
        return cls(config, restore_variables(config, workdir_or_file))

    def with_variables(self, variables: Variables) -> "Detector":
        """The same detector, nothing compiled again, with other weights."""
        other = copy.copy(self)
        other._variables = variables
        return other

    def detect(self, image: Picture | str | os.PathLike[str]) -> Detections:
        """The text in one picture.

        **Arguments:** `image`: RGB pixels in [0, 255], or a picture file.

        **Returns:** polygons in the picture's pixels (x, y) and their scores in [0, 1].

        **Raises:** ValueError when the file does not decode, FileNotFoundError when it is not there.
        """
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Picture | str | os.PathLike[str]]) -> list[Detections]:
        """The text in each of several pictures, of any sizes; see `detect`. The order is kept."""
        name = f"{self.config.predict.map}_map"
        pictures = [self._read(image) for image in images]
        maps = self._maps(pictures, (name,))
        return [self._extract(m[name], picture) for m, picture in zip(maps, pictures, strict=True)]

    def detect_with_maps(self, image: Picture | str | os.PathLike[str]) -> tuple[Detections, Maps]:
        """The text in one picture, and all three maps that the network made of it, to look at."""
        picture = self._read(image)
        maps = self._maps([picture], _maps_of(self.config))[0]
        return self._extract(maps[f"{self.config.predict.map}_map"], picture), cast(Maps, maps)

    def _read(self, image: Picture | str | os.PathLike[str]) -> Picture:
        if isinstance(image, (str, os.PathLike)):
            return read_image(image, follow_exif=self.config.predict.follow_exif)
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"`image` ({image.dtype} {image.shape}) must be uint8 [height, width, 3], RGB, not empty")
        return image

    def _maps(self, pictures: Sequence[Picture], names: tuple[str, ...]) -> list[dict[str, Float[np.ndarray, "_ _"]]]:
        """Runs pictures of one padded shape together; the last batch of each shape is filled up with copies."""
        predict = self.config.predict
        groups: dict[tuple[int, int], list[int]] = {}
        rule, width = predict.resize, predict.stretch_width
        sizes = [resized_size(p.shape[:2], rule, predict.size, predict.max_side, width) for p in pictures]
        for index, size in enumerate(sizes):
            groups.setdefault(padded_size(size, rule, predict.size), []).append(index)
        maps: list[dict[str, Float[np.ndarray, "_ _"]]] = [{} for _ in pictures]
        for padded, members in groups.items():
            for start in range(0, len(members), self._batch_size):
                chunk = members[start : start + self._batch_size]
                batch = [resize_and_pad(pictures[i], sizes[i], padded) for i in chunk]
                # A batch of one for a picture alone; any other number would be one more shape to compile.
                full = self._batch_size if len(batch) > 1 else self._devices
                batch += batch[-1:] * (full - len(batch))
                outputs = jax.device_get(self._eval_step(self._variables, np.stack(batch), names))
                for row, i in enumerate(chunk):
                    height, width = sizes[i]
                    maps[i] = {name: outputs[name][row, :height, :width] for name in names}
        return maps

    def _extract(self, probability_map: Float[np.ndarray, "height width"], picture: Picture) -> Detections:
        predict = self.config.predict
        return extract_polygons(
            np.ascontiguousarray(probability_map),
            image_size=(picture.shape[0], picture.shape[1]),
            shape=predict.shape,
            threshold=predict.threshold,
            box_threshold=predict.box_threshold,
            unclip_ratio=predict.unclip_ratio,
            max_candidates=predict.max_candidates,
            min_size=predict.min_size,
        )


def _check_words(predict: ConfigDict) -> None:
    """Refuses at once what would fail at the first picture or, worse, at the end of a run."""
    choices = {
        "map": ("probability", "binary"),
        "shape": tuple(UNCLIP_RATIOS),
        "resize": RULES,
        "checkpoint": ("best", "latest"),
    }
    for name, words in choices.items():
        if predict[name] not in words:
            raise ValueError(f"`config.predict.{name}` (={predict[name]!r}) must be one of {words}")
    if predict.stretch_width is not None and predict.resize != "official":
        raise ValueError(
            f"`config.predict.stretch_width` (={predict.stretch_width}) needs `config.predict.resize` = 'official'"
        )
    for name in ("size", "max_side", "batch_size", "unclip_ratio", "stretch_width"):
        if predict[name] is not None and predict[name] <= 0:
            raise ValueError(f"`config.predict.{name}` (={predict[name]}) must be positive")


def make_eval_step(model: nn.Module, normalization: str, mesh: Mesh | None = None) -> Any:
    """Compiles `(variables, images, names) -> {name: map}` for uint8 images [batch, height, width, 3].

    Only what the named maps need is compiled: for the probability map alone no threshold head, once a shape. With a
    mesh the batch is sharded over it.
    """

    def step(
        variables: Variables, images: UInt8[Array, "batch height width 3"], names: tuple[str, ...]
    ) -> dict[str, Float[Array, "batch height width"]]:
        outputs = cast(Mapping[str, Array], model.apply(variables, normalize(images, normalization), train=False))
        return {name: outputs[name] for name in names}

    if mesh is None:
        return jax.jit(step, static_argnums=2)
    return jax.jit(step, static_argnums=2, in_shardings=(replicated(mesh), batch_sharded(mesh)))


def load_config(workdir: str | os.PathLike[str]) -> ConfigDict:
    """The config of the run in `workdir`; fields that are younger than the run have their defaults.

    **Raises:** FileNotFoundError when there is none.
    """
    path = pathlib.Path(workdir) / "config.json"
    if not path.is_file():
        hint = "; --mode=convert makes a run's folder of a PyTorch file" if pathlib.Path(workdir).is_file() else ""
        raise FileNotFoundError(f"`workdir` (={str(workdir)!r}) holds no run: {path} is missing{hint}")
    config = common.get_config()
    for name, section in json.loads(path.read_text()).items():
        if isinstance(section, dict) and name in config:
            config[name] = ConfigDict({**config[name], **_tuples(section)})
        else:
            config[name] = _tuples(section)
    return config


def _tuples(section: Any) -> Any:
    """JSON knows no tuples."""
    if isinstance(section, dict):
        return {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}
    return section


def restore_variables(config: ConfigDict, workdir: str | os.PathLike[str]) -> Variables:
    """The variables of the run in `workdir` that `config.predict.checkpoint` names; see `Checkpoints`."""
    images = jnp.zeros((1, 64, 64, 3), jnp.float32)
    like = jax.eval_shape(lambda: model_from_config(config).init(jax.random.key(0), images))
    if not (pathlib.Path(workdir) / "checkpoints").is_dir():
        raise FileNotFoundError(f"`workdir` (={str(workdir)!r}) has no checkpoint yet: train first")
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore_variables(like, config.predict.checkpoint)[0]
