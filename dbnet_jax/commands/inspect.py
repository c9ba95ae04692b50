"""What a config's training would see, before it trains: examples with their label maps, and the shape of all text."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from absl.app import UsageError
from jaxtyping import Bool, UInt8
from ml_collections import ConfigDict

from dbnet_jax.commands.inspect_words import inspect_words
from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import config_or_saved
from dbnet_jax.config.checks import check_training
from dbnet_jax.files import check_files
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.inspection.statistics import PictureText, Statistics, gather
from dbnet_jax.messages import Problem
from dbnet_jax.pages.inspection import InspectedExample, Inspection, held_out, title_of, write_inspection_page
from dbnet_jax.pages.page import PAGE, command_line, problem_list
from dbnet_jax.training.task import task_of
from dbnet_jax.typing import Polygon
from input_pipeline.bad_samples import BadSamples, nothing_counts, why_nothing_counts
from input_pipeline.datasets.sample import Dataset, Sample
from input_pipeline.datasets.wrappers.base import Wrapper
from input_pipeline.examples import LABELS, Example
from input_pipeline.from_config import make_examples, open_split

# Pictures that are decoded for the statistics, and annotations that are read, with or without their pictures.
MOST_PICTURES = 2_000
MOST_ANNOTATIONS = 50_000
# Room for outlines where the config asks for none: untouched memory costs nothing.
_ROOM = {"max_instances": 10_000, "max_vertices": 2_000}


def inspect_data(config: ConfigDict, folder: str | os.PathLike[str], count: int = 24) -> Inspection:
    """Draws the first training examples of `config`, and measures the text of its training pictures.

    Writes `<folder>/index.html` and its pictures. Every picture that is in the statistics is read once, so that those
    that cannot be are found; of a large set only some, which `Inspection.statistics` says.

    **Arguments:**

    - `config`: an experiment; `dbnet_jax/config/defaults.py` documents every field. `inspect_words` inspects that of a
        recogniser.
    - `folder`: takes the page.
    - `count`: examples to draw, from the first of the first batch on.

    **Raises:** FileNotFoundError when the data is not there; ValueError when the config cannot work; FileExistsError
    when the folder contains a page that no run wrote.
    """
    if count < 0:
        raise ValueError(f"`count` (={count}) must not be negative")
    if config.task == "recognition":
        return inspect_words(config, folder, count)
    check_training(config)
    check_files(folder, {"page": [PAGE]}, "folder")
    # Neither cache changes an example, and both would read far more than is shown.
    config = _changed(config, cache="none")
    dataset = RecordingDataset(open_split(config, "train"))
    bad_samples = BadSamples(len(dataset), config.data.max_bad_share, stop=False)
    statistics = collect_statistics(config, dataset, bad_samples)
    stops = _why_it_would_not_start(config, statistics, bad_samples)
    examples = inspected_examples(config, dataset, bad_samples, count)
    facts = {"not shown here": held_out(config), "command": command_line()}

    def problems() -> tuple[str, list[Problem]]:
        return bad_samples.headline(), bad_samples.found()

    page = write_inspection_page(
        folder, title_of(config), statistics, examples, lambda: problem_list(*problems()), facts
    )
    return Inspection(page, statistics, *problems(), bad_samples.stops or stops)


def _why_it_would_not_start(config: ConfigDict, statistics: Statistics, bad_samples: BadSamples) -> str:
    """Adds the problems of the data as a whole: no text counts, or there is nothing to score on.

    **Returns:** the message with which training would end; "" where it would not.
    """
    stops, split = "", config.data.eval_split
    ignored = gather(statistics.pictures, "ignored")
    if statistics.pictures and ignored.all():
        stops = nothing_counts(len(statistics.pictures), len(ignored))
        bad_samples.add_problems([Problem("", stops)])
    if split == config.data.train_split:
        return stops
    try:
        reason = why_nothing_counts(open_split(config, "eval"))
    except (OSError, ValueError) as error:
        reason = str(error)
        stops = stops or reason
    if reason:
        first, *_ = reason.splitlines()
        bad_samples.add_problems([Problem(f"split {split!r}, which is scored", first)])
    return stops


class RecordingDataset(Wrapper):
    """Another data set; keeps the text of the samples that were read."""

    def __init__(self, dataset: Dataset):
        super().__init__(dataset)
        self.tried: set[int] = set()
        self.seen: dict[int, PictureText] = {}

    def __getitem__(self, index: int) -> Sample:
        self.tried.add(index)
        sample = super().__getitem__(index)
        size = (sample.image.shape[0], sample.image.shape[1])
        self.seen[index] = PictureText.measure(size, sample.polygons, sample.ignore)
        return sample


def collect_statistics(config: ConfigDict, dataset: RecordingDataset, bad_samples: BadSamples) -> Statistics:
    """Measures the text of pictures, and of the crops that training makes of them, in the order of training.

    **Arguments:**

    - `config`: says how pictures vary.
    - `dataset`: its pictures are decoded up to `MOST_PICTURES`. Of others the annotations are read, up to
        `MOST_ANNOTATIONS` in all, where the data set gives them alone.
    - `bad_samples`: told of what is wrong.
    """
    geometry = make_examples(_geometry_alone(config), dataset, bad_samples)

    def crop(position: int) -> PictureText:
        return PictureText.measure(tuple(config.data.crop), *outlines_of(geometry[position]))

    crops: list[PictureText] = []
    # A picture and all that would take its place are bad: training would end here, and more of them say no more.
    with ThreadPoolExecutor(os.cpu_count()) as pool, contextlib.suppress(BadPicture):
        crops.extend(pool.map(crop, range(min(len(dataset), MOST_PICTURES))))
    order = [geometry.index(position) for position in range(min(len(dataset), MOST_ANNOTATIONS))]
    untried = [index for index in order if index not in dataset.tried]
    alone = _annotations_alone(dataset.dataset, untried, bad_samples)
    # By their names, so that what a mix repeats is there once; those decoded take the place of their annotations.
    pictures = {dataset.name(index): dataset.seen[index] for index in sorted(dataset.seen)}
    pictures |= {name: text for name, text in alone.items() if name not in pictures}
    bad = len(dataset.tried - dataset.seen.keys())
    everything = list(pictures.values())
    return Statistics(len(dataset), len(dataset.tried), bad, everything, crops, bool(config.data.mix))


def _annotations_alone(dataset: Dataset, indices: list[int], bad_samples: BadSamples) -> dict[str, PictureText]:
    """The text of pictures that are not decoded, by their names, of a data set that can tell it."""
    measured: dict[str, PictureText] = {}
    for index in indices:
        try:
            found = dataset.annotation(index)
        except BadPicture as error:
            bad_samples.add(dataset.name(index), str(error), dataset.origin(index))
            continue
        if found is None:
            continue
        bad_samples.add_problems(found.problems)
        measured[dataset.name(index)] = PictureText.measure(None, found.polygons, found.ignore)
    return measured


def inspected_examples(
    config: ConfigDict, dataset: Dataset, bad_samples: BadSamples, count: int
) -> Iterator[InspectedExample]:
    """The first `count` examples of training, bit by bit what the step gets, each with the outlines in it.

    **Arguments:** as of `collect_statistics`; of a set without any usable picture there are no examples.
    """
    examples = make_examples(config, dataset, bad_samples)
    # The same draws at the same positions: of the outlines, whoever makes the pixels.
    geometry = make_examples(_geometry_alone(config), dataset, bad_samples)
    finish = _finisher(config)
    for position in range(count):
        try:
            example, (polygons, ignored) = examples[position], outlines_of(geometry[position])
        except BadPicture:
            return
        image, labels = finish(example)
        step = position // config.train.batch_size + 1
        yield InspectedExample(str(example["name"]), step, image, polygons, ignored, labels)


def outlines_of(example: Example) -> tuple[list[Polygon], Bool[np.ndarray, "_"]]:
    """The outlines of an example of `DeviceGeometry`, and which of them its labels ignore.

    **Returns:** (x, y) in the crop's pixels; True for text that is marked so, too small, or cut by the crop's edge.
    """
    polygons, distances = example["polygons"], example["distances"]
    assert isinstance(polygons, np.ndarray)
    assert isinstance(distances, np.ndarray)
    used = distances >= 0
    return [_without_repeats(polygon) for polygon in polygons[used]], distances[used] == 0


def _without_repeats(polygon: Polygon) -> Polygon:
    """Without the last vertex's copies, which fill the room behind it."""
    moved = np.flatnonzero((polygon[1:] != polygon[:-1]).any(axis=1))
    return polygon[: int(moved[-1]) + 2 if len(moved) else 1].copy()


def _finisher(
    config: ConfigDict,
) -> Callable[[Example], tuple[UInt8[np.ndarray, "height width 3"], dict[str, np.ndarray]]]:
    """What makes picture and label maps of an example: the step's own renderer, where it has one."""
    renderer = task_of(config).prepare(config)
    if renderer is None:
        return lambda example: (np.asarray(example["image"]), {name: np.asarray(example[name]) for name in LABELS})
    render = jax.jit(lambda batch: renderer(batch, None))

    def finish(example: Example) -> tuple[UInt8[np.ndarray, "height width 3"], dict[str, np.ndarray]]:
        batch = {name: np.asarray(value)[None] for name, value in example.items() if name != "name"}
        made = {name: np.asarray(value[0]) for name, value in render(batch).items()}
        return np.rint(made["image"]).astype(np.uint8), {name: made[name] for name in LABELS}

    return finish


def _geometry_alone(config: ConfigDict) -> ConfigDict:
    """The config of examples without pixels, at any `config.data.pixels`."""
    room = {} if config.data.pixels == "device" else _ROOM
    return _changed(config, pixels="device", cache="device", **room)


def _changed(config: ConfigDict, **fields: str | int) -> ConfigDict:
    changed = config.copy_and_resolve_references()
    changed.data.update(fields)
    return changed


def run(options: Options) -> None:
    """The command `inspect`, which ends with status 1 where training would stop."""
    if options.config is None and options.workdir is None:
        raise UsageError("--config is missing: the experiment to inspect, for example configs/quickstart.py")
    if options.output is None and options.workdir is None:
        raise UsageError("--output is missing: a folder for the page (or --workdir: then <workdir>/inspection)")
    found = inspect_data(config_or_saved(options), options.output or f"{options.workdir}/inspection", options.count)
    print(found.report())
    print(f"results: {found.page}")
    if found.stops:
        sys.exit(f"training would stop: {found.stops}")
