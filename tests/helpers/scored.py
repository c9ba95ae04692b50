"""Boxes, and one picture scored by a protocol."""

from typing import Any

from dbnet_jax.evaluation import evaluate_detections


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def evaluate_one(detections: Any, truths: Any, ignore: Any = None, protocol: str = "iou") -> Any:
    ignore = [False] * len(truths) if ignore is None else ignore
    return evaluate_detections([detections], [truths], [ignore], protocol=protocol)
