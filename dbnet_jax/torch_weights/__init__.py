"""Reads and writes PyTorch weights: files, names, layouts and model options."""

from dbnet_jax.torch_weights.convert import (
    convert_state_dict,
    describe,
    export_torch_weights,
    load_backbone_weights,
    load_torch_weights,
)

__all__ = [
    "convert_state_dict",
    "describe",
    "export_torch_weights",
    "load_backbone_weights",
    "load_torch_weights",
]
