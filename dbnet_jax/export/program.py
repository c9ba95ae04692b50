"""A network from uint8 pixels on, as one function of JAX, and pictures on which exports of it are compared with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array
from ml_collections import ConfigDict

from dbnet_jax.detection.network import detection_map
from dbnet_jax.images.normalization import grey_to_unit, normalize
from dbnet_jax.images.resize import STRIDE as MULTIPLE
from dbnet_jax.models.recognition.encoders import HEIGHT, STRIDE, column_counts
from dbnet_jax.models.variables import Variables
from dbnet_jax.training.task import task_of

_BOUND = 1e-3
# (batch, height, width) and (batch, width) of the compared inputs. The graph of ONNX is traced at another size.
_DETECTOR_SIZES = ((1, 96, 160), (2, 160, 64))
_RECOGNIZER_SIZES = ((1, 64), (3, 132))

Arrays = Mapping[str, Any]


@runtime_checkable
class Network(Protocol):
    """A `Detector`, a `Recognizer` or `Weights`. The card of the last is written into the file."""

    @property
    def config(self) -> ConfigDict: ...
    @property
    def variables(self) -> Variables: ...


@dataclass(frozen=True)
class Program:
    """The function of a network, in float32.

    - `model`: the network; `variables`: its weights.
    - `function`: takes the weights and the inputs in the order of `shapes`, and returns the output by its name.
    - `shapes`: of each input the NumPy type and the shape; a text is a size that changes.
    - `output`: the name of the output.
    """

    model: nn.Module
    variables: Variables
    function: Callable[..., dict[str, Any]]
    shapes: dict[str, tuple[Any, tuple[int | str, ...]]]
    output: str

    @property
    def reads(self) -> bool:
        """Whether the network is a recogniser's."""
        return "widths" in self.shapes

    def examples(self, size: tuple[int, int] | None = None) -> list[dict[str, np.ndarray]]:
        """Inputs with text, of several sizes, or of one picture of a `size` (height, width)."""
        if self.reads:
            sizes = _RECOGNIZER_SIZES if size is None else [(1, size[1])]
            return [_words(batch, width) for batch, width in sizes]
        pictures = _DETECTOR_SIZES if size is None else [(1, *size)]
        return [{"images": _pictures(*one)} for one in pictures]


def program_of(network: Network) -> Program:
    """The program of a detector or of a recogniser."""
    config = network.config
    model = task_of(config).model(config).clone(dtype=jnp.float32)
    variables = jax.tree.map(jnp.asarray, network.variables)
    if config.task == "recognition":

        def read(variables: Variables, images: Any, widths: Any) -> dict[str, Any]:
            logits: Any = model.apply(variables, grey_to_unit(images), widths)
            return {"log_probabilities": nn.log_softmax(logits)}

        words = {"images": (np.uint8, ("batch", HEIGHT, f"{STRIDE}*width")), "widths": (np.int32, ("batch",))}
        return Program(model, variables, read, words, "log_probabilities")
    name, normalization = detection_map(config), config.data.normalization

    def detect(variables: Variables, images: Any) -> dict[str, Any]:
        outputs: Any = model.apply(variables, normalize(images, normalization), train=False)
        return {name: outputs[name]}

    sides = ("batch", f"{MULTIPLE}*height", f"{MULTIPLE}*width", 3)
    return Program(model, variables, detect, {"images": (np.uint8, sides)}, name)


def checked_difference(program: Program, run: Callable[[Arrays], Arrays], size: tuple[int, int] | None = None) -> float:
    """The largest difference of probabilities between an export and JAX.

    It must not exceed 0.001, or four times the difference that weights rounded otherwise make in JAX. This is more for
    a network that is hardly trained.

    **Arguments:** `run`: the export, from inputs to outputs; `size`: see `Program.examples`.

    **Raises:** ValueError if the difference is larger.
    """
    function = jax.jit(program.function)
    largest, allowed = 0.0, _BOUND
    for inputs in program.examples(size):
        exact, rounded = (
            _probabilities(function(weights, *inputs.values())[program.output], inputs)
            for weights in (program.variables, jax.tree.map(_rounded, program.variables))
        )
        found = _probabilities(run(inputs)[program.output], inputs)
        # A number that is none makes the maximum none.
        largest = np.maximum(largest, np.abs(found - exact).max())
        allowed = max(allowed, 4 * float(np.abs(rounded - exact).max()))
    if not largest <= allowed:
        raise ValueError(
            f"the exported network differs from JAX by {largest:.2g} in its probabilities, and at most "
            f"{allowed:.2g} is allowed: nothing was written. Please report the `config.model` of this network"
        )
    return float(largest)


def _rounded(weights: Array) -> Array:
    """Each weight as the next number of float32 but one."""
    return weights * np.float32(1 + 2**-22)


def _probabilities(output: Any, inputs: Arrays) -> np.ndarray:
    """The output in [0, 1]. A recogniser's columns of padding are zeros: nobody reads them."""
    output = np.asarray(output, np.float32)
    if "widths" not in inputs:
        return output
    steps = np.arange(output.shape[1])[None, :, None]
    return np.where(steps < column_counts(inputs["widths"])[:, None, None], np.exp(output), 0)


def _pictures(batch: int, height: int, width: int) -> np.ndarray:
    """Bright words on a dark gradient, uint8 [batch, height, width, 3]."""
    shades = np.linspace(20, 110, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    return np.stack([_written(shades, f"Text{number}", row, 0.9) for number, row in enumerate(range(30, 30 + batch))])


def _words(batch: int, width: int) -> dict[str, np.ndarray]:
    """Words with less and less of the width, and grey padding."""
    widths = np.array([max(STRIDE, width - 24 * row) for row in range(batch)], np.int32)
    grey = np.full((HEIGHT, width), 60, np.uint8)
    return {"images": np.stack([_written(grey, f"w{row}rd", 24, 0.8) for row in range(batch)]), "widths": widths}


def _written(image: np.ndarray, text: str, row: int, scale: float) -> np.ndarray:
    return cv2.putText(image.copy(), text, (4, row), cv2.FONT_HERSHEY_SIMPLEX, scale, (240, 230, 235), 2, cv2.LINE_AA)
