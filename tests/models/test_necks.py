"""The parts between backbone and heads against their formulas, written out with NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dbnet_jax.models.decoder import Decoder
from dbnet_jax.models.layers.batch_norm import BatchNorm
from dbnet_jax.models.layers.conv import upsample
from dbnet_jax.models.necks.fpe import Enhancement
from dbnet_jax.models.necks.scale_fusion import ScaleFusion

NORM = functools.partial(BatchNorm, use_running_average=True)


def random(*shape: int, seed: int = 0) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def test_scale_channel_weights_are_a_softmax_of_the_mean_over_the_pixels():
    levels = [random(2, 2**i, 2 * 2**i, 8, seed=i) for i in range(4)]
    fusion = ScaleFusion("scale_channel", 8, NORM)
    found, variables = jax.jit(fusion.init_with_output)(jax.random.key(9), levels)
    p = jax.tree.map(np.asarray, variables["params"])
    upsampled = [upsample(level, 8 >> i) for i, level in enumerate(levels)]
    conv = nn.Conv(8, (3, 3), padding=1).apply({"params": variables["params"]["conv"]}, jnp.concatenate(upsampled, -1))
    hidden = np.asarray(conv).mean((1, 2)) @ p["fc1"]["kernel"][0, 0]
    hidden = np.maximum(hidden / np.sqrt(1 + 1e-5), 0) @ p["fc2"]["kernel"][0, 0]
    weights = np.exp(hidden) / np.exp(hidden).sum(-1, keepdims=True)
    assert np.ptp(weights) > 0.05
    expected = np.concatenate([weights[:, None, None, i, None] * upsampled[i] for i in range(4)], -1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_enhancement_goes_down_and_then_up_the_pyramid(monkeypatch):
    """With the identity (and every other pixel of it) for the separable convolutions the sums are left."""
    monkeypatch.setattr(Enhancement, "_separable", lambda self, x, strides, name: x[:, ::strides, ::strides])
    c2, c3, c4, c5 = (np.asarray(random(1, 16 >> i, 8 >> i, 3, seed=i)) for i in range(4))
    found = Enhancement(NORM).apply({}, [jnp.asarray(c) for c in (c2, c3, c4, c5)])

    def twice(x: np.ndarray) -> np.ndarray:
        return x.repeat(2, 1).repeat(2, 2)

    p4 = c4 + twice(c5)
    p3 = c3 + twice(p4)
    p2 = c2 + twice(p3)
    n3 = (p2 + twice(p3))[:, ::2, ::2]
    n4 = (n3 + twice(p4))[:, ::2, ::2]
    n5 = (n4 + twice(c5))[:, ::2, ::2]
    for ours, expected in zip(found, (p2, n3, n4, n5), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_serial_threshold_head_sees_every_fourth_pixel_of_the_probability_map():
    features = [random(1, 16 >> i, 16 >> i, 4, seed=i) for i in range(4)]
    decoder = Decoder(inner_channels=16, serial=True)
    seen = {}

    def look(next_call, args, kwargs, context):
        if context.module.name == "threshold_head" and context.method_name == "__call__":
            seen["levels"] = args[0]
        return next_call(*args, **kwargs)

    @jax.jit
    def run(features):
        with nn.intercept_methods(look):
            return decoder.init_with_output(jax.random.key(0), features)[0], seen["levels"]

    outputs, levels = run(features)
    finest = levels[-1]
    assert [level.shape[1:] for level in levels] == [(2, 2, 4), (4, 4, 4), (8, 8, 4), (16, 16, 5)]
    np.testing.assert_array_equal(finest[..., -1], outputs["probability_map"][:, ::4, ::4])
