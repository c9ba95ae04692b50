"""The detectors that rapidocr_detector.py compares, taken to pieces: ours by each back end, and RapidOCR's."""

import argparse
import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

OURS, OURS_ONNX, OURS_INT8 = "ours, XLA", "ours, ONNX Runtime", "ours, OpenVINO int8"
OURS_DEFAULT, OURS_LOOKS = "ours, its own settings", "ours, several looks"
BACKENDS = {"onnxruntime": OURS_ONNX, "openvino": "ours, OpenVINO", "openvino_float32": "ours, OpenVINO float32"}
"""The name of our side in each back end beside XLA."""


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


def make_detectors(options: argparse.Namespace) -> dict[str, Any]:
    """Ours by XLA, by each of `--backends`, and in int8; all but the size as the weights' own config says.

    And ours with all settings of that config, and with several looks at each photo.
    """
    from dbnet_jax.detector import Detector

    make = Detector.from_checkpoint if pathlib.Path(options.weights).exists() else Detector.from_pretrained
    load = functools.partial(make, options.weights, batch_size=1)
    fixed: dict[str, Any] = {"resize": "short", "size": options.size, "looks": "fitting"}
    several: dict[str, Any] = {"looks": "all", "sizes": tuple(options.looks), "text_height": options.text_height}
    detectors = {
        OURS: load(**fixed, backend="xla"),
        OURS_DEFAULT: load(backend="xla"),
        OURS_LOOKS: load(resize="short", size=None, backend="xla", **several),
    }
    detectors |= {BACKENDS[name]: load(**fixed, backend=name) for name in options.backends}
    if options.int8:
        detectors[OURS_INT8] = load(**fixed, backend="openvino", network=options.int8)
    return detectors


def difference(ours: Any, theirs: Any, image: np.ndarray) -> float:
    """The largest between the two probability maps of a picture. **Raises:** ValueError if it is no rounding."""
    pixels, _ = ours._fit(image, ours._looks.first_size)
    maps = [
        np.asarray(side._eval_step(side._variables, pixels[None], (side._map,))[side._map]) for side in (ours, theirs)
    ]
    largest = float(np.abs(maps[0] - maps[1]).max())
    if largest > 1e-3 or np.std(maps[0]) < 1e-3:
        raise ValueError(f"the two networks differ by {largest} in a probability")
    return largest


def our_side(detector: Any) -> Side:
    """The stages of `Detector.detect`; files by `Detector.detect_many`. Several looks at a photo are one stage."""

    def many(readers: Iterable[Callable[[], np.ndarray]]) -> list[Any]:
        return list(detector.detect_many(readers))

    if detector._looks.most > 1:
        return Side(lambda image: (image, None), detector.detect, lambda found, context: found.polygons, many)

    def network(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(detector._eval_step(detector._variables, pixels[None], (detector._map,))[detector._map][0])

    def finish(probability_map: np.ndarray, sizes: Any) -> list[np.ndarray]:
        height, width = sizes.seen
        return detector._extract({detector._map: probability_map[:height, :width]}, sizes).polygons

    return Side(lambda image: detector._fit(image, detector._looks.first_size), network, finish, many)


def make_rapidocr(threads: int, engine: str = "onnxruntime") -> Any:
    """RapidOCR's text detector alone, with its own config but for the threads and the program that runs the network."""
    from rapidocr import EngineType, RapidOCR

    settings: dict[str, Any] = {"EngineConfig.onnxruntime.intra_op_num_threads": threads, "Global.log_level": "error"}
    settings["Det.engine_type"] = EngineType(engine)
    reader = RapidOCR(params=settings)
    reader(np.zeros((64, 64, 3), np.uint8), use_cls=False, use_rec=False)  # loads the text detector
    return reader.text_det


def their_side(size: int | None, threads: int, engine: str = "onnxruntime") -> Side:
    """RapidOCR's detector with the short side at `size`, or where its own config puts it: 736 or more.

    Its own code does every step, resizing to multiples of 32 included; a given size is only another ratio.
    """
    from rapidocr.ch_ppocr_det.utils import DetPreProcess

    detector = make_rapidocr(threads, engine)

    def preprocess(height: int, width: int) -> Callable[[np.ndarray], np.ndarray]:
        if size is None:
            return detector.get_preprocess()
        # "min" enlarges what is smaller and leaves the rest alone, and "max" shrinks what is larger.
        small, large = sorted((height, width))
        limit, kind = (size, "min") if small < size else (size * large / small, "max")
        return DetPreProcess(limit, kind, detector.mean, detector.std)

    def prepare(image: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
        height, width = image.shape[:2]
        return preprocess(height, width)(bgr(image)), (height, width)

    def finish(probability_map: np.ndarray, picture: tuple[int, int]) -> Sequence[np.ndarray]:
        boxes, _ = detector.postprocess_op(probability_map, picture)
        return detector.sorted_boxes(boxes)

    return Side(prepare, detector.session, finish)


def check(detectors: Mapping[str, Any], side: Side, image: np.ndarray, threads: int) -> None:
    """**Raises:** ValueError unless our networks agree, and RapidOCR taken to pieces finds what RapidOCR does."""
    if OURS_ONNX in detectors:
        difference(detectors[OURS], detectors[OURS_ONNX], image)
    boxes = make_rapidocr(threads)(bgr(image)).boxes
    if not np.array_equal(np.asarray([] if boxes is None else boxes), np.asarray(side.detect(image))):
        raise ValueError("RapidOCR finds something else when it is called as a whole")


def bgr(image: np.ndarray) -> np.ndarray:
    """A picture as RapidOCR's own reader gives it."""
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
