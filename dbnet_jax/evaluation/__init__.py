"""Scores of detections by the protocols of the benchmarks, and what is made of them."""

from dbnet_jax.evaluation.protocols import PROTOCOLS, Scores, evaluate_detections
from dbnet_jax.evaluation.reading import evaluate_reading
from dbnet_jax.evaluation.words import WordScores, evaluate_words

__all__ = ["PROTOCOLS", "Scores", "WordScores", "evaluate_detections", "evaluate_reading", "evaluate_words"]
