"""Reads the words in crops."""

import bisect
import copy
import itertools
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Int, UInt8
from ml_collections import ConfigDict

from dbnet_jax.backends.steps import recognition_step
from dbnet_jax.characters import CharacterSet, composed, load_characters
from dbnet_jax.config.checks import change_predict
from dbnet_jax.config.recognition import check_decoder, check_reading
from dbnet_jax.detection.forked import claim_process
from dbnet_jax.detection.pipeline import THREADS
from dbnet_jax.images.crops import LEAST_WIDTH, cut_word, padded
from dbnet_jax.images.normalization import grey_to_unit
from dbnet_jax.images.sources import is_one_picture
from dbnet_jax.messages import check_choice, plural
from dbnet_jax.models.recognition import create_recognizer
from dbnet_jax.models.recognition.encoders import HEIGHT, column_counts
from dbnet_jax.models.variables import Variables
from dbnet_jax.paths import as_path
from dbnet_jax.recognition import decoding
from dbnet_jax.sharding import batch_sharded, replicated
from dbnet_jax.weights.run_folder import load_config, restore_variables
from dbnet_jax.weights.shipped import pretrained_path

DEFAULT = "small-latin"
# Crops of a batch on a CPU: more of them are hardly faster, and the last batch of a width is half empty.
_CPU_BATCH = 4


@dataclass(frozen=True)
class Recognition:
    """What a crop says.

    - `text`: "" where nothing was read.
    - `score`: the probability that the recogniser gives to the text, in [0, 1].
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
        check_decoder(config)
        claim_process()
        self.config = config
        self.characters = load_characters(config.model.characters)
        self._placement = None if mesh is None else replicated(mesh)
        self._variables = jax.device_put(variables, self._placement)
        self._devices = 1 if mesh is None else mesh.size
        most = int(config.predict.batch_size)
        if jax.default_backend() == "cpu":
            most = min(most, _CPU_BATCH * self._devices)
        # Each device takes the same number of crops.
        self._batch_size = -(-most // self._devices) * self._devices
        model = recognizer_from_config(config)
        self._step = recognition_step(config, model, lambda: _make_step(model, mesh))
        self._lexicon = _read_lexicon(config.predict.lexicon, self.characters) if config.predict.lexicon else {}

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

    def recognize(self, crops: Iterable[Any]) -> list[Recognition]:
        """What each crop says.

        **Arguments:** `crops`: RGB or grey pixels in [0, 255] of one word each, upright, of any size.

        **Raises:** ValueError, before any is read, where a crop is no picture or is empty; it contains its index. Also
        if `crops` is one crop.
        """
        if is_one_picture(crops):
            raise ValueError("`crops` must be several crops: put a single one into a list")
        return self.read_upright([_upright(crop, index, self._longest) for index, crop in enumerate(crops)])

    @property
    def _longest(self) -> int:
        return int(self.config.predict.widths[-1])

    def read_upright(self, crops: Sequence[UInt8[np.ndarray, "32 _"]]) -> list[Recognition]:
        """Reads grey crops of height 32, in batches of one width; threads share the batches."""
        batches = self._batches([crop.shape[1] for crop in crops])
        found: list[Recognition | None] = [None] * len(crops)

        def read(batch: tuple[int, list[int]]) -> list[Recognition]:
            width, places = batch
            return self._read([crops[place] for place in places], width)

        # Programs that several devices share must reach all of them in one order.
        threads = THREADS if self._devices == 1 else 1
        with ThreadPoolExecutor(threads, "recognize") as pool:
            for (_, places), readings in zip(batches, pool.map(read, batches), strict=True):
                for place, one in zip(places, readings, strict=True):
                    found[place] = one
        return [one for one in found if one is not None]

    def _batches(self, lengths: Sequence[int]) -> list[tuple[int, list[int]]]:
        """The width of each batch and the places of its crops; the widest first, as they take longest."""
        widths = list(self.config.predict.widths)
        order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
        batches: list[tuple[int, list[int]]] = []
        for width, group in itertools.groupby(order, lambda place: widths[bisect.bisect_left(widths, lengths[place])]):
            places = list(group)
            for start in range(0, len(places), self._batch_size):
                batches.append((width, places[start : start + self._batch_size]))
        return batches

    def _read(self, crops: Sequence[UInt8[np.ndarray, "32 _"]], width: int) -> list[Recognition]:
        claim_process()
        # Two sizes of batch for each width, as each is a program to compile: full, and of a single crop.
        size = self._batch_size if len(crops) > 1 else self._devices
        images = np.zeros((size, HEIGHT, width), np.uint8)
        widths = np.full(size, LEAST_WIDTH, np.int32)
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
            scored = [(decoding.text_log_probability(logs, classes), word) for word, classes in self._lexicon.items()]
            best, word = max(scored)
            # A crop may be too narrow for every word.
            return Recognition(word if best > -np.inf else "", float(np.exp(best)))
        if self.config.predict.decoding == "beam":
            classes, score = decoding.beam(outputs["log_probabilities"][:steps], self.config.predict.beam)
        else:
            classes, score = decoding.greedy(outputs["best"][:steps], outputs["probability"][:steps])
        return Recognition(self.characters.decode(classes), score)

    def _decode_attention(self, outputs: dict[str, np.ndarray], width: int) -> Recognition:
        best = outputs["best"]
        ends = np.flatnonzero(best == 0)
        length = int(ends[0]) if len(ends) else len(best)
        seen = outputs["probability"][: length + 1]
        return Recognition(self.characters.decode(best[:length]), float(np.prod(seen, dtype=np.float64)))


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


def _upright(crop: Any, index: int, longest: int) -> UInt8[np.ndarray, "32 width"]:
    image = np.asarray(crop)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape or image.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"`crops` must be uint8 arrays [height, width, 3] or [height, width] with pixels, and `crops[{index}]` is "
            f"{image.dtype} of shape {list(image.shape)}"
        )
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return cut_word(np.ascontiguousarray(image), corners, HEIGHT, longest)


def _read_lexicon(file: str, characters: CharacterSet) -> dict[str, list[int]]:
    """The words of a lexicon and their classes. Words with a character that the set lacks are left out with a warning.

    **Raises:** ValueError where no word is left; OSError.
    """
    field = f"`config.predict.lexicon` (={file!r})"
    try:
        text = as_path(file).expanduser().read_text(encoding="utf-8-sig")
        words = list(dict.fromkeys(composed(text).split()))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{field} is not there") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{field} must be a UTF-8 text: {error}") from error
    if not words:
        raise ValueError(f"{field} must hold words, one a line")
    unknown = dict.fromkeys(word for word in words if characters.unknown(word))
    if unknown:
        lacked = characters.unknown("".join(unknown))
        said = f"{field}: {plural(len(unknown), 'word')} of {len(words):,} cannot be read, the character set lacks "
        said += f"{lacked[:40]!r}: {', '.join(list(unknown)[:10])}"
        if len(unknown) == len(words):
            raise ValueError(said)
        logging.warning("%s", said)
    return {word: characters.encode(word).tolist() for word in words if word not in unknown}
