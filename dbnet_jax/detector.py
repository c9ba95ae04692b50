"""Finds the text in a picture."""

import contextlib
import copy
import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from dbnet_jax.config.checks import change_predict, check_predict
from dbnet_jax.detection.network import detection_map, make_eval_step
from dbnet_jax.detection.picture import DetectedPicture, Maps, Picture, Sizes, without_padding
from dbnet_jax.detection.pipeline import Failed, Ready, Stages, errors_in_place, overlapped
from dbnet_jax.detection.text_size import size_for_text
from dbnet_jax.images.decode import read_image
from dbnet_jax.images.resize import padded_size, resize_and_pad, resized_size
from dbnet_jax.models.from_config import map_names, model_from_config
from dbnet_jax.models.variables import Variables
from dbnet_jax.postprocess import Detections, extract_polygons
from dbnet_jax.sharding import replicated
from dbnet_jax.weights.run_folder import load_config, restore_variables
from dbnet_jax.weights.shipped import DEFAULT, pretrained_path

Source = Picture | str | os.PathLike[str] | Callable[[], Picture]
Kept = TypeVar("Kept")
Result = TypeVar("Result")


class Detector:
    """Finds text in pictures of any size. Polygons are in pixels of the picture.

    **Arguments:**

    - `config`: the sections `model`, `data` (the normalization) and `predict` are used.
    - `variables`: the network's `params` and `batch_stats`.
    - `mesh`: one axis "data" of local devices, which share each batch. The default is the first device.
    """

    def __init__(self, config: ConfigDict, variables: Variables, mesh: Mesh | None = None):
        check_predict(config.predict)
        self.config = config
        # Placed once and not with every batch.
        self._placement = None if mesh is None else replicated(mesh)
        self._variables = jax.device_put(variables, self._placement)
        self._devices = 1 if mesh is None else mesh.size
        # Each device takes the same number of pictures.
        self._batch_size = -(-int(config.predict.batch_size) // self._devices) * self._devices
        # Pictures that keep their size need no second pass: it would see the same.
        self._size = config.predict.first_size if config.predict.resize == "none" else config.predict.size
        self._map = detection_map(config)
        self._eval_step = make_eval_step(model_from_config(config), config.data.normalization, mesh)

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
        change_predict(config.predict, overrides)
        check_predict(config.predict)  # before any weights are read
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

    def with_variables(self, variables: Variables) -> "Detector":
        """The same detector with other weights. Nothing is compiled again."""
        other = copy.copy(self)
        other._variables = jax.device_put(variables, self._placement)
        return other

    def detect(self, image: Source) -> Detections:
        """The text in one picture.

        **Arguments:** `image`: RGB pixels in [0, 255], a picture file, or a function that returns the pixels.

        **Returns:** polygons (x, y) in pixels of the picture, and their scores in [0, 1].

        **Raises:** ValueError if the file cannot be decoded or `image` is none of these; FileNotFoundError if the file
        does not exist.
        """
        return self._alone(image, (self._map,))[0]

    def detect_with_maps(self, image: Source) -> tuple[Detections, Maps]:
        """The text in one picture, and all maps of the network, to look at."""
        return self._alone(image, map_names(self.config))

    def detect_batch(self, images: Sequence[Source]) -> list[Detections]:
        """The text in several pictures of any sizes, in their order; see `detect` and `detect_many`."""
        results = []
        with contextlib.closing(self.detect_many(images)) as found:
            for one in found:
                if isinstance(one, ValueError):
                    raise one
                results.append(one)
        return results

    def detect_many(self, images: Iterable[Source]) -> Generator[Detections | ValueError, None, None]:
        """The text in any number of pictures. Threads read and post-process while the network runs.

        Pictures of one padded shape share batches. `overlapped` states how many pictures are held and how iteration
        ends. With `config.predict.size` None, twice as many are held, because decoded pictures wait between the passes.

        **Arguments:** `images`: each as in `detect`; functions are called in the threads.

        **Returns:** an iterator over the results of `detect`, in order. For an unreadable picture it returns, and does
        not raise, the ValueError.

        **Raises:** ValueError if `images` is one path. Any other error is raised in its picture's place and ends the
        iteration, for example a missing file's.
        """
        if isinstance(images, (str, os.PathLike)):
            raise ValueError(f"`images` (={os.fspath(images)!r}) must be several pictures; `detect` takes one")
        return self._each(images, (self._map,), lambda image: None, lambda _, detections, maps: detections)

    def detect_many_with_maps(self, images: Iterable[Source]) -> Generator[DetectedPicture | ValueError, None, None]:
        """As `detect_many`, with the pictures and all of their maps, to look at."""
        return self._each(images, map_names(self.config), lambda image: image, DetectedPicture)

    def _each(
        self,
        images: Iterable[Source],
        names: tuple[str, ...],
        keep: Callable[[Picture], Kept],
        finish: Callable[[Kept, Detections, Maps], Result],
    ) -> Generator[Result | ValueError, None, None]:
        """The result of `finish` for each picture, at the configured size or at the size that its text needs."""
        predict = self.config.predict
        if self._size is not None:
            yield from self._look(((image, self._size) for image in images), names, keep, finish)
            return

        def choose(image: Picture, first: Detections, maps: Maps) -> tuple[Picture, int] | Ready:
            size = self._size_for(image, first)
            seen = self._has_seen(image, size, names)
            return Ready(finish(keep(image), first, maps)) if seen else (image, size)

        at_first = ((image, predict.first_size) for image in images)
        with contextlib.closing(self._look(at_first, (self._map,), lambda image: image, choose)) as chosen:
            yield from self._look(errors_in_place(chosen), names, keep, finish)

    def _look(
        self,
        sized: Iterable[tuple[Source, int] | Ready | ValueError | Failed],
        names: tuple[str, ...],
        keep: Callable[[Picture], Kept],
        finish: Callable[[Kept, Detections, Maps], Result],
    ) -> Generator[Result | ValueError, None, None]:
        """Takes each picture through the network at its given size. Earlier results and errors pass through.

        Only the result of `keep` is held of each picture.
        """

        def read(
            one: tuple[Source, int] | Ready | ValueError | Failed,
        ) -> tuple[Picture, tuple[Kept, Sizes]] | Ready | ValueError:
            if isinstance(one, Failed):
                raise one.error
            if isinstance(one, Ready | ValueError):
                return one
            try:
                image = self._read(one[0])
            except ValueError as error:
                return error
            pixels, sizes = self._fit(image, one[1])
            return pixels, (keep(image), sizes)

        def done(outputs: Mapping[str, np.ndarray], context: tuple[Kept, Sizes]) -> Result:
            kept, sizes = context
            maps = without_padding(outputs, sizes)
            return finish(kept, self._extract(maps, sizes), maps)

        stages = Stages(read, lambda batch: self._eval_step(self._variables, batch, names), done)
        return overlapped(sized, stages, batch_size=self._batch_size, least=self._devices)

    def _alone(self, source: Source, names: tuple[str, ...]) -> tuple[Detections, Maps]:
        """One picture through the same stages on this thread."""
        image, size = self._read(source), self._size
        if size is None:
            first = self._look_alone(image, self.config.predict.first_size, (self._map,))
            size = self._size_for(image, first[0])
            if self._has_seen(image, size, names):
                return first
        return self._look_alone(image, size, names)

    def _look_alone(self, image: Picture, size: int, names: tuple[str, ...]) -> tuple[Detections, Maps]:
        pixels, sizes = self._fit(image, size)
        outputs = jax.device_get(self._eval_step(self._variables, np.stack([pixels] * self._devices), names))
        maps = without_padding({name: values[0] for name, values in outputs.items()}, sizes)
        return self._extract(maps, sizes), maps

    def _read(self, source: Source) -> Picture:
        if isinstance(source, (str, os.PathLike)):
            return read_image(source, follow_exif=self.config.predict.follow_exif)
        image = source() if callable(source) else source
        if not isinstance(image, np.ndarray):
            kind = type(image).__name__
            raise ValueError(f"`image` (of type {kind}) must be a file's path, or uint8 [height, width, 3], RGB")
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"`image` ({image.dtype} {image.shape}) must be uint8 [height, width, 3], RGB, not empty")
        return image

    def _sizes(self, image: Picture, size: int) -> Sizes:
        predict, picture = self.config.predict, (image.shape[0], image.shape[1])
        return Sizes(picture, resized_size(picture, predict.resize, size, predict.max_side, predict.stretch_width))

    def _size_for(self, image: Picture, first: Detections) -> int:
        """The size of the second pass."""
        predict = self.config.predict
        picture, seen = self._sizes(image, predict.first_size)
        scale = seen[0] / picture[0]
        return size_for_text(first.polygons, predict.first_size, scale, predict.sizes, predict.text_height)

    def _has_seen(self, image: Picture, size: int, names: tuple[str, ...]) -> bool:
        """Whether a second pass at this size and for these maps would equal the first pass.

        For a panorama it does at any size, because `max_side` bounds all sizes.
        """
        again, before = self._sizes(image, size), self._sizes(image, self.config.predict.first_size)
        return again == before and names == (self._map,)

    def _fit(self, image: Picture, size: int | None = None) -> tuple[Picture, Sizes]:
        """The picture resized for the network (by default for the first pass) and padded to a common shape."""
        size = size or self._size or self.config.predict.first_size
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
        )
