"""Files and types of PyTorch weights, and files that are none."""

import json
import struct
import sys
import zipfile
from collections.abc import Iterator

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from dbnet_jax.models import create_model
from dbnet_jax.torch_weights import describe, export_torch_weights, load_torch_weights
from dbnet_jax.torch_weights.files import read_state_dict
from tests.helpers.torch_models import SMALL, assert_same, random_variables, shapes_found_once  # noqa: F401  (the fixture works by itself)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_any_floating_type_comes_in_as_float32_also_from_safetensors(tmp_path, dtype):
    model = create_model("resnet18", **SMALL)
    weights = {k: v.astype(dtype) for k, v in export_torch_weights(random_variables(model), model).items()}
    weights["backbone.bn1.num_batches_tracked"] = np.array(5)
    save_file(weights, tmp_path / "model.safetensors")
    want = weights["decoder.in2.weight"].astype(np.float32).transpose(2, 3, 1, 0)
    for source in (weights, tmp_path / "model.safetensors", str(tmp_path / "model.safetensors")):
        loaded = load_torch_weights(source, model)
        assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(loaded))
        np.testing.assert_array_equal(loaded["params"]["neck"]["in2"]["kernel"], want)


def test_a_number_beyond_float32_is_not_finite():
    model = create_model("resnet18", **SMALL)
    weights = export_torch_weights(random_variables(model), model)
    weights["backbone.bn1.weight"] = np.full(8, 1e300)
    with pytest.raises(ValueError, match=r"not finite: backbone\.bn1\.weight"):
        load_torch_weights(weights, model)


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "state_dict_ema"])
def test_what_is_wrapped_is_found(wrapper):
    weights = {"backbone.conv1.weight": np.ones((8, 3, 7, 7), np.float32)}
    for content in ({"epoch": 3, wrapper: weights, "optimizer": {"lr": 0.1}}, {wrapper: {"state_dict": weights}}):
        assert read_state_dict(content) == weights
    # What the run was evaluated with goes first.
    others = {"other": np.ones(1, np.float32)}
    if wrapper != "state_dict_ema":
        assert read_state_dict({wrapper: others, "state_dict_ema": weights}) == weights
        assert read_state_dict({wrapper: weights, "state_dict_ema": {}}) == weights


def test_a_dictionary_that_contains_itself_is_refused():
    content: dict = {}
    content["model"] = content
    with pytest.raises(ValueError, match="holds no state dict"):
        read_state_dict(content)


@pytest.mark.parametrize("wrapper", [None, "state_dict"])
def test_files_of_pytorch(tmp_path, wrapper):
    torch = pytest.importorskip("torch")
    model = create_model("resnet18", **SMALL)
    variables = random_variables(model)
    weights = {f"module.{k}": torch.from_numpy(v) for k, v in export_torch_weights(variables, model).items()}
    weights["module.backbone.bn1.num_batches_tracked"] = torch.tensor(5)
    content = weights if wrapper is None else {"epoch": 3, "optimizer": {"lr": 0.1}, wrapper: weights}
    # The official files have no suffix.
    torch.save(content, tmp_path / "totaltext_resnet18")
    assert_same(load_torch_weights(tmp_path / "totaltext_resnet18", model), variables)
    torch.save(content, tmp_path / "x.pth.tar", _use_new_zipfile_serialization=False)
    assert_same(load_torch_weights(tmp_path / "x.pth.tar", model), variables)


def test_tensors_of_bfloat16_and_with_gradients():
    torch = pytest.importorskip("torch")
    model = create_model("resnet18", **SMALL)
    weights = {k: torch.from_numpy(v) for k, v in export_torch_weights(random_variables(model), model).items()}
    weights = {k: torch.nn.Parameter(v.bfloat16()) for k, v in weights.items()}
    kernel = load_torch_weights(weights, model)["params"]["neck"]["in2"]["kernel"]
    want = weights["decoder.in2.weight"].detach().float().numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel, want)


class Harmful:
    """What a pickle may hold."""


def test_a_pickle_that_holds_more_than_tensors_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": {}, "hook": Harmful()}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"(?s)Harmful.*weights_only=False\).*\['state_dict'\]"):
        describe(tmp_path / "x.pth")


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth'\) does not exist"):
        describe(tmp_path / "nowhere.pth")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        describe(tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match=r"no whole \.safetensors"):
        describe(tmp_path / "x.safetensors")


def damaged(data: bytes) -> Iterator[bytes]:
    """The content of a file that was cut, or has other bytes somewhere."""
    for place in range(0, len(data), max(1, len(data) // 150)):
        yield data[:place]
        yield data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        yield data[:place] + bytes(64) + data[place + 64 :]
        yield data[:place] + data[place + 3 :]


@pytest.mark.parametrize("archive", [True, False])
def test_a_damaged_file_of_pytorch_is_read_as_it_was_or_is_one_clear_error(tmp_path, archive):
    torch = pytest.importorskip("torch")
    weights = {name: torch.arange(24.0).reshape(2, 3, 4) for name in ("backbone.conv1.weight", "backbone.bn1.weight")}
    path, read, errors = tmp_path / "x.pth", 0, []
    torch.save({"epoch": 3, "state_dict": weights}, path, _use_new_zipfile_serialization=archive)
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        try:
            found = read_state_dict(path)
        except ValueError as error:
            errors.append(str(error))
            continue
        read += 1
        # The format before torch 1.6 has no checksums: damage among the numbers cannot be seen.
        assert not archive or all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert len(errors) > 200
    assert all(str(path) in error for error in errors)
    assert read > 5


def test_numbers_that_an_archive_marks_as_a_folder_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"backbone.conv1.weight": torch.ones(2)}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as archive:
        start = archive.start_dir
    content = bytearray((tmp_path / "x.pth").read_bytes())
    content[content.index(b"x/data/0", start) - 8] |= 0x10  # the attributes are 8 bytes before the name
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match="data/0 is a file, and marked as a folder"):
        read_state_dict(tmp_path / "x.pth")


def test_an_archive_without_checksums_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"backbone.conv1.weight": torch.ones(2)}, tmp_path / "x.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_state_dict(tmp_path / "x.pth")["backbone.conv1.weight"].tolist() == [1, 1]


def test_a_tensor_that_numpy_cannot_have_is_listed():
    torch = pytest.importorskip("torch")
    model = create_model("resnet18", **SMALL)
    weights = {k: torch.from_numpy(v) for k, v in export_torch_weights(random_variables(model), model).items()}
    weights["backbone.bn1.weight"] = weights["backbone.bn1.weight"].to("meta")
    weights["backbone.bn1.bias"] = weights["backbone.bn1.bias"].to_sparse()
    with pytest.raises(ValueError, match=r"(?s)backbone\.bn1\.bias \(no array\).*backbone\.bn1\.weight \(no array\)"):
        load_torch_weights(weights, model)


@pytest.mark.parametrize("kind", ["F8_E5M2", "F4", "X9"])
def test_a_safetensors_file_of_a_type_that_numpy_lacks_is_refused(tmp_path, kind):
    size = 4 if kind == "F4" else 8
    header = json.dumps({"conv1.weight": {"dtype": kind, "shape": [8], "data_offsets": [0, size]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    with pytest.raises(ValueError, match=r"x\.safetensors'\) is no whole \.safetensors file, or"):
        describe(tmp_path / "x.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello " * 100, b"\x80\x02", b"PK\x03\x04 torn"])
def test_a_file_that_is_not_pytorchs(tmp_path, content):
    pytest.importorskip("torch")
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"^`config\.init\.backbone` \(='.*x\.pth'\) is damaged, or no file of PyTorch"
    ):
        read_state_dict(tmp_path / "x.pth", "config.init.backbone")


def test_without_torch_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "x.pth").write_bytes(b"")
    with pytest.raises(ImportError, match="pip install torch"):
        describe(tmp_path / "x.pth")
