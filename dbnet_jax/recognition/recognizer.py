"""Reads the words in crops."""

import copy
import functools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Int, UInt8
from ml_collections import ConfigDict

from dbnet_jax.backends.steps import recognition_step
from dbnet_jax.characters import load_characters
from dbnet_jax.config.checks import change_predict
from dbnet_jax.config.recognition import check_reading
from dbnet_jax.detection.forked import claim_process
from dbnet_jax.images.crops import cut_word, padded
from dbnet_jax.images.normalization import grey_to_unit
from dbnet_jax.messages import check_choice
from dbnet_jax.models.recognition import create_recognizer
from dbnet_jax.models.recognition.encoders import HEIGHT, column_counts
from dbnet_jax.models.variables import Variables
from dbnet_jax.recognition import decoding
from dbnet_jax.sharding import batch_sharded, replicated
from dbnet_jax.typing import Image, Polygon
from dbnet_jax.weights.run_folder import load_config, restore_variables
from dbnet_jax.weights.shipped import pretrained_path

DEFAULT = "small-latin"
_LEAST_WIDTH = 8


@dataclass(frozen=True)
class Recognition:
    """What a crop says.

    - `text`: "" where nothing was read.
    - `score`: how sure the recogniser is, in [0, 1].
    """

    text: str
    score: float


class Recognizer:
    """Reads crops of words.

    **Arguments:**

    - `config`: the sections `model` and `predict` are used.
    - `variables`: the network's `params` and `batch_stats`.
    - `mesh`: one axis "data" of local devices, which share each batch. The default is the first device. The
        back ends other than XLA take no notice of it.
    """

    def __init__(self, config: ConfigDict, variables: Variables, mesh: Mesh | None = None):
        check_reading(config.predict)
        claim_process()
        self.config = config
        self.characters = load_characters(config.model.characters)
        self._placement = None if mesh is None else replicated(mesh)
        self._variables = jax.device_put(variables, self._placement)
        self._devices = 1 if mesh is None else mesh.size
        model = recognizer_from_config(config)
        self._step = recognition_step(config, model, lambda: _make_step(model, mesh))
        self._lexicon = _read_lexicon(config.predict.lexicon)

    @classmethod
    def from_checkpoint(cls, workdir_or_file: str | os.PathLike[str], **overrides: Any) -> "Recognizer":
        """The recogniser of a run or of a weights file.

        **Arguments:** `workdir_or_file`; `overrides`: fields of `config.predict`.

        **Raises:** as `Detector.from_checkpoint`; ValueError also where the weights are those of another task.
        """
        config = load_config(workdir_or_file, "workdir_or_file")
        if config.task != "recognition":
            raise ValueError(
                f"`workdir_or_file` (={os.fspath(workdir_or_file)!r}) holds weights for {config.task}, no recogniser"
            )
        change_predict(config.predict, overrides)
        check_reading(config.predict)
        return cls(config, restore_variables(config, workdir_or_file))

    @classmethod
    def from_pretrained(cls, name: str = DEFAULT, **overrides: Any) -> "Recognizer":
        """The recogniser with shipped weights. **Arguments:** `name`: "small-latin"; `overrides`: see above."""
        return cls.from_checkpoint(pretrained_path(name), **overrides)

    @property
    def variables(self) -> Variables:
        """The network's `params` and `batch_stats`."""
        return self._variables

    def with_variables(self, variables: Variables) -> "Recognizer":
        """The same recogniser with other weights. Nothing is compiled again."""
        other = copy.copy(self)
        other._variables = jax.device_put(variables, self._placement)
        return other

    def recognize(self, crops: Sequence[Any]) -> list[Recognition]:
        """What each crop says.

        **Arguments:** `crops`: RGB or grey pixels in [0, 255] of one word each, upright, of any size.

        **Raises:** ValueError where a crop is no picture or is empty.
        """
        return self.read_upright([_upright(crop, self._longest) for crop in crops])

    def recognize_words(self, image: Image, polygons: Iterable[Polygon]) -> list[Recognition]:
        """What stands inside each polygon of a picture; see `cut_word`."""
        return self.read_upright([cut_word(image, one, HEIGHT, self._longest, _LEAST_WIDTH) for one in polygons])

    @property
    def _longest(self) -> int:
        return int(self.config.predict.widths[-1])

    def read_upright(self, crops: Sequence[UInt8[np.ndarray, "32 _"]]) -> list[Recognition]:
        """Reads grey crops of height 32, in batches of one width."""
        found: list[Recognition | None] = [None] * len(crops)
        order = sorted(range(len(crops)), key=lambda index: crops[index].shape[1])
        batch_size = int(self.config.predict.batch_size)
        for width in self.config.predict.widths:
            mine = [i for i in order if found[i] is None and crops[i].shape[1] <= width]
            for start in range(0, len(mine), batch_size):
                places = mine[start : start + batch_size]
                for place, one in zip(places, self._read([crops[i] for i in places], width), strict=True):
                    found[place] = one
        return [one for one in found if one is not None]

    def _read(self, crops: Sequence[UInt8[np.ndarray, "32 _"]], width: int) -> list[Recognition]:
        claim_process()
        # Few batch sizes, as each is a program of its own: powers of two.
        size = max(self._devices, 1 << (len(crops) - 1).bit_length())
        images = np.zeros((size, HEIGHT, width), np.uint8)
        widths = np.full(size, _LEAST_WIDTH, np.int32)
        for row, crop in enumerate(crops):
            images[row], widths[row] = padded(crop, width), crop.shape[1]
        everything = self.config.predict.decoding == "beam" or bool(self._lexicon)
        outputs = jax.device_get(self._step(self._variables, images, widths, everything))
        decode = self._decode_attention if self.config.model.decoder == "attention" else self._decode_ctc
        return [
            decode({name: value[row] for name, value in outputs.items()}, row_width)
            for row, row_width in enumerate(widths[: len(crops)].tolist())
        ]

    def _decode_ctc(self, outputs: dict[str, np.ndarray], width: int) -> Recognition:
        steps = int(column_counts(width))
        if self._lexicon:
            logs = outputs["log_probabilities"][:steps]
            known = [(word, self.characters.encode(word).tolist()) for word in self._lexicon if self._can_write(word)]
            scored = [(decoding.text_log_probability(logs, classes), word) for word, classes in known]
            best, word = max(scored, default=(-np.inf, ""))
            return Recognition(word, float(np.exp(best / steps)))
        if self.config.predict.decoding == "beam":
            classes, score = decoding.beam(outputs["log_probabilities"][:steps], self.config.predict.beam)
        else:
            classes, score = decoding.greedy(outputs["best"][:steps], outputs["probability"][:steps])
        return Recognition(self.characters.decode(classes), score)

    def _can_write(self, word: str) -> bool:
        return not self.characters.unknown(word)

    def _decode_attention(self, outputs: dict[str, np.ndarray], width: int) -> Recognition:
        best = outputs["best"]
        ends = np.flatnonzero(best == 0)
        length = int(ends[0]) if len(ends) else len(best)
        seen = outputs["probability"][: length + 1]
        return Recognition(self.characters.decode(best[:length]), float(np.exp(np.log(np.maximum(seen, 1e-12)).mean())))


def recognizer_from_config(config: ConfigDict) -> nn.Module:
    """The network in `config.model`. **Raises:** ValueError if its fields describe no network."""
    options = dict(config.model)
    classes = load_characters(options.pop("characters")).classes
    dtypes = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    check_choice("config.model.dtype", options["dtype"], dtypes)
    return create_recognizer(options.pop("name"), **options | {"dtype": dtypes[options["dtype"]]}, classes=classes)


def _make_step(model: nn.Module, mesh: Mesh | None) -> Any:
    """Compiles `(variables, images, widths, everything) -> outputs`, with all log probabilities where `everything`."""

    def step(
        variables: Variables, images: UInt8[Array, "batch 32 width"], widths: Int[Array, "batch"], everything: bool
    ) -> dict[str, Array]:
        logits: Any = model.apply(variables, grey_to_unit(images), widths)
        logs = nn.log_softmax(logits)
        outputs = {"best": logs.argmax(-1), "probability": jnp.exp(logs.max(-1))}
        return outputs | {"log_probabilities": logs} if everything else outputs

    if mesh is None:
        return jax.jit(step, static_argnums=3)
    share = batch_sharded(mesh)
    return jax.jit(step, static_argnums=3, in_shardings=(replicated(mesh), share, share))


def _upright(crop: Any, longest: int) -> UInt8[np.ndarray, "32 width"]:
    image = np.asarray(crop)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape or image.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"`crops` must be uint8 arrays [height, width, 3] or [height, width] with pixels, not {image.dtype} "
            f"of shape {list(image.shape)}"
        )
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return cut_word(np.ascontiguousarray(image), corners, HEIGHT, longest, _LEAST_WIDTH)


@functools.lru_cache
def _read_lexicon(file: str) -> tuple[str, ...]:
    if not file:
        return ()
    with open(os.path.expanduser(file), encoding="utf-8") as opened:
        words = tuple(dict.fromkeys(opened.read().split()))
    if not words:
        raise ValueError(f"`config.predict.lexicon` (={file!r}) must hold words, one a line")
    return words
