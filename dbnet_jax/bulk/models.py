"""The detector, or the detector and the recogniser, of a bulk job."""

import hashlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from dbnet_jax.bulk.reading import Source
from dbnet_jax.bulk.rows import Record
from dbnet_jax.bulk.shards import Find
from dbnet_jax.detection.outputs import picture_json
from dbnet_jax.detector import Detector
from dbnet_jax.models.variables import Variables
from dbnet_jax.paths import as_path
from dbnet_jax.reader import Reader
from dbnet_jax.recognition.recognizer import Recognizer
from dbnet_jax.training.cpu_memory import keep_memory
from dbnet_jax.transcripts.formats import as_json
from dbnet_jax.weights.digest import weights_digest

_FILES = ("network", "lexicon")
"""Fields of `predict` that name a file."""


@dataclass(frozen=True)
class Network:
    """A network that travels to other processes: its config as plain values, and its variables as NumPy arrays."""

    config: dict[str, Any]
    variables: Any

    @classmethod
    def of(cls, config: ConfigDict, variables: Variables) -> "Network":
        """Copies the variables from the device."""
        return cls(config.to_dict(), jax.tree.map(np.asarray, variables))

    def options(self) -> dict[str, Any]:
        """All that decides the results, as plain values, without the password: the plan is a file."""
        predict = self.config["predict"]
        arrays = sorted(flatten_dict(self.variables, sep="/").items())
        return {
            "weights": weights_digest({}, arrays),
            "model": self.config["model"],
            **{f"predict.{name}": value for name, value in predict.items() if name != "password"},
            "predict.password": predict.get("password") is not None,
            **{f"predict.{name} (content)": _digest(name, predict[name]) for name in _FILES if predict.get(name)},
        }


@dataclass(frozen=True)
class TextModels:
    """A detector, and a recogniser where texts are read too; see `dbnet_jax.bulk.shards.Models`."""

    detector: Network
    recognizer: Network | None = None

    @property
    def predict(self) -> ConfigDict:
        return ConfigDict(self.detector.config["predict"])

    @property
    def reading(self) -> bool:
        return self.recognizer is not None

    def options(self) -> dict[str, Any]:
        """All that decides the results, as plain values."""
        recognizer = {} if self.recognizer is None else self.recognizer.options()
        fields = {f"recognizer.{name}": value for name, value in recognizer.items()}
        return self.detector.options() | {"recognizer": self.reading} | fields

    def load(self) -> Find:
        keep_memory()
        detector = Detector(ConfigDict(self.detector.config), self.detector.variables)
        if self.recognizer is None:
            return lambda sources: detector.detect_each(
                sources, lambda picture, found: picture_json(picture.image.shape[:2], found)
            )
        reader = Reader(detector, Recognizer(ConfigDict(self.recognizer.config), self.recognizer.variables))
        return lambda sources: _read(reader, sources)


def _digest(field: str, file: str) -> str:
    try:
        return f"sha256:{hashlib.sha256(as_path(file).expanduser().read_bytes()).hexdigest()}"
    except FileNotFoundError as error:
        raise FileNotFoundError(f"`config.predict.{field}` (={file!r}) is not there: correct its path") from error


def _read(reader: Reader, sources: Iterable[Source]) -> Generator[Record | ValueError, None, None]:
    for page in reader.read_many(sources):
        yield page if isinstance(page, ValueError) else as_json(page)
