"""The loss of the detector (paper equation 6), and in `recognition` those of a recogniser."""

from dbnet_jax.losses.db import db_loss

__all__ = ["db_loss"]
