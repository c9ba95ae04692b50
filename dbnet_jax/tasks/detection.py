"""Text detection as a task."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array
from ml_collections import ConfigDict

from dbnet_jax.config.checks import check_predict, check_training
from dbnet_jax.config.defaults import default_config
from dbnet_jax.detection.network import detection_map
from dbnet_jax.images.normalization import normalize
from dbnet_jax.losses import db_loss
from dbnet_jax.messages import check_choice
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.models.variables import Variables
from dbnet_jax.sharding import replicated
from dbnet_jax.training.device_pixels import make_renderer
from dbnet_jax.training.task import Batch, Loss, Metrics, Prepare, Task
from dbnet_jax.typing import Image


class Detection(Task):
    """Scene text detection by differentiable binarisation; see `Task`."""

    name = "detection"
    metric = "hmean"
    metrics = ("precision", "recall", "hmean")

    # The data, the evaluation and the pages are imported on demand: whoever only detects needs none of them.

    def default_config(self) -> ConfigDict:
        return default_config()

    def check(self, config: ConfigDict) -> None:
        check_training(config)
        _check_protocol(config)

    def check_predict(self, config: ConfigDict) -> None:
        check_predict(config.predict)
        detection_map(config)

    def open(self, config: ConfigDict, purpose: str) -> Any:
        from input_pipeline.bad_samples import check_some_text_counts
        from input_pipeline.from_config import open_split

        if purpose == "eval":  # a data set may take minutes to open
            _check_protocol(config)
        dataset = open_split(config, purpose)
        if purpose == "train":
            check_some_text_counts(dataset)
        return dataset

    def batches(
        self, config: ConfigDict, dataset: Any, bad_samples: Any, first_step: int
    ) -> Iterator[tuple[dict[str, Any], list[str]]]:
        from input_pipeline.from_config import make_batches

        return make_batches(config, dataset, bad_samples, first_step)

    def model(self, config: ConfigDict) -> nn.Module:
        return model_from_config(config)

    def loss(self, config: ConfigDict, model: nn.Module) -> Loss:
        return detection_loss(model, config.data.normalization, dict(config.loss))

    def prepare(self, config: ConfigDict) -> Prepare | None:
        data = config.data
        if data.pixels != "device":
            return None
        return make_renderer(tuple(data.crop), data.threshold_min, data.threshold_max)

    def resident(self, config: ConfigDict, dataset: Any, mesh: Mesh) -> Any:
        from input_pipeline.datasets.wrappers.on_device import StoredDataset

        if not isinstance(dataset, StoredDataset):
            return None
        pictures = dataset.pictures
        return jax.make_array_from_process_local_data(replicated(mesh), pictures, pictures.shape)

    def predictor(self, config: ConfigDict, variables: Variables, mesh: Mesh | None = None) -> Any:
        from dbnet_jax.detector import Detector

        return Detector(config, variables, mesh=mesh)

    def evaluator(self, config: ConfigDict, dataset: Any, **options: Any) -> Any:
        from dbnet_jax.evaluation.evaluator import Evaluator

        return Evaluator(dataset, config.evaluate.protocol, **options)

    def picture(self, predictor: Any, dataset: Any) -> Image:
        from dbnet_jax.pages.evaluation import training_picture

        return training_picture(predictor, dataset)

    def report(self, workdir: str | os.PathLike[str], evaluation: Any, predictor: Any, dataset: Any) -> dict[str, Any]:
        from dbnet_jax.pages.evaluation import write_report

        return write_report(workdir, evaluation, predictor, dataset)

    def facts(self, config: ConfigDict, size: str) -> list[str]:
        model, predict = config.model, config.predict
        deformable = ", deformable convolution" if model.dcn else ""
        limit = f" to {model.max_width}" if model.max_width is not None else ""
        fused = ", scale fusion (DBNet++)" if model.scale_fusion else ""
        chosen = {
            "fitting": f"{predict.first_size}, and those of {predict.sizes} that the text needs, merged",
            "all": f"each of {predict.sizes}, merged",
        }[predict.looks] + f"; text is best at a height of {predict.text_height:g} pixels"
        by_rule = f"are resized by the rule {predict.resize!r}, size {chosen if predict.size is None else predict.size}"
        resized = "keep their size" if predict.resize == "none" else by_rule
        return [
            f"Network: {model.backbone}, width {model.width}{limit}{deformable}, "
            f"{model.neck} of {model.inner_channels} channels{fused}; {size}",
            f"Detects: {predict.shape}s; pictures {resized}; box threshold {predict.box_threshold}",
            f"Pixels: normalization {config.data.normalization!r}",
        ]


def _check_protocol(config: ConfigDict) -> None:
    from dbnet_jax.evaluation import PROTOCOLS

    check_choice("config.evaluate.protocol", config.evaluate.protocol, PROTOCOLS)


def detection_loss(model: nn.Module, normalization: str, options: Mapping[str, Any]) -> Loss:
    """The loss of a batch of `image` [batch, height, width, 3] in [0, 255] and the four label maps of its name.

    **Arguments:** `normalization`: see `dbnet_jax.images.normalization`; `options`: keyword arguments of `db_loss`.
    """

    def loss(variables: Variables, batch: Batch) -> tuple[Array, tuple[Metrics, Variables]]:
        images = normalize(batch["image"], normalization)
        outputs, updates = model.apply(variables, images, train=True, mutable=["batch_stats"])
        labels = {name: batch[name] for name in batch if name != "image"}
        total, parts = db_loss(outputs, labels, **options)
        return total, (parts, dict(updates))

    return loss
