"""PyTorch's files: their names and layouts, the model that they are of, and their weights as variables."""

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
