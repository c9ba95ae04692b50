"""What a program is said to cost: each multiplication of a product or a convolution twice, however it is written."""

import types

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from dbnet_jax.models.layers.depthwise import depthwise_conv
from dbnet_jax.ops.convolution import convolve
from dbnet_jax.training.step_cost import count_flops, peak_flops
from tests.helpers.convolutions import SAME


def flops(function, *arguments):
    return count_flops(jax.make_jaxpr(function)(*arguments))


def test_products_count_their_multiplications_twice():
    assert flops(jnp.matmul, jnp.ones((3, 4, 5)), jnp.ones((5, 7))) == 2 * 3 * 4 * 5 * 7
    assert flops(lambda a, b: jnp.einsum("bij,bjk->bik", a, b), jnp.ones((6, 2, 3)), jnp.ones((6, 3, 4))) == 2 * 6 * 24


@pytest.mark.parametrize("strides", [1, 2])
def test_a_convolution_and_each_of_its_gradients_cost_the_same(strides):
    x, kernel = jnp.ones((2, 8, 12, 5)), jnp.ones((3, 3, 5, 7))

    def loss(x, kernel):
        return (convolve(x, kernel, strides, SAME) ** 2).sum()

    forward = 2 * (2 * 8 * 12 // strides**2) * 9 * 5 * 7
    assert flops(loss, x, kernel) == forward
    assert flops(jax.grad(loss), x, kernel) == 2 * forward
    assert flops(jax.grad(loss, (0, 1)), x, kernel) == 3 * forward


def test_loops_count_their_rounds_and_conditions_their_largest_branch():
    matrix = jnp.ones((4, 4))
    assert flops(lambda a: lax.fori_loop(0, 5, lambda _, b: a @ b, a), matrix) == 5 * 2 * 64
    assert flops(lambda a: lax.scan(lambda b, _: (a @ b, None), a, length=3)[0], matrix) == 3 * 2 * 64
    assert flops(lambda a: lax.cond(a[0, 0] > 0, lambda a: a @ a @ a, lambda a: a, a), matrix) == 2 * 2 * 64


def test_of_the_forms_for_several_platforms_one_counts():
    x, kernel = jnp.ones((1, 6, 6, 4)), jnp.ones((3, 3, 1, 4))
    assert flops(depthwise_conv, x, kernel) == 2 * 36 * 9 * 4


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("TPU v5 lite", 197),
        ("TPU v5", 459),
        ("TPU v5p", 459),
        ("TPU v4 lite", 138),
        ("TPU v50", None),
        ("NVIDIA L4", 121),
        ("NVIDIA L40", 181),
        ("NVIDIA L40S", 362),
        ("NVIDIA L400", None),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA A10G", None),
        ("Tesla V100-PCIE-32GB", 112),
        ("Tesla V100S-PCIE-32GB", None),
    ],
)
def test_a_peak_is_that_of_the_whole_name(monkeypatch, name, peak):
    monkeypatch.setattr(jax, "devices", lambda: [types.SimpleNamespace(device_kind=name)])
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    assert peak_flops() == (None if peak is None else 4 * peak * 1e12)
