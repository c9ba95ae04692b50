"""The arrays of a PyTorch CRNN of the widespread layout, made from a seed: a twin elsewhere has the same."""

import numpy as np

CLASSES, HIDDEN = 11, 16
TEXTS = np.array([[1, 2, 2, 3], [5, 6, 0, 0], [7, 7, 7, 7]])


def state_dict() -> dict[str, np.ndarray]:
    """Every array by PyTorch's name."""
    rng = np.random.default_rng(7)
    channels = (1, 64, 128, 256, 256, 512, 512, 512)
    arrays: dict[str, np.ndarray] = {}

    def add(name: str, *shape: int) -> None:
        arrays[name] = (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)

    for layer in range(7):
        size = 2 if layer == 6 else 3
        add(f"cnn.conv{layer}.weight", channels[layer + 1], channels[layer], size, size)
        arrays[f"cnn.conv{layer}.bias"] = rng.normal(0, 0.1, channels[layer + 1]).astype(np.float32)
        if layer in (2, 4, 6):
            count = channels[layer + 1]
            for kind, low, high in (("weight", 0.5, 1.5), ("bias", -0.2, 0.2), ("running_mean", -0.2, 0.2)):
                arrays[f"cnn.batchnorm{layer}.{kind}"] = rng.uniform(low, high, count).astype(np.float32)
            arrays[f"cnn.batchnorm{layer}.running_var"] = rng.uniform(0.2, 0.6, count).astype(np.float32)
            arrays[f"cnn.batchnorm{layer}.num_batches_tracked"] = np.array(3)
    for layer, (inputs, outputs) in enumerate(((512, HIDDEN), (HIDDEN, CLASSES))):
        for direction in ("", "_reverse"):
            for source, columns in (("ih", inputs), ("hh", HIDDEN)):
                add(f"rnn.{layer}.rnn.weight_{source}_l0{direction}", 4 * HIDDEN, columns)
                arrays[f"rnn.{layer}.rnn.bias_{source}_l0{direction}"] = rng.normal(0, 0.1, 4 * HIDDEN).astype(
                    np.float32
                )
        add(f"rnn.{layer}.embedding.weight", outputs, 2 * HIDDEN)
        arrays[f"rnn.{layer}.embedding.bias"] = rng.normal(0, 0.1, outputs).astype(np.float32)
    return arrays


def images() -> np.ndarray:
    """Three grey pictures in [−1, 1], float32 [3, 32, 32, 1]."""
    return np.random.default_rng(8).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
