"""Scores of detections by the protocols of the benchmarks, and what is made of them."""

from dbnet_jax.evaluation.protocols import PROTOCOLS, Scores, evaluate_detections

__all__ = ["PROTOCOLS", "Scores", "evaluate_detections"]
