"""Text recognition: what a word's picture says."""

from dbnet_jax.models.recognition import create_recognizer
from dbnet_jax.recognition.recognizer import Recognition, Recognizer

__all__ = ["Recognition", "Recognizer", "create_recognizer"]
