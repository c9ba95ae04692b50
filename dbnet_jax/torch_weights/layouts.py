"""The layouts of a layer's arrays in PyTorch and here."""

import enum

import numpy as np

# torchvision's MobileNetV3 adds 1e-3 to a variance before the root, our normalisations add 1e-5. The stored variance
# contains the difference, so inference gives the same numbers. Training continues with our epsilon.
EPSILON_DIFFERENCE = 1e-3 - 1e-5


class Layout(enum.Enum):
    """The layout of an array in PyTorch and here."""

    VECTOR = "the same"
    VARIANCE = "plus EPSILON_DIFFERENCE"
    LINEAR = "[out, in] → [1, 1, in, out]"
    CONV = "[out, in, height, width] → [height, width, in, out]"
    # mmocr concatenates the levels from the finest to the coarsest; the official code and this code do the reverse.
    CONV_OF_LEVELS = "as CONV, and the order of four blocks of input channels is reversed"
    CONV_TO_LEVELS = "as CONV, and the order of the output channels is reversed"
    TRANSPOSED = "[in, out, height, width] → [height, width, in, out], the window not flipped"

    def to_ours(self, array: np.ndarray) -> np.ndarray:
        """A PyTorch array, with `their_axes` axes, in our layout."""
        if self is Layout.VECTOR:
            return array
        if self is Layout.VARIANCE:
            return (array.astype(np.float64) + EPSILON_DIFFERENCE).astype(array.dtype)
        if self is Layout.TRANSPOSED:
            return array.transpose(2, 3, 0, 1)
        if self is Layout.LINEAR:
            array = array[:, :, None, None]
        elif self is Layout.CONV_OF_LEVELS:
            array = _reverse_blocks(array)
        elif self is Layout.CONV_TO_LEVELS:
            array = array[::-1]
        return array.transpose(2, 3, 1, 0)

    def to_theirs(self, array: np.ndarray) -> np.ndarray:
        """Our array in PyTorch's layout: the inverse of `to_ours`."""
        if self is Layout.VECTOR:
            return array
        if self is Layout.VARIANCE:
            return (array.astype(np.float64) - EPSILON_DIFFERENCE).astype(array.dtype)
        if self is Layout.TRANSPOSED:
            return array.transpose(2, 3, 0, 1)
        array = array.transpose(3, 2, 0, 1)
        if self is Layout.LINEAR:
            return array[:, :, 0, 0]
        if self is Layout.CONV_OF_LEVELS:
            return _reverse_blocks(array)
        return array[::-1] if self is Layout.CONV_TO_LEVELS else array

    @property
    def their_axes(self) -> int:
        """The number of axes in PyTorch."""
        return {Layout.VECTOR: 1, Layout.VARIANCE: 1, Layout.LINEAR: 2}.get(self, 4)

    def our_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Our shape of an array with PyTorch's `shape`."""
        return self.to_ours(np.broadcast_to(np.float32(0), shape)).shape

    def their_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """PyTorch's shape of an array with our `shape`."""
        return self.to_theirs(np.broadcast_to(np.float32(0), shape)).shape


def _reverse_blocks(array: np.ndarray) -> np.ndarray:
    """Reverses the order of the four blocks of input channels. Further channels stay last. It is its own inverse."""
    level = array.shape[1] // 4
    blocks = [array[:, i * level : (i + 1) * level] for i in (3, 2, 1, 0)]
    return np.concatenate([*blocks, array[:, 4 * level :]], axis=1)


class Kind(enum.Enum):
    """A kind of layer: for each array PyTorch's name, our name and the layout."""

    CONV = (("weight", "kernel", Layout.CONV), ("bias", "bias", Layout.VECTOR))
    CONV_OF_LEVELS = (("weight", "kernel", Layout.CONV_OF_LEVELS), ("bias", "bias", Layout.VECTOR))
    CONV_TO_LEVELS = (("weight", "kernel", Layout.CONV_TO_LEVELS),)
    TRANSPOSED = (("weight", "kernel", Layout.TRANSPOSED), ("bias", "bias", Layout.VECTOR))
    LINEAR = (("weight", "kernel", Layout.LINEAR),)
    NORM = (
        ("weight", "scale", Layout.VECTOR),
        ("bias", "bias", Layout.VECTOR),
        ("running_mean", "mean", Layout.VECTOR),
        ("running_var", "var", Layout.VECTOR),
    )
    # Normalisation with another epsilon.
    NORM_1E3 = (
        ("weight", "scale", Layout.VECTOR),
        ("bias", "bias", Layout.VECTOR),
        ("running_mean", "mean", Layout.VECTOR),
        ("running_var", "var", Layout.VARIANCE),
    )
