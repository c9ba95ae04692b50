"""Finds the text in a picture."""

import contextlib
import copy
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import cv2
import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh
from ml_collections import ConfigDict

from dbnet_jax.backends.steps import detection_step
from dbnet_jax.config.checks import change_predict, check_predict
from dbnet_jax.detection.forked import claim_process
from dbnet_jax.detection.network import detection_map
from dbnet_jax.detection.picture import DetectedPicture, Maps, Sizes, notes_on_size, without_padding
from dbnet_jax.detection.pipeline import Stages, completed, overlapped
from dbnet_jax.detection.text_size import size_for_text
from dbnet_jax.images.decode import Picture
from dbnet_jax.images.resize import padded_size, resize_and_pad, resized_size
from dbnet_jax.images.sources import each_frame, is_one_picture, to_picture
from dbnet_jax.models.from_config import map_names
from dbnet_jax.models.variables import Variables
from dbnet_jax.postprocess import Detections, extract_polygons
from dbnet_jax.sharding import replicated
from dbnet_jax.typing import Image
from dbnet_jax.weights.run_folder import load_config, restore_variables
from dbnet_jax.weights.shipped import DEFAULT, pretrained_path

# A picture as `dbnet_jax.images.sources.to_picture` takes it, or a function that returns one.
Source = Any
Kept = TypeVar("Kept")
Result = TypeVar("Result")


class Detector:
    """Finds text in pictures of any size. Polygons are in pixels of the picture.

    **Arguments:**

    - `config`: the sections `model`, `data` (the normalization) and `predict` are used.
    - `variables`: the network's `params` and `batch_stats`.
    - `mesh`: one axis "data" of local devices, which share each batch. The default is the first device. The
        back ends other than XLA take no notice of it.

    **Raises:** ValueError if a field of `config.predict` is out of range. RuntimeError, here and in all methods, in a
    process that was forked from one with a detector: JAX hangs there.
    """

    def __init__(self, config: ConfigDict, variables: Variables, mesh: Mesh | None = None):
        _check_task(config)
        check_predict(config.predict)
        claim_process()
        self.config = config
        # Placed once and not with every batch.
        self._placement = None if mesh is None else replicated(mesh)
        self._variables = jax.device_put(variables, self._placement)
        self._devices = 1 if mesh is None else mesh.size
        # Each device takes the same number of pictures.
        self._batch_size = -(-int(config.predict.batch_size) // self._devices) * self._devices
        # Pictures that keep their size need no second pass: it would see the same.
        self._size = config.predict.first_size if config.predict.resize == "none" else config.predict.size
        self._first_size = self._size or config.predict.first_size
        self._reading = {name: config.predict[name] for name in ("follow_exif", "max_pixels")}
        self._map = detection_map(config)
        self._eval_step = detection_step(config, mesh)

    @classmethod
    def from_checkpoint(cls, workdir_or_file: str | os.PathLike[str], **overrides: Any) -> "Detector":
        """The detector of a run (its `config.json` and its best checkpoint) or of a weights file.

        **Arguments:**

        - `workdir_or_file`: the run's folder, or a .safetensors file of `--mode=export`.
        - `overrides`: fields of `config.predict`: `box_threshold=0.6`, `checkpoint="latest"`, …

        **Raises:** FileNotFoundError if there is no run, no checkpoint or no file; ValueError if an override is unknown
        or out of range, or the weights do not fit their config; for a file see also `load_weights`.
        """
        config = load_config(workdir_or_file, "workdir_or_file")
        _check_task(config)
        change_predict(config.predict, overrides)
        check_predict(config.predict)  # before any weights are read
        claim_process()
        return cls(config, restore_variables(config, workdir_or_file))

    @classmethod
    def from_pretrained(cls, name: str = DEFAULT, **overrides: Any) -> "Detector":
        """The detector with shipped weights.

        **Arguments:**

        - `name`: "small-word", …; `dbnet_jax.weights.shipped.pretrained_names` lists them.
        - `overrides`: fields of `config.predict`, as in `from_checkpoint`.

        **Raises:** ValueError if the name is unknown (the error lists the known names), or as `from_checkpoint` for an
        override.
        """
        return cls.from_checkpoint(pretrained_path(name), **overrides)

    @property
    def variables(self) -> Variables:
        """The network's `params` and `batch_stats`."""
        return self._variables

    def with_variables(self, variables: Variables) -> "Detector":
        """The same detector with other weights. Nothing is compiled again."""
        claim_process()
        other = copy.copy(self)
        other._variables = jax.device_put(variables, self._placement)
        return other

    def detect(self, image: Source) -> Detections:
        """The text in one picture.

        **Arguments:** `image`: one of these, or a function that returns one of them:

        - a picture file: its path, its content as bytes, or the open file,
        - pixels [height, width], [height, width, 1], [height, width, 3] RGB or [height, width, 4] RGBA: uint8, uint16
          (65535 is full brightness), bool, float in [0, 1], or other integers in [0, 255],
        - a PIL image of any mode.

        **Returns:** polygons (x, y) in pixels of the picture, their scores in [0, 1], and notes on the picture, for
        example that the file has more frames than the one that was read.

        **Raises:** ValueError if the file cannot be decoded, or if `image` is none of these; FileNotFoundError if the
        file does not exist.
        """
        return self.detect_batch([image])[0]

    def detect_with_maps(self, image: Source) -> tuple[Detections, Maps]:
        """The text in one picture, and all maps of the network, to look at."""
        found, *_ = _without_errors(self.detect_many_with_maps([image]))
        return found.detections, found.maps

    def detect_batch(self, images: Sequence[Source]) -> list[Detections]:
        """The text in several pictures of any sizes, in their order; see `detect` and `detect_many`."""
        return _without_errors(self.detect_many(images))

    def detect_many(self, images: Iterable[Source]) -> Generator[Detections | ValueError, None, None]:
        """The text in any number of pictures. Threads read and post-process while the network runs.

        Pictures of one padded shape share batches. `overlapped` states how many pictures are held and how iteration
        ends. With `config.predict.size` None, twice as many are held, because decoded pictures wait between the passes.

        With `config.predict.frames` "all", a path of a file with several frames gives a result for each of them, in
        the file's place.

        If regions of a picture are left out because of `config.predict.max_candidates`, a warning and a note say so.

        **Arguments:** `images`: each as in `detect`; functions are called in the threads.

        **Returns:** an iterator over the results of `detect`, in order. For an unreadable picture, and for one that
        needs more memory than there is, it returns, and does not raise, the ValueError.

        **Raises:** ValueError if `images` is one picture. Any other error is raised in its picture's place and ends the
        iteration, for example a missing file's.
        """
        if is_one_picture(images):
            what = f"={os.fspath(images)!r}" if isinstance(images, (str, os.PathLike)) else type(images).__name__
            raise ValueError(f"`images` ({what}) must be several pictures; `detect` takes one")
        return self._each(images, (self._map,), lambda picture: picture.name, _warned)

    def detect_many_with_maps(self, images: Iterable[Source]) -> Generator[DetectedPicture | ValueError, None, None]:
        """As `detect_many`, with the pictures and all of their maps, to look at."""
        return self._each(images, map_names(self.config), lambda picture: picture.image, DetectedPicture)

    def _each(
        self,
        images: Iterable[Source],
        names: tuple[str, ...],
        keep: Callable[[Picture], Kept],
        finish: Callable[[Kept, Detections, Maps], Result],
    ) -> Generator[Result | ValueError, None, None]:
        """The result of `finish` for each picture, at the configured size or at the size that its text needs.

        Only the result of `keep` is held of a picture that is in its last pass.
        """
        batching = {"batch_size": self._batch_size, "least": self._devices}

        def open_first(source: Source) -> _Sized | ValueError:
            try:
                return _Sized(self._read(source), self._first_size)
            except ValueError as error:
                return error

        def choose(picture: Picture, first: Detections, maps: Maps) -> _Sized | Result:
            again = _Sized(picture, self._size_for(picture.image, first))
            # For a panorama the passes are equal at any size, because `max_side` bounds all sizes.
            sizes = [self._sizes(picture.image, size) for size in (again.size, self._first_size)]
            return finish(keep(picture), first, maps) if names == (self._map,) and sizes[0] == sizes[1] else again

        sources = each_frame(images, **self._reading) if self.config.predict.frames == "all" else images
        if self._size is not None:
            yield from overlapped(sources, self._stages(open_first, names, keep, finish), **batching)
            return
        first = self._stages(open_first, (self._map,), lambda picture: picture, choose)
        with contextlib.closing(completed(sources, first, **batching)) as chosen:
            second: Stages[Any, Any, Result] = self._stages(Future.result, names, keep, finish)
            yield from overlapped(chosen, second, **batching)

    def _stages(
        self,
        open_source: Callable[[Any], "_Sized | Result | ValueError"],
        names: tuple[str, ...],
        keep: Callable[[Picture], Kept],
        finish: Callable[[Kept, Detections, Maps], Result],
    ) -> Stages[Any, tuple[Kept, Sizes, tuple[str, ...]], Result]:
        """One pass. Results and errors that `open_source` returns need no network."""

        def read(source: Any) -> tuple[Image, tuple[Kept, Sizes, tuple[str, ...]]] | Result | ValueError:
            opened = open_source(source)
            if not isinstance(opened, _Sized):
                return opened
            picture = opened.picture
            try:
                pixels, sizes = self._fit(picture.image, opened.size)
            except (MemoryError, cv2.error):  # OpenCV has an error of its own for it
                height, width = picture.image.shape[:2]
                return ValueError(f"{picture.name}: its {width}×{height} pixels need more memory than there is")
            return pixels, (keep(picture), sizes, picture.notes + self._notes(sizes, opened.size))

        def done(outputs: Mapping[str, np.ndarray], context: tuple[Kept, Sizes, tuple[str, ...]]) -> Result:
            kept, sizes, notes = context
            maps = without_padding(outputs, sizes)
            found = self._extract(maps, sizes)
            return finish(kept, replace(found, notes=notes + found.notes), maps)

        return Stages(read, lambda batch: self._eval_step(self._variables, batch, names), done)

    def _read(self, source: Source) -> Picture:
        return to_picture(source() if callable(source) else source, **self._reading)

    def _sizes(self, image: Image, size: int) -> Sizes:
        predict, picture = self.config.predict, (image.shape[0], image.shape[1])
        return Sizes(picture, resized_size(picture, predict.resize, size, predict.max_side, predict.stretch_width))

    def _notes(self, sizes: Sizes, size: int) -> tuple[str, ...]:
        predict = self.config.predict
        unlimited = resized_size(sizes.picture, predict.resize, size, sys.maxsize, predict.stretch_width)
        return notes_on_size(sizes, unlimited, predict.max_side)

    def _size_for(self, image: Image, first: Detections) -> int:
        """The size of the second pass."""
        predict, size = self.config.predict, self._first_size
        picture, seen = self._sizes(image, size)
        return size_for_text(first.polygons, size, seen[0] / picture[0], predict.sizes, predict.text_height)

    def _fit(self, image: Image, size: int) -> tuple[Image, Sizes]:
        """The picture resized for the network and padded to a common shape."""
        sizes = self._sizes(image, size)
        return resize_and_pad(image, sizes.seen, padded_size(sizes.seen, self.config.predict.resize, size)), sizes

    def _extract(self, maps: Mapping[str, Any], sizes: Sizes) -> Detections:
        predict = self.config.predict
        return extract_polygons(
            np.ascontiguousarray(maps[self._map]),
            image_size=sizes.picture,
            shape=predict.shape,
            threshold=predict.threshold,
            box_threshold=predict.box_threshold,
            unclip_ratio=predict.unclip_ratio,
            max_candidates=predict.max_candidates,
            min_size=predict.min_size,
            rings=predict.rings,
        )


@dataclass(frozen=True)
class _Sized:
    """A picture for a pass, and its size there."""

    picture: Picture
    size: int


def _check_task(config: ConfigDict) -> None:
    if config.task != "detection":
        raise ValueError(
            f"`config.task` (={config.task!r}) must be 'detection': these weights find no text. Recognizer takes those "
            "of a recogniser, and --mode=read takes them as --recognizer"
        )


def _warned(name: str, found: Detections, maps: Maps) -> Detections:
    """The detections; a warning where regions were left out."""
    if found.left_out:
        logging.warning("%s: %s", name, found.notes[-1])
    return found


def _without_errors(found: Generator[Result | ValueError, None, None]) -> list[Result]:
    """All results. **Raises:** the first ValueError that is a result."""
    results = []
    with contextlib.closing(found):
        for one in found:
            if isinstance(one, ValueError):
                raise one
            results.append(one)
    return results
