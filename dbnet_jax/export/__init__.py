"""A run's weights in files that others read."""

from dbnet_jax.export.weights import Exported, export_run

__all__ = ["Exported", "export_run"]
