"""Scene text detection with Differentiable Binarization, in JAX.

`Detector` finds text in pictures, `Reader` reads it, `create_model` makes the network, `train_and_evaluate` trains a
detector, and `keep_memory` makes them faster on a CPU.
"""

import os

from etils import epy

# Before the packages are imported that read these variables. Orbax reaches a bucket by etils, which takes TensorFlow's
# own way where TensorFlow is installed. That way has other credentials than gcsfs, and asks no emulator.
os.environ.setdefault("EPATH_USE_TF", "false")
# gcsfs asks for the kind of a bucket with each request, by a protocol that emulators lack. Many roles may not ask.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

# A name is imported when it is first used: the input pipeline imports `dbnet_jax.geometry`, and must not wait for JAX.
with epy.lazy_api_imports(globals()):
    from dbnet_jax.binarization import differentiable_binarization, standard_binarization
    from dbnet_jax.detector import Detector
    from dbnet_jax.evaluation import Scores, WordScores, evaluate_detections, evaluate_reading, evaluate_words
    from dbnet_jax.losses import db_loss
    from dbnet_jax.models import create_model
    from dbnet_jax.models.recognition import create_recognizer
    from dbnet_jax.optimizer import poly_schedule
    from dbnet_jax.postprocess import Detections, extract_polygons
    from dbnet_jax.reader import Page, Reader
    from dbnet_jax.recognition import Recognition, Recognizer
    from dbnet_jax.torch_weights import load_backbone_weights, load_torch_weights
    from dbnet_jax.train import train_and_evaluate
    from dbnet_jax.training.cpu_memory import keep_memory

__all__ = [
    "Detections",
    "Detector",
    "Page",
    "Reader",
    "Recognition",
    "Recognizer",
    "Scores",
    "WordScores",
    "create_model",
    "create_recognizer",
    "db_loss",
    "differentiable_binarization",
    "evaluate_detections",
    "evaluate_reading",
    "evaluate_words",
    "extract_polygons",
    "keep_memory",
    "load_backbone_weights",
    "load_torch_weights",
    "poly_schedule",
    "standard_binarization",
    "train_and_evaluate",
]
