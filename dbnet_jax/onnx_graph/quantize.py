"""Quantises an ONNX network to int8, in a process of its own.

    python -m dbnet_jax.onnx_graph.quantize NETWORK.onnx INPUTS.npz QUANTISED.onnx

NNCF forks this process, which JAX does not survive: JAX must not be imported here.
"""

import logging
import sys

import numpy as np


def main(network: str, inputs: str, output: str) -> None:
    """Reads the network and the arrays for its only input, and writes the quantised network."""
    import nncf
    import onnx

    logging.getLogger("nncf").setLevel(logging.ERROR)
    model = onnx.load(network)
    (name,) = (one.name for one in model.graph.input)
    with np.load(inputs) as arrays:
        samples = [{name: arrays[key]} for key in arrays.files]
    # MIXED keeps the sign of the values where an activation has one: hard-swish of the backbone.
    preset = nncf.QuantizationPreset.MIXED
    onnx.save(nncf.quantize(model, nncf.Dataset(samples), subset_size=len(samples), preset=preset), output)


if __name__ == "__main__":
    main(*sys.argv[1:])
