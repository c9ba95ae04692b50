"""The evaluation steps of detectors and recognisers, by the back end in `config.predict.backend`."""

import threading
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, UInt8
from ml_collections import ConfigDict

from dbnet_jax.backends import choose_backend
from dbnet_jax.backends.compilation import compiled_before
from dbnet_jax.backends.sessions import Session, open_session
from dbnet_jax.detection.network import detection_map, make_eval_step
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.models.variables import Variables
from dbnet_jax.paths import as_path

Images = UInt8[Array, "batch height width 3"] | UInt8[np.ndarray, "batch height width 3"]
Words = UInt8[Array, "batch 32 width"] | UInt8[np.ndarray, "batch 32 width"]
Widths = Int[Array, "batch"] | Int[np.ndarray, "batch"]


def detection_step(config: ConfigDict, mesh: Mesh | None = None) -> Any:
    """The step `(variables, images, names) -> {name: map}` of `make_eval_step`, in the back end of the config.

    Only XLA shares a batch over the devices of `mesh`.

    **Raises:** ImportError if a package of the back end is missing; ValueError or FileNotFoundError if
    `config.predict.network` cannot be used.
    """
    model, normalization = model_from_config(config), config.data.normalization
    backend = choose_backend(config.predict.backend, deformable=bool(config.model.dcn))
    given = _given_network(config, backend)
    if backend == "xla":
        return compiled_before(make_eval_step(model, normalization, mesh))

    def network(variables: Variables, names: tuple[str, ...]) -> bytes:
        from dbnet_jax.onnx_graph.networks import detector_graph

        if names == given.maps:
            return given.content
        return bytes(detector_graph(model, variables, normalization, names).SerializeToString())

    sessions = _Sessions(backend, network)

    def step(variables: Variables, images: Images, names: tuple[str, ...]) -> dict[str, Float[np.ndarray, "_ _ _"]]:
        asked = [given.maps] if given.maps else []
        asked += [own] if (own := tuple(name for name in names if name not in given.maps)) else []
        maps: dict[str, np.ndarray] = {}
        for some in asked:
            maps |= sessions.get(variables, some)({"images": np.asarray(images)})
        return maps

    return step


class _Given(NamedTuple):
    """The network of a file, and the names of its maps; without a file, nothing. Other maps come from the weights."""

    content: bytes = b""
    maps: tuple[str, ...] = ()


def _given_network(config: ConfigDict, backend: str) -> _Given:
    """**Raises:** as `detection_step`."""
    if not (name := config.predict.network):
        return _Given()
    field = f"`config.predict.network` (={name!r})"
    if backend == "xla":
        raise ValueError(f"{field} needs `config.predict.backend` 'openvino' or 'onnxruntime'")
    if not (file := as_path(name).expanduser()).is_file():
        raise FileNotFoundError(f"{field} must be an ONNX file: --mode=export writes one")
    import onnx

    try:
        model = onnx.load_from_string(file.read_bytes())
    except Exception as error:  # of protobuf
        raise ValueError(f"{field} is no ONNX file ({error})") from error
    maps = tuple(output.name for output in model.graph.output)
    if not maps:
        raise ValueError(f"{field} is no ONNX file, or an empty one")
    if (needed := detection_map(config)) not in maps:
        raise ValueError(f"{field} has the outputs {', '.join(maps)}, and lacks {needed}, in which text is found")
    return _Given(model.SerializeToString(), maps)


def recognition_step(config: ConfigDict, model: nn.Module, in_xla: Callable[[], Any]) -> Any:
    """The step `(variables, images, widths, everything) -> outputs` of a recogniser, in the back end of the config.

    An attention decoder runs in XLA alone: "auto" chooses it.

    **Arguments:** `in_xla`: makes the step for XLA.

    **Raises:** ImportError if a package of the back end is missing; ValueError for an attention decoder.
    """
    asked, ctc = config.predict.backend, config.model.decoder == "ctc"
    backend = choose_backend("xla" if asked == "auto" and not ctc else asked)
    if backend == "xla":
        return compiled_before(in_xla())
    if not ctc:
        raise ValueError(
            f"`config.predict.backend` (={asked!r}) cannot run `config.model.decoder` (={config.model.decoder!r}): "
            "only 'xla' can, which 'auto' takes"
        )

    def network(variables: Variables, _: Hashable) -> bytes:
        from dbnet_jax.onnx_graph.networks import recognizer_graph

        return bytes(recognizer_graph(model, variables).SerializeToString())

    sessions = _Sessions(backend, network)

    def step(variables: Variables, images: Words, widths: Widths, everything: bool) -> dict[str, np.ndarray]:
        inputs = {"images": np.asarray(images), "widths": np.asarray(widths)}
        logs = sessions.get(variables, None)(inputs)["log_probabilities"]
        outputs = {"best": logs.argmax(-1), "probability": np.exp(logs.max(-1))}
        return outputs | {"log_probabilities": logs} if everything else outputs

    return step


class _Sessions:
    """The prepared networks of one back end. They belong to the variables of the latest call."""

    def __init__(self, backend: str, network: Callable[[Variables, Any], bytes]):
        self._backend, self._network = backend, network
        self._variables: Variables | None = None
        self._open: dict[Hashable, Session] = {}
        self._lock = threading.Lock()

    def get(self, variables: Variables, key: Any) -> Session:
        """The network with these variables; `key` is the second argument of `network`."""
        with self._lock:
            if variables is not self._variables:
                self._variables, self._open = variables, {}
            if key not in self._open:
                self._open[key] = open_session(self._backend, self._network(jax.device_get(variables), key))
            return self._open[key]
