"""The detectors that rapidocr_detector.py compares, taken to pieces: ours by XLA, ours by ONNX Runtime, RapidOCR's."""

import argparse
import copy
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx_runtime import difference, export

OURS, OURS_ONNX = "ours, XLA", "ours, ONNX Runtime"


@dataclass(frozen=True)
class Side:
    """A detector taken to pieces; pictures are RGB uint8 [height, width, 3].

    **Arguments:**

    - `prepare`: gives what the network takes of a picture, and what `finish` must know.
    - `network`: gives the probability map, a NumPy array.
    - `finish`: gives the polygons [vertices, 2], in pixels (x, y) of the picture.
    - `many`: the polygons of many pictures, which it takes as functions that read them; None is one after another.
    """

    prepare: Callable[[np.ndarray], tuple[np.ndarray, Any]]
    network: Callable[[np.ndarray], np.ndarray]
    finish: Callable[[np.ndarray, Any], Sequence[np.ndarray]]
    many: Callable[[Iterable[Callable[[], np.ndarray]]], list[Any]] | None = None

    def detect(self, image: np.ndarray) -> Sequence[np.ndarray]:
        """The polygons in a picture."""
        pixels, context = self.prepare(image)
        return self.finish(self.network(pixels), context)

    def read_and_detect(self, readers: Sequence[Callable[[], np.ndarray]]) -> None:
        """From files to polygons, as fast as this side can."""
        if self.many is None:
            for read in readers:
                self.detect(read())
        else:
            self.many(readers)


def make_detectors(options: argparse.Namespace, folder: pathlib.Path | None) -> dict[str, Any]:
    """Ours by XLA, and by ONNX Runtime if there is a folder; all but the size as the weights' own config says.

    **Raises:** ValueError where the network cannot be written as ONNX.
    """
    from dbnet_jax.detector import Detector

    load = Detector.from_checkpoint if pathlib.Path(options.weights).exists() else Detector.from_pretrained
    ours = load(options.weights, resize="short", size=options.size, batch_size=1)
    if folder is None:
        return {OURS: ours}
    model = ours.config.model
    network = argparse.Namespace(backbone=model.backbone, width=model.width, inner=model.inner_channels)
    exported = copy.copy(ours)
    try:
        file = export(ours, network, folder / "network.onnx")
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"the PyTorch twin is no such network, --no-onnx leaves it out: {error!r}") from error
    exported._eval_step = onnx_step(file, options.threads)
    return {OURS: ours, OURS_ONNX: exported}


def onnx_step(file: pathlib.Path, threads: int) -> Callable[..., dict[str, np.ndarray]]:
    """ONNX Runtime with so many threads in the place of the detector's compiled forward pass."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])

    def step(variables: Any, images: Any, maps: tuple[str, ...]) -> dict[str, np.ndarray]:
        (probability_map,) = session.run(None, {"images": np.asarray(images)})
        return dict.fromkeys(maps, probability_map)

    return step


def our_side(detector: Any) -> Side:
    """The stages of `Detector.detect`; files by `Detector.detect_many`."""

    def network(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(detector._eval_step(detector._variables, pixels[None], (detector._map,))[detector._map][0])

    def finish(probability_map: np.ndarray, sizes: Any) -> list[np.ndarray]:
        height, width = sizes.seen
        return detector._extract({detector._map: probability_map[:height, :width]}, sizes).polygons

    return Side(detector._fit, network, finish, lambda readers: list(detector.detect_many(readers)))


def make_rapidocr(threads: int) -> Any:
    """RapidOCR's text detector alone, with its own config but for the threads."""
    import rapidocr_onnxruntime
    import yaml
    from rapidocr_onnxruntime.ch_ppocr_det import TextDetector

    package = pathlib.Path(rapidocr_onnxruntime.__file__).parent
    config = yaml.safe_load((package / "config.yaml").read_text())["Det"]
    return TextDetector(config | {"model_path": str(package / config["model_path"]), "intra_op_num_threads": threads})


def their_side(size: int | None, threads: int) -> Side:
    """RapidOCR's detector with the short side at `size`, or where its own config puts it: 736 or more.

    Its own code does every step, resizing to multiples of 32 included; a given size is only another ratio.
    """
    from rapidocr_onnxruntime.ch_ppocr_det.utils import DetPreProcess

    detector = make_rapidocr(threads)

    def preprocess(height: int, width: int) -> Callable[[np.ndarray], np.ndarray]:
        if size is None:
            return detector.get_preprocess(max(height, width))
        # "min" enlarges what is smaller and leaves the rest alone, and "max" shrinks what is larger.
        small, large = sorted((height, width))
        limit, kind = (size, "min") if small < size else (size * large / small, "max")
        return DetPreProcess(limit, kind, detector.mean, detector.std)

    def prepare(image: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
        height, width = image.shape[:2]
        return preprocess(height, width)(bgr(image)), (height, width)

    def finish(probability_map: np.ndarray, picture: tuple[int, int]) -> Sequence[np.ndarray]:
        boxes, _ = detector.postprocess_op(probability_map, picture)
        return detector.filter_tag_det_res(boxes, picture)

    return Side(prepare, lambda pixels: detector.infer(pixels)[0], finish)


def check(detectors: Mapping[str, Any], side: Side, image: np.ndarray, threads: int) -> None:
    """**Raises:** ValueError unless our networks agree, and RapidOCR taken to pieces finds what RapidOCR does."""
    if OURS_ONNX in detectors:
        pictures: Any = [image]  # a detector reads pixels as well as files
        difference(detectors[OURS], detectors[OURS_ONNX], pictures)
    boxes, _ = make_rapidocr(threads)(bgr(image))
    if not np.array_equal(np.asarray(boxes), np.asarray(side.detect(image))):
        raise ValueError("RapidOCR finds something else when it is called as a whole")


def bgr(image: np.ndarray) -> np.ndarray:
    """A picture as RapidOCR's own reader gives it."""
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
