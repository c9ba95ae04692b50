"""int8: the ONNX network of a detector with weights and activations of eight bits, for OpenVINO."""

import importlib.util
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence

import jax
import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from dbnet_jax.backends.sessions import open_session
from dbnet_jax.detection.looks import Looks
from dbnet_jax.detection.tiles import windows_of_look
from dbnet_jax.export.files import checked_path, write
from dbnet_jax.export.onnx import SUFFIX, onnx_content
from dbnet_jax.export.program import Network, program_of
from dbnet_jax.images.resize import padded_size, resize_and_pad
from dbnet_jax.typing import Image

_BOUND = 0.02  # of the mean difference of a map
_COMPARED = 4  # pictures

Inputs = UInt8[np.ndarray, "1 height width 3"]


def export_int8(network: Network, path: str | os.PathLike[str], pictures: Iterable[Image]) -> float:
    """Writes the file of `export_onnx`, quantised after training by NNCF: a quarter of its size.

    The network keeps its inputs and outputs. OpenVINO runs it faster; ONNX Runtime runs it, and not faster.

    **Arguments:**

    - `network`: a `Detector`, or the `Weights` of one.
    - `path`: ends in .onnx.
    - `pictures`: RGB, some 50 of the kind that will be looked at. They show which values the layers have. Where
        `config.predict` has several sizes of looks, the pictures have them in turn. With `config.predict.tiles`, one
        window of each picture is taken.

    **Returns:** the mean difference to JAX's maps on the first of them, in [0, 0.02].

    **Raises:** ImportError without the packages onnx, openvino and nncf; ValueError for a recogniser, without pictures,
    or if the difference is larger. Nothing is written then.
    """
    path = checked_path(path, SUFFIX)
    for package in ("onnx", "openvino", "nncf"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(f"int8 needs the package {package}: pip install 'dbnet_jax[int8]'")
    program = program_of(network)
    if program.reads:
        raise ValueError("`network` must be a detector: int8 is not for recognisers")
    predict = network.config.predict
    sizes = itertools.cycle(predict.sizes if predict.size is None else [predict.size])
    inputs = [_look(predict, image, size) for image, size in zip(pictures, sizes, strict=False)]
    if not inputs:
        raise ValueError("`pictures` (=[]) must be pictures of the kind that will be looked at, some 50")
    content = _quantised(onnx_content(network, program, path), inputs)
    run, exact = open_session("openvino", content), jax.jit(program.function)
    difference = 0.0
    for images in inputs[:_COMPARED]:
        wanted = np.asarray(exact(program.variables, images)[program.output])
        difference = max(difference, float(np.abs(run({"images": images})[program.output] - wanted).mean()))
    if not difference <= _BOUND:
        raise ValueError(
            f"the quantised network differs from JAX by {difference:.2g} in the mean of a map, and at most {_BOUND} is "
            "allowed: nothing was written. More pictures of the kind that will be looked at may help"
        )
    write(path, content)
    return difference


def _look(predict: ConfigDict, image: Image, size: int) -> Inputs:
    """What the network sees of a picture; of several windows the one with the most edges, as text has."""
    looks = Looks(predict)
    seen = looks.sizes(image, size).seen
    look = np.asarray(resize_and_pad(image, seen, padded_size(seen, predict.resize, size)))
    return look[None] if looks.window is None else max(windows_of_look(look, looks.window), key=_edges)


def _edges(images: Inputs) -> float:
    return float(np.abs(np.diff(images.astype(np.int16), axis=2)).mean())


def _quantised(network: bytes, inputs: Sequence[Inputs]) -> bytes:
    """**Raises:** ValueError with what NNCF printed where it fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files = [str(folder / file) for file in ("network.onnx", "inputs.npz", "int8.onnx")]
        pathlib.Path(files[0]).write_bytes(network)
        np.savez(files[1], *inputs)
        command = [sys.executable, "-m", "dbnet_jax.onnx_graph.quantize", *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"NNCF cannot quantise this network: {done.stderr.strip()[-500:]}")
        return pathlib.Path(files[2]).read_bytes()
