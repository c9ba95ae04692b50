"""The decoders against the official ones: maps, and in training mode the gradients and the updated statistics too."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from dbnet_jax.models.decoder import Decoder
from dbnet_jax.torch_weights import convert_state_dict
from tests.helpers.official import OUTPUTS
from tests.helpers.paths import DATA

CASES = {
    "model_dec_small_adaptive": {},
    "model_dec_small_serial": {"serial": True},
    "model_asf_small_scale_spatial": {"scale_fusion": True, "attention": "scale_spatial"},
    "model_asf_small_scale_channel_spatial": {"scale_fusion": True, "attention": "scale_channel_spatial"},
}


def read(
    path: pathlib.Path, options: dict[str, Any]
) -> tuple[Decoder, dict[str, Any], list[jax.Array], dict[str, Any]]:
    """A decoder, its weights, the features that it was given and everything that came out."""
    with np.load(path) as file:
        case = dict(file)
    features = [jnp.asarray(case[name].transpose(0, 2, 3, 1)) for name in ("c2", "c3", "c4", "c5")]
    decoder = Decoder(inner_channels=32, **options)
    like = jax.eval_shape(lambda: decoder.init(jax.random.key(0), features))
    return decoder, to_variables(case, "sd:", like), features, case


def to_variables(case: dict[str, Any], prefix: str, like: Any) -> dict[str, Any]:
    """The arrays whose names start with the prefix, in the structure of `like`."""
    weights = {f"decoder.{name.removeprefix(prefix)}": case[name] for name in case if name.startswith(prefix)}
    return convert_state_dict(weights, like, source="official")


def test_a_dbnet_plus_plus_decoder_gives_the_official_maps():
    decoder, variables, features, case = read(
        DATA / "decoder_scale_fusion.npz", CASES["model_asf_small_scale_channel_spatial"]
    )
    outputs = jax.jit(decoder.apply)(variables, features)
    np.testing.assert_allclose(outputs["probability_map"], case["binary"][:, 0], atol=1e-5)
    np.testing.assert_allclose(outputs["threshold_map"], case["thresh"][:, 0], atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_decoders_equal_the_official_ones_in_both_modes(shared, name):
    decoder, variables, features, case = read(shared / "golden" / f"{name}.npz", CASES[name])

    def loss(params: Any, train: bool) -> tuple[jax.Array, tuple[dict[str, jax.Array], Any]]:
        """Σ output · the official gradient of the output: its gradient is that of the official backward pass."""
        outputs, updates = decoder.apply(variables | {"params": params}, features, train, mutable=["batch_stats"])
        total = sum((outputs[ours] * case[f"bt_gradout_{theirs}"][:, 0]).sum() for ours, theirs in OUTPUTS.items())
        return total, (outputs, updates["batch_stats"])

    outputs = jax.jit(decoder.apply)(variables, features)
    for ours, theirs in OUTPUTS.items():
        np.testing.assert_allclose(outputs[ours], case[theirs][:, 0], atol=2e-5, err_msg=theirs)
    step = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)
    (_, (outputs, statistics)), gradients = step(variables["params"], True)
    for ours, theirs in OUTPUTS.items():
        np.testing.assert_allclose(outputs[ours], case[f"bt_{theirs}"][:, 0], atol=2e-5, err_msg=theirs)
    expected = to_variables(case, "bt_grad:", {"params": variables["params"]})["params"]
    for path, gradient in flatten_dict(gradients).items():
        # The biases before a normalisation have no gradient; what both codes give for it is rounding. Elsewhere an
        # element is a sum over thousands of pixels, as exact as the largest of its array.
        wanted = flatten_dict(expected)[path]
        atol = 1e-4 + 1e-5 * np.abs(wanted).max()
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=atol, err_msg=str(path))
    expected = to_variables(case, "bt_sd:", {"batch_stats": variables["batch_stats"]})["batch_stats"]
    for path, values in flatten_dict(statistics).items():
        np.testing.assert_allclose(values, flatten_dict(expected)[path], rtol=1e-5, atol=1e-5, err_msg=str(path))
