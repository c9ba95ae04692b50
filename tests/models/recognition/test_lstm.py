"""LSTMs in both directions: padding is left out, and the order of columns counts."""

import jax
import jax.numpy as jnp
import numpy as np

from dbnet_jax.models.recognition.lstm import Weights, both_ways


def weights(seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    return Weights(*(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((2, 12), (3, 12), (12,))))


def test_padding_does_not_count_and_the_directions_mirror_each_other():
    run = jax.jit(both_ways)
    columns = np.random.default_rng(2).normal(size=(2, 5, 2)).astype(np.float32)
    padded = run(columns, jnp.array([5, 3]), weights(0), weights(1))
    assert padded.shape == (2, 5, 6)
    alone = run(columns[:, :3], jnp.array([3, 3]), weights(0), weights(1))
    np.testing.assert_allclose(padded[1, :3], alone[1], atol=1e-6)
    mirrored = run(columns[:, ::-1], jnp.array([5, 5]), weights(1), weights(0))
    np.testing.assert_allclose(padded[0, :, :3], mirrored[0, ::-1, 3:], atol=1e-6)
    np.testing.assert_allclose(padded[0, :, 3:], mirrored[0, ::-1, :3], atol=1e-6)
    assert np.abs(padded[0, :, :3] - padded[0, :, 3:]).max() > 0.01
