"""Finds the text in a picture."""

import contextlib
import copy
import functools
import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

import cv2
import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh
from jaxtyping import UInt8
from ml_collections import ConfigDict

from dbnet_jax.backends.steps import detection_step
from dbnet_jax.config.checks import change_predict, check_predict
from dbnet_jax.detection.forked import claim_process
from dbnet_jax.detection.looks import Look, Looks
from dbnet_jax.detection.merging import FoundAt, merge_looks
from dbnet_jax.detection.network import detection_map
from dbnet_jax.detection.picture import DetectedPicture, Maps, Sizes, without_padding
from dbnet_jax.detection.pipeline import ForNetwork, Stages, completed, overlapped
from dbnet_jax.detection.tiles import maps_by_windows
from dbnet_jax.images.decode import BadPicture, Picture, reading_options
from dbnet_jax.images.resize import padded_size, resize_and_pad
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

# Pictures at a time that windows look at, with their decoded pixels: one is read, one is in the network, one waits on
# either side of it.
_HELD = 4


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
        # Placed once and not with every batch.
        self._mesh = mesh
        self._placement = None if mesh is None else replicated(mesh)
        self._variables = jax.device_put(variables, self._placement)
        self._devices = 1 if mesh is None else mesh.size
        self._configure(config)
        self._eval_step = detection_step(config, mesh)

    def _configure(self, config: ConfigDict) -> None:
        """Sets what `config.predict` decides."""
        self.config = config
        # Each device takes the same number of pictures.
        self._batch_size = -(-int(config.predict.batch_size) // self._devices) * self._devices
        self._looks = Looks(config.predict)
        self._reading = reading_options(config.predict)
        self._map = detection_map(config)

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

    def with_options(self, **overrides: Any) -> "Detector":
        """The same detector with other fields of `config.predict`. The weights and the compiled network are shared.

        Another `backend` or `network` prepares the network again, and with a `network` another `map`.

        **Arguments:** `overrides`: as in `from_checkpoint`.

        **Raises:** ValueError if an override is unknown or out of range; ImportError if a package of `backend` is
        missing.
        """
        claim_process()
        config = copy.deepcopy(self.config)
        change_predict(config.predict, overrides)
        check_predict(config.predict)
        other = copy.copy(self)
        other._configure(config)
        if _program(config.predict) != _program(self.config.predict):
            other._eval_step = detection_step(config, self._mesh)
        return other

    def detect(self, image: Source) -> Detections:
        """The text in one picture.

        **Arguments:** `image`: one of these, or a function that returns one of them:

        - a picture file or a PDF: its path, its content as bytes, or the open file; its first frame or page is read,
        - pixels [height, width], [height, width, 1], [height, width, 3] RGB or [height, width, 4] RGBA: uint8, uint16
          (65535 is full brightness), bool, float in [0, 1], or other integers in [0, 255],
        - a PIL image of any mode.

        **Returns:** polygons (x, y) in pixels of the picture, their scores in [0, 1], and notes on the picture, for
        example that the file has more frames than the one that was read.

        **Raises:** ValueError if the file cannot be decoded, or if `image` is none of these; FileNotFoundError if the
        file does not exist.
        """
        return self.detect_batch([functools.partial(self._read, image)])[0]  # a file's first frame, and no others

    def detect_with_maps(self, image: Source) -> tuple[Detections, Maps]:
        """The text in one picture, and all maps of the network, to look at.

        Of several looks, the maps are those of the last one; after the first look, larger sizes come last.
        """
        (found,) = _without_errors(self.detect_many_with_maps([functools.partial(self._read, image)]))
        return found.detections, found.maps

    def detect_batch(self, images: Sequence[Source]) -> list[Detections]:
        """The text in several pictures of any sizes, in their order; see `detect` and `detect_many`."""
        return _without_errors(self.detect_many(images))

    def detect_many(self, images: Iterable[Source]) -> Generator[Detections | ValueError, None, None]:
        """The text in any number of pictures. Threads read and post-process while the network runs.

        Pictures of one padded shape share batches. `overlapped` states how many pictures are held and how iteration
        ends. With n looks, n times as many are held, because decoded pictures wait between the looks. With
        `config.predict.tiles`, batches are of the windows of one picture, and fewer pictures are held.

        With `config.predict.frames` "all", a path of a file with several frames or pages gives a result for each of
        them, in the file's place.

        If regions of a picture are left out because of `config.predict.max_candidates`, a warning and a note say so.

        **Arguments:** `images`: each as in `detect`; functions are called in the threads.

        **Returns:** an iterator over the results of `detect`, in order. For an unreadable picture, and for one that
        needs more memory than there is to decode or to resize it, it returns, and does not raise, the ValueError.

        **Raises:** ValueError if `images` is one picture. Any other error is raised in its picture's place and ends the
        iteration, for example a missing file's, or that of a batch for which the network has too little memory.
        """
        _check_several(images)
        return self._each(images, (self._map,), lambda picture: picture.name, _warned)

    def detect_each(
        self, images: Iterable[Source], finish: Callable[[Picture, Detections], Result]
    ) -> Generator[Result | ValueError, None, None]:
        """As `detect_many`, but returns what `finish` makes of each picture and of the text in it, in the threads."""
        _check_several(images)
        return self._each(
            images,
            (self._map,),
            lambda picture: picture,
            lambda picture, found, maps: finish(picture, _warned(picture.name, found, maps)),
        )

    def detect_many_with_maps(self, images: Iterable[Source]) -> Generator[DetectedPicture | ValueError, None, None]:
        """As `detect_many`, with the pictures and all of their maps, to look at."""
        _check_several(images)
        return self._each(images, map_names(self.config), lambda picture: picture.image, DetectedPicture)

    def _each(
        self,
        images: Iterable[Source],
        names: tuple[str, ...],
        keep: Callable[[Picture], Kept],
        finish: Callable[[Kept, Detections, Maps], Result],
    ) -> Generator[Result | ValueError, None, None]:
        """The result of `finish` for each picture, after all looks at it. Each look is one run of the pipeline.

        Only the result of `keep` is held of a picture that is in its last look.
        """
        batching = {"batch_size": self._batch_size, "least": self._devices}
        if self._looks.window is not None:
            batching = {"batch_size": 1, "held": _HELD}  # the batches are of windows

        def go_on(look: Look, found: tuple[FoundAt, ...], maps: Maps) -> Look | _Repeated | Result:
            if (following := self._looks.after(look, found)) is not None:
                return following
            # This look made one map. It is repeated if more are asked for.
            return end(keep(look.picture), found, maps) if names == (self._map,) else _Repeated(look)

        def end(kept: Kept, found: tuple[FoundAt, ...], maps: Maps) -> Result:
            return finish(kept, merge_looks(found, self.config.predict.text_height), maps)

        sources = each_frame(images, **self._reading) if self.config.predict.frames == "all" else images
        opening: Callable[[Any], Any] = self._first_look
        with contextlib.ExitStack() as stack:
            for _ in range(self._looks.most - 1):
                early: Stages[Any, Any, Look | _Repeated | Result] = self._stages(
                    opening, (self._map,), lambda look: look, go_on
                )
                sources = stack.enter_context(contextlib.closing(completed(sources, early, **batching)))
                opening = Future.result
            last: Stages[Any, Any, Result] = self._stages(
                lambda source: _look_of(opening(source)), names, lambda look: keep(look.picture), end
            )
            yield from overlapped(sources, last, **batching)

    def _stages(
        self,
        open_source: Callable[[Any], Look | Result | ValueError],
        names: tuple[str, ...],
        keep: Callable[[Look], Kept],
        finish: Callable[[Kept, tuple[FoundAt, ...], Maps], Result],
    ) -> Stages[Any, "_Context[Kept]", Result]:
        """One look at each picture. Results and errors that `open_source` returns need no network."""

        def read(source: Any) -> ForNetwork[_Context[Kept]] | Result | ValueError:
            look = open_source(source)
            if not isinstance(look, Look):
                return look
            picture, size = look.picture, look.sizes[0]
            try:
                pixels, sizes = self._fit(picture.image, size)
            except (MemoryError, cv2.error) as error:
                return _unfit(picture, error)
            notes = picture.notes + self._looks.notes(sizes, size)
            return ForNetwork(pixels, _Context(keep(look), look.found, sizes, notes))

        def done(outputs: Mapping[str, np.ndarray], context: _Context[Kept]) -> Result:
            sizes = context.sizes
            maps = without_padding(outputs, sizes)
            found = self._extract(maps, sizes)
            now = FoundAt(replace(found, notes=context.notes + found.notes), sizes.seen[0] / sizes.picture[0])
            return finish(context.kept, (*context.found, now), maps)

        return Stages(read, functools.partial(self._forward, names=names), done)

    def _forward(self, images: UInt8[np.ndarray, "batch height width 3"], names: tuple[str, ...]) -> dict[str, Any]:
        """The maps of a batch of looks; through windows, the batch is one look."""

        def step(batch: UInt8[np.ndarray, "batch height width 3"]) -> dict[str, Any]:
            return self._eval_step(self._variables, batch, names)

        if (window := self._looks.window) is None:
            return step(images)
        maps = maps_by_windows(images[0], window, step, batch_size=self._batch_size, least=self._devices)
        return {name: values[None] for name, values in maps.items()}

    def _first_look(self, source: Source) -> Look | ValueError:
        try:
            picture = self._read(source)
        except ValueError as error:
            return error
        return self._looks.first(picture)

    def _read(self, source: Source) -> Picture:
        return to_picture(source() if callable(source) else source, **self._reading)

    def _fit(self, image: Image, size: int) -> tuple[Image, Sizes]:
        """The picture resized for the network and padded to a common shape.

        Windows see the padding too: the network loses text at an edge that hardly any padding follows.
        """
        sizes = self._looks.sizes(image, size)
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


class _Repeated(NamedTuple):
    """The last look at a picture, before it is repeated for the maps that it did not make."""

    look: Look


def _look_of(opened: Any) -> Any:
    return opened.look if isinstance(opened, _Repeated) else opened


@dataclass(frozen=True)
class _Context(Generic[Kept]):
    """What is held of a picture during a look: `found` by the looks before, its sizes and its notes."""

    kept: Kept
    found: tuple[FoundAt, ...]
    sizes: Sizes
    notes: tuple[str, ...]


def _check_task(config: ConfigDict) -> None:
    if config.task != "detection":
        raise ValueError(
            f"`config.task` (={config.task!r}) must be 'detection': these weights find no text. Recognizer takes those "
            "of a recogniser, and --mode=read takes them as --recognizer"
        )


def _program(predict: ConfigDict) -> tuple[str, ...]:
    """What decides which program runs the network. The map counts where a file, which may lack it, is the network."""
    return predict.backend, predict.network, predict.map if predict.network else ""


def _check_several(images: Iterable[Source]) -> None:
    if is_one_picture(images):
        what = f"={os.fspath(images)!r}" if isinstance(images, (str, os.PathLike)) else type(images).__name__
        raise ValueError(f"`images` ({what}) must be several pictures: put a single one into a list")


def _unfit(picture: Picture, error: MemoryError | cv2.error) -> BadPicture:
    """What is returned for a picture that cannot be resized. OpenCV has an error of its own for too little memory."""
    height, width = picture.image.shape[:2]
    what = f"{picture.name}: its {width}×{height} pixels"
    if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
        return BadPicture(f"{what} cannot be resized: {error.err}")
    return BadPicture(f"{what} need more memory than there is")


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
