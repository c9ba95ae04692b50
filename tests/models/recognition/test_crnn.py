"""CRNN against its PyTorch twin, and what padding and decoders do."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dbnet_jax.losses.recognition import attention_loss, ctc_loss
from dbnet_jax.models.layers.initialization import fresh_variables
from dbnet_jax.models.recognition import create_recognizer
from dbnet_jax.tasks.recognition import recognition_loss
from dbnet_jax.torch_weights import load_torch_weights
from tests.helpers import torch_crnn
from tests.helpers.paths import DATA

WORD = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)


def test_maps_loss_and_gradients_equal_the_pytorch_twins():
    golden = np.load(DATA / "crnn.npz")
    model = create_recognizer("crnn", backbone="vgg", classes=torch_crnn.CLASSES, hidden=torch_crnn.HIDDEN)
    variables = load_torch_weights(torch_crnn.state_dict(), model)
    images = jnp.asarray(torch_crnn.images())
    logits = jax.jit(model.apply)(variables, images)
    np.testing.assert_allclose(logits, golden["logits"], atol=2e-5)

    def loss(params):
        logits, _ = model.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
        return ctc_loss(logits, jnp.full(3, logits.shape[1]), jnp.asarray(torch_crnn.TEXTS))[0]

    value, gradients = jax.jit(jax.value_and_grad(loss))(variables["params"])
    np.testing.assert_allclose(value, (golden["losses"] / [4, 2, 4]).mean(), rtol=1e-5)
    # The gradients have the layout of the weights: the converter that reads the ones reads the others.
    named = {name: golden[name] for name in golden.files if "." in name}
    theirs = load_torch_weights(torch_crnn.state_dict() | named, model)["params"]
    pairs = {
        "rnn.0.rnn.weight_hh_l0_reverse": ("lstm0_backward", "hg", "kernel"),
        "rnn.1.rnn.weight_hh_l0": ("lstm1_forward", "ho", "kernel"),
        "rnn.1.embedding.weight": ("output", "kernel"),
        "cnn.conv0.weight": ("encoder", "conv0", "kernel"),
        "cnn.batchnorm4.weight": ("encoder", "batchnorm4", "scale"),
    }
    assert pairs.keys() == named.keys()
    for path in pairs.values():
        mine, wanted = gradients, theirs
        for part in path:
            mine, wanted = mine[part], wanted[part]
        np.testing.assert_allclose(mine, wanted, atol=2e-4 * np.abs(wanted).max())


def test_weights_that_do_not_fit_are_listed():
    arrays = torch_crnn.state_dict()
    arrays["module.cnn.conv9.weight"] = arrays.pop("cnn.conv3.weight")
    arrays["rnn.0.embedding.bias"] = np.full(torch_crnn.HIDDEN, np.nan, np.float32)
    model = create_recognizer("crnn", backbone="vgg", classes=torch_crnn.CLASSES, hidden=torch_crnn.HIDDEN)
    with pytest.raises(ValueError, match="do not fit") as error:
        load_torch_weights(arrays, model)
    for part in (
        "encoder/conv9/kernel: (3, 3, 256, 256) found, nothing wanted",
        "embedding.bias: no finite",
        "encoder/conv3/kernel: missing",
    ):
        assert part in str(error.value)


@pytest.fixture(scope="module")
def small():
    """A network of each decoder, with its variables."""
    made = {}
    for decoder in ("ctc", "attention"):
        model = create_recognizer("crnn", decoder=decoder, classes=5, hidden=8, max_length=6)
        made[decoder] = model, jax.jit(partial(fresh_variables, model, 0, WORD))()
    return made


def test_padding_far_from_the_word_changes_nothing(small):
    model, variables = small["ctc"]
    word = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)).astype(np.float32)
    near = np.pad(word, ((0, 0), (0, 0), (0, 64), (0, 0)), mode="edge")
    far = near.copy()
    far[:, :, 80:] = 1.0

    @jax.jit
    def logits(images, width):
        return model.apply(variables, images, width[None])[:, :8]

    np.testing.assert_array_equal(*(logits(jnp.asarray(images), jnp.array(32)) for images in (near, far)))
    # Without the padding's width, the LSTMs carry it to the word.
    one, other = (logits(jnp.asarray(images), jnp.array(96)) for images in (near, far))
    assert np.abs(one - other).max() > 1e-6


def test_greedy_attention_equals_teacher_forcing_by_its_own_text(small):
    model, variables = small["attention"]
    images = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (2, 32, 32, 1)), jnp.float32)
    own = jax.jit(model.apply)(variables, images)
    forced = jax.jit(model.apply)(variables, images, None, own.argmax(-1)[:, :-1])
    assert own.shape == (2, 7, 5)
    np.testing.assert_allclose(own, forced, atol=1e-5)


def test_attention_loss_counts_the_end_and_no_padding():
    logits = np.random.default_rng(2).normal(size=(2, 4, 5)).astype(np.float32)
    texts = jnp.array([[1, 2, 0], [3, 0, 0]])
    logs = np.asarray(jax.nn.log_softmax(logits))
    wanted = -(logs[0, 0, 1] + logs[0, 1, 2] + logs[0, 2, 0] + logs[1, 0, 3] + logs[1, 1, 0]) / 5
    np.testing.assert_allclose(attention_loss(jnp.asarray(logits), texts), wanted, rtol=1e-6)


def test_a_text_that_its_columns_cannot_hold_does_not_count():
    logits = jnp.asarray(np.random.default_rng(3).normal(size=(2, 4, 3)).astype(np.float32))
    texts, steps = jnp.array([[1, 1, 1], [1, 2, 0]]), jnp.array([4, 4])  # the first needs five columns
    loss, counted = ctc_loss(logits, steps, texts)
    alone, _ = ctc_loss(logits[1:], steps[1:], texts[1:])
    assert counted == 0.5
    np.testing.assert_allclose(loss, alone, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "svtr"}, "`name` .='svtr'"),
        ({"decoder": "beam"}, "`decoder` .='beam'"),
        ({"backbone": "vit"}, "`backbone` .='vit'"),
        ({"depth": 3}, "are unknown"),
        ({"hidden": 0}, "`hidden` .=0"),
    ],
)
def test_unknown_networks_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        create_recognizer(**options)


def test_in_bfloat16_the_loss_is_float32_and_nearly_that_of_float32():
    rng = np.random.default_rng(4)
    batch = {
        "image": jnp.asarray(rng.integers(0, 256, (2, 32, 32), np.uint8)),
        "width": jnp.full(2, 32),
        "text": jnp.asarray(rng.integers(1, 11, (2, 3), np.int32)),
    }
    options = {"classes": 11, "hidden": 8}
    variables = jax.jit(partial(fresh_variables, create_recognizer("crnn", **options), 0, WORD))()
    losses = []
    for dtype in (jnp.float32, jnp.bfloat16):
        model = create_recognizer("crnn", **options, dtype=dtype)
        loss, (_, updates) = jax.jit(recognition_loss(model, "ctc"))(variables, batch)
        assert {leaf.dtype for leaf in (loss, *jax.tree.leaves(updates))} == {jnp.dtype("float32")}
        losses.append(float(loss))
    assert losses[1] == pytest.approx(losses[0], rel=0.03)
    assert losses[1] != losses[0]
