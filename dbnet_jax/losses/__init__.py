"""The loss of the detector (paper equation 6)."""

from dbnet_jax.losses.db import db_loss

__all__ = ["db_loss"]
