"""Text recognition as a task."""

import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array
from ml_collections import ConfigDict

from dbnet_jax.characters import without_file
from dbnet_jax.config.recognition import check_reading, check_recognition, recognition_config
from dbnet_jax.images.normalization import grey_to_unit
from dbnet_jax.losses.recognition import attention_loss, ctc_loss
from dbnet_jax.models.recognition.encoders import HEIGHT, column_counts
from dbnet_jax.models.variables import Variables
from dbnet_jax.recognition.recognizer import Recognizer, recognizer_from_config
from dbnet_jax.training.task import Batch, Loss, Metrics, Task
from dbnet_jax.typing import Image


class Recognition(Task):
    """Reading of words by a CRNN; see `Task`."""

    name = "recognition"
    metric = "accuracy"
    metrics = ("accuracy", "accuracy_case_sensitive")

    def default_config(self) -> ConfigDict:
        return recognition_config()

    def check(self, config: ConfigDict) -> None:
        check_recognition(config)

    def check_predict(self, config: ConfigDict) -> None:
        check_reading(config.predict)

    def open(self, config: ConfigDict, purpose: str) -> Any:
        from input_pipeline.from_config import open_split

        return open_split(config, purpose)

    def batches(
        self, config: ConfigDict, dataset: Any, bad_samples: Any, first_step: int
    ) -> Iterator[tuple[dict[str, Any], list[str]]]:
        from input_pipeline.from_config import make_word_batches

        return make_word_batches(config, dataset, bad_samples, first_step)

    def model(self, config: ConfigDict) -> nn.Module:
        return recognizer_from_config(config)

    def complete(self, config: ConfigDict) -> ConfigDict:
        config = config.copy_and_resolve_references()
        config.model.characters = without_file(config.model.characters)
        return config

    def example(self, config: ConfigDict) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((1, HEIGHT, 64, 1), jnp.float32)

    def loss(self, config: ConfigDict, model: nn.Module) -> Loss:
        return recognition_loss(model, config.model.decoder)

    def predictor(self, config: ConfigDict, variables: Variables, mesh: Mesh | None = None) -> Any:
        return Recognizer(config, variables, mesh=mesh)

    def evaluator(self, config: ConfigDict, dataset: Any, **options: Any) -> Any:
        from dbnet_jax.evaluation.word_evaluator import WordEvaluator

        return WordEvaluator(dataset, **options)

    def picture(self, predictor: Any, dataset: Any) -> Image:
        from dbnet_jax.pages.words import training_picture

        return training_picture(predictor, dataset)

    def report(self, workdir: str | os.PathLike[str], evaluation: Any, predictor: Any, dataset: Any) -> dict[str, Any]:
        from dbnet_jax.pages.words import write_word_report

        return write_word_report(workdir, evaluation, predictor, dataset)

    def facts(self, config: ConfigDict, size: str) -> list[str]:
        model = config.model
        return [
            f"Network: {model.name}, encoder {model.backbone}, LSTMs of {model.hidden}, {model.decoder}; {size}",
            f"Reads: the characters of {model.characters!r:.60}, words of up to {model.max_length} characters",
        ]


def recognition_loss(model: nn.Module, decoder: str) -> Loss:
    """The loss of a batch of `image` uint8 [batch, 32, width], `width` [batch] and `text` [batch, length]."""

    def loss(variables: Variables, batch: Batch) -> tuple[Array, tuple[Metrics, Variables]]:
        texts = batch["text"]
        forced = texts if decoder == "attention" else None
        logits: Any
        logits, updates = model.apply(
            variables, grey_to_unit(batch["image"]), batch["width"], forced, train=True, mutable=["batch_stats"]
        )
        if decoder == "attention":
            total = attention_loss(logits, texts)
            return total, ({"attention": total}, dict(updates))
        total, counted = ctc_loss(logits, column_counts(batch["width"]), texts)
        return total, ({"ctc": total, "counted": counted}, dict(updates))

    return loss
