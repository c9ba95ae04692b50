"""The inspection: it shows what the step gets, measures what the labels say, and names what is wrong."""

import math
from dataclasses import replace

import cv2
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import own_data
from dbnet_jax.commands import inspect
from dbnet_jax.commands.inspect import RecordingDataset, collect_statistics, inspect_data, inspected_examples
from dbnet_jax.images import drawing
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.inspection.statistics import PictureText, gather
from dbnet_jax.messages import Problem
from dbnet_jax.pages.inspection import InspectedExample, draw_example, plots
from dbnet_jax.training.task import task_of
from input_pipeline import from_config
from input_pipeline.bad_samples import BadSamples, NothingToLearn
from input_pipeline.datasets.sample import Annotation, Sample
from input_pipeline.datasets.wrappers.mixed import MixedDataset
from input_pipeline.from_config import make_examples, open_split
from input_pipeline.labels import make_labels
from tests.helpers import tiny_run as tiny
from tests.helpers.numbered import Numbered
from tests.helpers.own_labels import make
from tests.helpers.page import Page
from tests.helpers.problems import said

DEVICE = "pixels=device,canvas=(64,64)"


class Annotated(Numbered):
    """Numbered pictures whose annotations can be had alone: with a word more, and a problem each."""

    def annotation(self, index: int) -> Annotation:
        if index in self.bad:
            raise BadPicture(f"{self.name(index)}: has no annotation file")
        word = np.array([[0, 0], [9, 0], [9, 3], [0, 3]], np.float32)
        return Annotation([word, word], [False, True], ["", ""], [Problem(f"gt_{index}.txt:1", "odd")])


def opened(config):
    dataset = open_split(config, "train")
    return dataset, BadSamples(len(dataset), 1.0)


def rectangle(width, height, degrees, at=(100.0, 80.0)):
    """A rectangle, turned so that its right end climbs; y points down."""
    a = math.radians(degrees)
    corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    return (corners @ np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) + at).astype(np.float32)


# What is shown
def test_examples_are_those_of_training_and_their_outlines_make_their_labels():
    config = tiny.config("seed=3,jitter=0.3,scale=(1.0,3.0)")
    dataset, bad_samples = opened(config)
    shown = list(inspected_examples(config, dataset, bad_samples, 20))
    trained = make_examples(config, dataset, bad_samples)
    assert [one.step for one in shown] == [1] * 8 + [2] * 8 + [3] * 4
    for position, one in enumerate(shown):
        example = trained[position]
        assert one.name == example["name"]
        np.testing.assert_array_equal(one.image, example["image"])
        again = make_labels(one.polygons, one.ignored, 64, 64)
        for name, drawn in one.labels.items():
            np.testing.assert_array_equal(drawn, example[name])
            np.testing.assert_array_equal(drawn, again[name])
    assert any(not one.ignored.all() for one in shown)
    assert any(one.ignored.any() for one in shown)


def test_on_the_device_examples_are_what_the_steps_renderer_makes_of_the_batch():
    config = tiny.config(DEVICE)
    dataset, bad_samples = opened(config)
    shown = list(inspected_examples(config, dataset, bad_samples, 8))
    examples = [make_examples(config, dataset, bad_samples)[position] for position in range(8)]
    batch = {key: np.stack([one[key] for one in examples]) for key in examples[0] if key != "name"}
    render = task_of(config).prepare(config)
    trained = {key: np.asarray(value) for key, value in jax.jit(lambda batch: render(batch, None))(batch).items()}
    host = inspected_examples(tiny.config(), dataset, bad_samples, 8)
    for row, (one, other) in enumerate(zip(shown, host, strict=True)):
        assert np.abs(one.image - trained["image"][row]).max() <= 0.51
        for key, drawn in one.labels.items():
            np.testing.assert_allclose(drawn, trained[key][row], atol=1e-5)
        # The same draw as where the host makes the pixels.
        assert one.name == other.name
        for polygon, same in zip(one.polygons, other.polygons, strict=True):
            np.testing.assert_array_equal(polygon, same)


def test_ignored_regions_are_greyed_and_text_keeps_its_colours():
    outlines = [rectangle(40, 20, 10, at=(40, 30)), rectangle(50, 30, 0, at=(80, 90))]
    ignored, labels = np.array([False, True]), make_labels(outlines, [False, True], 128, 128)
    red = np.full((128, 128, 3), (255, 0, 0), np.uint8)
    drawn = draw_example(InspectedExample("red", 1, red, outlines, ignored, labels)).astype(int)
    assert drawn.shape == (512, 512, 3)
    at = {place: drawn[4 * place[1] + 2, 4 * place[0] + 2] for place in [(40, 30), (80, 90), (110, 20)]}
    assert at[40, 30].tolist() == at[110, 20].tolist() == [255, 0, 0]
    assert np.ptp(at[80, 90]) < 90
    # The outlines, in the legend's colours.
    edge = [drawn[4 * y - 8 : 4 * y + 10, 4 * x + 2] for x, y in ((40, 20), (80, 75))]
    for column, color in zip(edge, (drawing.TRUTH, drawing.IGNORED), strict=True):
        assert np.abs(column - color).sum(axis=1).min() < 60


# What is measured
@settings(max_examples=100)
@given(st.floats(2, 80), st.floats(1.6, 9), st.floats(-89.5, 89.5))
def test_a_turned_rectangle_is_measured(height, ratio, degrees):
    found = PictureText.measure(None, [rectangle(height * ratio, height, degrees)], [False])
    assert found.short[0] == pytest.approx(height, rel=2e-3, abs=0.01)
    assert found.long[0] == pytest.approx(height * ratio, rel=2e-3, abs=0.01)
    assert found.angle[0] == pytest.approx(degrees, abs=0.3)
    assert found.vertices.tolist() == [4]


def test_what_has_no_place_is_not_measured_and_upright_text_has_one_angle():
    upright = [rectangle(80, 20, 90), rectangle(80, 20, -90), rectangle(80, 20, 89.99)]
    placeless = [np.array([[0, 0], [np.nan, 1], [2, 2]], np.float32), np.zeros((0, 2), np.float32)]
    found = PictureText.measure((9, 9), [*placeless, *upright], [True, True, True, False, False])
    assert found.angle.tolist() == [-90, -90, -90]
    assert found.ignored.tolist() == [True, False, False]
    assert len(PictureText.measure((9, 9), [], []).short) == 0


def test_the_statistics_of_a_set_are_those_of_its_labels():
    config = tiny.config("scale=(0.5,0.5),rotation=0.0,flip=0.0,crop=(128,128)")
    dataset, bad_samples = opened(config)
    recording = RecordingDataset(dataset)
    statistics = collect_statistics(config, recording, bad_samples)
    samples = list(map(dataset.__getitem__, range(24)))
    assert [len(p.ignored) for p in statistics.pictures] == [len(sample.polygons) for sample in samples]
    assert statistics.summary()["pictures that were read"] == "24"
    # Every picture is half as large in a crop that holds all of it.
    assert len(statistics.crops) == 24
    halves, wholes = gather(statistics.crops, "short"), gather(statistics.pictures, "short")
    np.testing.assert_allclose(np.sort(halves), np.sort(wholes) / 2, atol=0.3)
    summary = statistics.summary()
    assert summary["text instances"] == str(sum(len(sample.polygons) for sample in samples))
    assert summary["picture sizes"] == "64×64 (24)"


def test_a_large_set_is_read_in_part_and_its_annotations_alone(monkeypatch):
    monkeypatch.setattr(inspect, "MOST_PICTURES", 5)
    monkeypatch.setattr(inspect, "MOST_ANNOTATIONS", 9)
    config, dataset = tiny.config(), Annotated(30)
    bad_samples = BadSamples(30, 1.0)
    statistics = collect_statistics(config, RecordingDataset(dataset), bad_samples)
    order = [make_examples(config, dataset, bad_samples).index(position) for position in range(9)]
    assert sorted(dataset.reads) == sorted(order[:5])
    summary = statistics.summary()
    assert (summary["pictures"], summary["pictures that were read"]) == ("30", "5, the first of training")
    assert summary["other pictures, of which only the annotations were read"] == "4"
    assert len(gather(statistics.pictures, "ignored")) == 5 + 4 * 2
    lines = bad_samples.report(everything=True).splitlines()
    assert sorted(lines[1:]) == sorted(f"  gt_{index}.txt:1: odd" for index in order[5:])


def test_unreadable_pictures_are_counted():
    config = tiny.config()
    statistics = collect_statistics(config, RecordingDataset(Numbered(3, bad=(1,))), BadSamples(3, 1.0))
    summary = statistics.summary()
    assert [summary[f"{name}pictures"] for name in ("", "unreadable ")] == ["3", "1"]
    assert summary["pictures that were read"] == "2"


def test_a_mix_counts_each_picture_once():
    config, dataset = tiny.config("mix=synthetic"), Numbered(4)
    mixed = MixedDataset([dataset, Numbered(20)], [1.0, 1.0], (), ["few", "many"])
    recording = RecordingDataset(mixed)
    statistics = collect_statistics(config, recording, BadSamples(len(mixed), 1.0))
    assert len(mixed) == 40
    summary = statistics.summary()
    assert (summary["pictures that were read"], summary["different pictures that were read"]) == ("40", "24")
    assert summary["text instances"] == "24"
    assert summary["picture sizes"].startswith("60×50 (2), 60×51 (2)")
    assert summary["pictures, with repetitions"] == "40"


def test_of_a_mix_no_more_is_made_than_is_asked_for(monkeypatch):
    """Pictures that are rendered have no annotation to read alone."""
    monkeypatch.setattr(inspect, "MOST_PICTURES", 5)
    few, many = Annotated(4), Numbered(60)
    mixed = MixedDataset([few, many], [1.0, 15.0], (), ["few", "many"])
    statistics = collect_statistics(tiny.config("mix=synthetic"), RecordingDataset(mixed), BadSamples(len(mixed), 1.0))
    assert len(few.reads) + sum(many.reads.values()) <= 5
    summary = statistics.summary()
    assert summary["pictures, with repetitions"] == "64"
    assert summary["pictures that were read"].startswith("5, ")


# What is written
def test_the_title_names_the_mix_and_the_page_what_it_does_not_show(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect, "open_split", lambda config, purpose: Numbered(2))
    config = tiny.config()
    config.data.mix = "synthetic*2"
    page = Page(inspect_data(config, tmp_path, count=1).page)
    assert "synthetic with synthetic*2: train, as training sees it" in page.words
    assert "test, which is scored; data.train_split=test shows it" in page.words
    assert any(words.startswith("threshold map: 0.3") for words in page.words)
    assert inspect.held_out(tiny.config("eval_split=train")).startswith("nothing")


def test_many_problems_of_one_file_count_as_many(tmp_path, monkeypatch):
    dataset = Numbered(3, bad=(1,))
    dataset.problems = [Problem("a.json:1", "odd"), Problem("a.json", "… and 80 more problems", 80)]
    monkeypatch.setattr(inspect, "open_split", lambda config, purpose: dataset)
    found = inspect_data(tiny.config(), tmp_path, count=0)
    assert found.headline == "1 picture skipped, 81 problems in the data"
    assert "1 picture skipped, 81 problems in the data" in Page(found.page).words


def test_names_that_are_no_text_stand_on_the_page(tmp_path, monkeypatch):
    class Odd(Numbered):
        def name(self, index: int) -> str:
            return f"caf\udce9_{index}.jpg"

    dataset = Odd(2)
    dataset.problems = [Problem("gt_caf\udce9.txt:1", "odd")]
    monkeypatch.setattr(inspect, "open_split", lambda config, purpose: dataset)
    words = Page(inspect_data(tiny.config(), tmp_path, count=1).page).words
    assert r"gt_caf\udce9.txt:1: odd" in words
    assert any(word.startswith(r"caf\udce9_") for word in words)


@pytest.mark.parametrize("extra", ["", DEVICE])
def test_the_page_is_whole_and_names_what_is_wrong(tmp_path, monkeypatch, extra):
    dataset = Numbered(12, bad=(3, 7))
    dataset.problems = [Problem(f"gt_{i}.txt:1", "no <number>") for i in range(300)]
    monkeypatch.setattr(inspect, "open_split", lambda config, purpose: dataset)
    found = inspect_data(tiny.config(extra), tmp_path, count=3)
    page = Page(found.page)
    assert page.tags.count("article") == 3
    assert page.tags.count("svg") == len(plots(found.statistics)) == 9
    assert len(page.references) == 2 * 3 * 5
    assert set(page.references) == {f"pictures/{file.name}" for file in (tmp_path / "pictures").iterdir()}
    assert all(cv2.imread(str(tmp_path / name)) is not None for name in set(page.references))
    assert not {"script", "link", "number"} & set(page.tags)
    assert "gt_0.txt:1: no <number>" in page.words
    assert "… and 102 more" in page.words
    assert len(found.problems) == 302
    report = found.report().splitlines()
    assert "2 pictures skipped, 300 problems in the data:" in report
    assert report[-1] == "  … and 282 more"
    assert {"pictures that were read: 10", "unreadable pictures: 2"} <= set(report)
    assert {line.split(":")[0].strip() for line in said(found)} >= {"picture_3.jpg", "picture_7.jpg"}
    assert found.stops.startswith("2 of 12 pictures cannot be used, more than `config.data.max_bad_share` (=0.1)")
    assert inspect_data(tiny.config("max_bad_share=0.2"), tmp_path, count=0).stops == ""


def test_a_set_of_only_bad_pictures_has_a_page_that_says_so(tmp_path, monkeypatch):
    dataset = Numbered(4, bad=(0, 1, 2, 3))
    monkeypatch.setattr(inspect, "open_split", lambda config, purpose: dataset)
    found = inspect_data(tiny.config(), tmp_path)
    assert found.headline.startswith("4 pictures skipped")
    assert "No pictures." in Page(found.page).words


class Ignored(Numbered):
    """Numbered pictures with `words` words each, all of them ignored."""

    def __init__(self, count: int, words: int, bad: tuple[int, ...] = ()):
        super().__init__(count, bad)
        self.words = words

    def annotation(self, index: int) -> Annotation:
        if index in self.bad:
            raise BadPicture(f"{self.name(index)}: has no annotation file")
        word = np.array([[10, 10], [45, 12], [45, 30], [10, 28]], np.float32)
        return Annotation([word] * self.words, [True] * self.words, ["###"] * self.words)

    def __getitem__(self, index: int) -> Sample:
        found = self.annotation(index)
        return replace(super().__getitem__(index), polygons=found.polygons, ignore=found.ignore, texts=found.texts)


@pytest.mark.parametrize(
    ("words", "said_so"),
    [(2, "6 texts in 3 pictures, all ignored"), (0, "no text in 3 pictures")],
)
def test_text_that_does_not_count_is_a_problem_and_stops(tmp_path, monkeypatch, words, said_so):
    nothing, some = Ignored(4, words, bad=(1,)), Numbered(4)
    opened = {"train": nothing, "eval": some}
    monkeypatch.setattr(inspect, "open_split", lambda config, purpose: opened[purpose])
    monkeypatch.setattr(from_config, "open_split", lambda config, purpose: opened[purpose])
    config = tiny.config("max_bad_share=0.5")
    found = inspect_data(config, tmp_path, count=6)
    message = f"no text counts: {said_so}"
    assert message in said(found)
    assert found.stops == message
    assert message in Page(found.page).words
    with pytest.raises(NothingToLearn, match=message):
        task_of(config).open(config, "train")
    # Text to score on that does not count makes every score 0, and no training worse.
    opened.update(train=some, eval=nothing)
    found = inspect_data(config, tmp_path, count=0)
    assert said(found) == [f"split 'test', which is scored: {message}"]
    assert found.stops == ""
    assert task_of(config).open(config, "train") is some
    opened["eval"] = Annotated(3)
    assert said(inspect_data(config, tmp_path, count=0)) == []


def test_pictures_to_score_on_that_are_not_there_are_a_problem_and_stop(tmp_path):
    make("paddleocr", tmp_path, [1, 2])
    (tmp_path / "validation.txt").write_text("\n")
    config = own_data.get_config("cpu,crop=(64,64),data.name=paddleocr")
    config.data.dir = str(tmp_path)
    found = inspect_data(config, tmp_path / "out", count=0)
    (problem,) = said(found)
    assert problem.startswith("split 'validation', which is scored: no validation pictures of PaddleOCR's format in")
    assert "no picture in this split" in found.stops


def test_a_pass_without_text_ends_training_where_the_labels_alone_do_not_show_it():
    class Unread(Ignored):
        def annotation(self, index: int) -> Annotation:
            return Annotated(9).annotation(0)  # outside of the pictures, say

        def __getitem__(self, index: int) -> Sample:
            sample = Numbered.__getitem__(self, index)
            return replace(sample, ignore=[index != 3 or not self.words])

    for words in (0, 1):
        dataset = Unread(5, words)
        examples = make_examples(tiny.config(), dataset, BadSamples(5, 1.0, needs_text=True))
        for position in range(5):
            assert examples[position]
        if words:
            assert [examples[position] for position in range(5, 20)]
        else:
            with pytest.raises(NothingToLearn, match="the first 6 training examples had no text that counts"):
                examples[5]


@pytest.mark.parametrize(
    ("extra", "count", "words"), [("", -1, r"`count` \(=-1\)"), ("crop=(50,64)", 1, r"`config\.data\.crop`")]
)
def test_what_cannot_work_is_refused(tmp_path, extra, count, words):
    with pytest.raises(ValueError, match=words):
        inspect_data(tiny.config(extra), tmp_path, count)


def test_the_command_leaves_a_page_in_the_workdir(tmp_path):
    output = tiny.finish(tiny.start(tmp_path, "--mode=inspect", "--count=2"))
    assert "pictures that were read: 24\n" in output
    assert output.splitlines()[-1] == f"results: {tmp_path}/inspection/index.html"
    page = Page(tmp_path / "inspection" / "index.html")
    assert page.tags.count("article") == 2
    assert any("--mode=inspect" in words for words in page.words)


def test_a_page_of_a_person_is_refused_before_any_picture_is_read(tmp_path, monkeypatch):
    (tmp_path / "index.html").write_text("the user's own")
    monkeypatch.setattr(inspect, "open_split", lambda config, purpose: pytest.fail("the data was opened"))
    with pytest.raises(FileExistsError, match=rf"`folder` \(='{tmp_path}'\) contains .*: index\.html\."):
        inspect_data(tiny.config(), tmp_path, count=1)
    (tmp_path / "index.html").unlink()
    monkeypatch.setattr(inspect, "open_split", lambda config, purpose: Numbered(2))
    for _ in range(2):  # a page of its own is no reason
        inspect_data(tiny.config(), tmp_path, count=1)
