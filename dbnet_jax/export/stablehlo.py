"""StableHLO: for programs with JAX, without Flax and without this package."""

import functools
import importlib.util
import os

import jax
from jax import export

from dbnet_jax.export.files import checked_path, metadata, with_archive, write
from dbnet_jax.export.program import Network, checked_difference, program_of

SUFFIX = ".stablehlo"
PLATFORMS = ("cpu", "cuda", "tpu")


def export_stablehlo(network: Network, path: str | os.PathLike[str]) -> float:
    """Writes a file of `jax.export` for CPUs, NVIDIA GPUs and TPUs. Its loader needs jax and flatbuffers.

    Inputs, output and sizes are those of `export_onnx`; attention decoders can be exported too. Newer versions of JAX
    load the files of older ones, not the reverse: export with the oldest JAX that has to load the file. Behind the
    program, the file contains a zip archive with the config and the card.

    **Arguments:**

    - `network`: a `Detector`, a `Recognizer` or `Weights`.
    - `path`: ends in .stablehlo.

    **Returns:** the largest difference to JAX's probabilities, in [0, 0.001], of the file as it is loaded.

    **Raises:** ImportError without the package flatbuffers; ValueError if the file differs from JAX. Nothing is written
    then.
    """
    path = checked_path(path, SUFFIX)
    if importlib.util.find_spec("flatbuffers") is None:
        raise ImportError("StableHLO needs the package flatbuffers: pip install flatbuffers")
    program, scope = program_of(network), export.SymbolicScope()
    shapes = [
        jax.ShapeDtypeStruct(export.symbolic_shape(", ".join(map(str, shape)), scope=scope), kind)
        for kind, shape in program.shapes.values()
    ]
    exported = export.export(jax.jit(functools.partial(program.function, program.variables)), platforms=PLATFORMS)(
        *shapes
    )
    content = with_archive(bytes(exported.serialize()), metadata(network, path))
    loaded = export.deserialize(bytearray(content))
    difference = checked_difference(program, lambda inputs: loaded.call(*inputs.values()))
    write(path, content)
    return difference
