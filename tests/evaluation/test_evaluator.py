"""The evaluator: what it scores, in which order, what it skips, and that many processes score what one does."""

import dataclasses
import json
import pathlib
import re
import threading
import weakref

import jax
import numpy as np
import pytest

from dbnet_jax.commands.summary import print_evaluation
from dbnet_jax.detection import pipeline
from dbnet_jax.evaluation import evaluate_detections
from dbnet_jax.evaluation import evaluator as evaluator_module
from dbnet_jax.evaluation.evaluator import Evaluation, Evaluator
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from dbnet_jax.pages.evaluation import check_report, write_report
from input_pipeline.datasets.sample import Sample
from tests.helpers.brightness import BrightnessDetector, quad, white_box
from tests.helpers.numbered import Numbered
from tests.helpers.page import Page
from tests.helpers.problems import said


class Boxes(Numbered):
    """Pictures of different sizes with one white box each; every third has a truth that the picture does not show."""

    def __init__(self, count: int, bad: tuple[int, ...] = (), odd: tuple[int, ...] = ()):
        super().__init__(count, bad)
        self.odd = odd

    def name(self, index: int) -> str:
        return f"box_{index}"

    def __getitem__(self, index: int) -> Sample:
        if index in self.bad:
            raise BadPicture(f"{self.name(index)}: cannot be decoded")
        corners = (40 + index, 30, 100 + index, 60 + index)
        truths = [quad(*corners), quad(5, 70, 35, 90)][: 1 + (index % 3 == 0)]
        problems = [Problem(f"gt_{index}.txt:2", "odd"), Problem("labels.json", "odd")] if index in self.odd else []
        image = white_box((100 + 7 * index, 150), *corners)
        return Sample(self.name(index), image, truths, [False] * len(truths), problems=problems)


@pytest.fixture
def detector() -> BrightnessDetector:
    return BrightnessDetector(resize="none", batch_size=2)


def test_pictures_of_which_regions_are_left_out_are_problems():
    class Two(Boxes):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            sample.image[70:91, 5:36] = 255
            return sample

    found = Evaluator(Two(2)).run(BrightnessDetector(resize="none", max_candidates=1))
    what = "`max_candidates` leaves out 1 text region, the smallest; raise it"
    assert found.problems == [Problem(f"box_{index}", what) for index in range(2)]


def test_it_scores_what_the_detector_finds_picture_by_picture(detector):
    found = Evaluator(Boxes(7)).run(detector)
    assert found.indices == list(range(7))
    assert found.names == [f"box_{index}" for index in range(7)]
    assert found.skipped == []
    samples = [Boxes(7)[index] for index in range(7)]
    for sample, detections in zip(samples, found.detections, strict=True):
        alone = detector.detect(sample.image)
        np.testing.assert_array_equal(detections.polygons[0], alone.polygons[0])
        np.testing.assert_array_equal(detections.scores, alone.scores)
    expected = evaluate_detections(
        [one.polygons for one in found.detections],
        [sample.polygons for sample in samples],
        [sample.ignore for sample in samples],
    )
    assert found.scores == expected
    for sample, truths in zip(samples, found.truths, strict=True):
        np.testing.assert_array_equal(truths, sample.polygons)
    assert found.ignore == [sample.ignore for sample in samples]
    # Seven of ten truths are shown.
    assert (found.scores.precision, found.scores.recall) == (1, 0.7)
    hmean = pytest.approx(2 * 0.7 / 1.7)
    assert found.summary() == {"precision": 1.0, "recall": 0.7, "hmean": hmean, "protocol": "iou", "images": 7}


def test_it_says_where_the_detector_is_good_and_where_it_is_not(detector):
    detector.config.predict.box_threshold = 0.9
    found = Evaluator(Boxes(7)).run(detector)
    # White boxes are 30 to 36 pixels high and all found; what the pictures do not show is 20 high, in every third.
    assert found.report.by_size == {
        "small": {"recall": None, "truths": 0},
        "medium": {"recall": 0.4, "truths": 5},
        "large": {"recall": 1.0, "truths": 5},
    }
    assert found.report.by_shape["straight"] == {"recall": 0.7, "truths": 10}
    assert found.report.sweep[0]["threshold"] == found.report.best_box_threshold == 0.9
    assert found.report.sweep[0] | {"hmean": found.scores.hmean, "recall": 0.7} == found.report.sweep[0]
    assert [errors.missed for errors in found.report.errors] == [[1], [], [], [1], [], [], [1]]
    assert found.report is found.report
    deteval = Evaluator(Boxes(7), "deteval").run(detector)
    assert deteval.summary()["protocol"] == deteval.protocol == "deteval"


def test_the_protocol_is_the_one_asked_for(detector):
    class Halves(Boxes):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            truth = sample.polygons[0].copy()
            truth[1:3, 0] = truth[0, 0] + (truth[1, 0] - truth[0, 0]) / 2 + 5
            return dataclasses.replace(sample, polygons=[truth], ignore=[False])

    # The truth is a good half of what is found: enough for an overlap of 0.5, too little for DetEval's 0.6.
    assert Evaluator(Halves(3), "iou").run(detector).scores.hmean == 1
    assert Evaluator(Halves(3), "deteval").run(detector).scores.hmean == 0


def test_pictures_that_cannot_be_read_are_named_and_not_scored(detector):
    whole, holed = Evaluator(Boxes(9)).run(detector), Evaluator(Boxes(9, bad=(0, 4, 5))).run(detector)
    assert list(map(str, holed.skipped)) == [f"box_{index}: cannot be decoded" for index in (0, 4, 5)]
    assert holed.indices == [1, 2, 3, 6, 7, 8]
    assert holed.names == [f"box_{index}" for index in holed.indices]
    assert holed.summary()["images"] == 6
    assert holed.scores.per_image == [whole.scores.per_image[index] for index in holed.indices]
    with pytest.raises(ValueError, match=r"(?s)no picture of the evaluation split could be read.*box_0.*box_2"):
        Evaluator(Boxes(3, bad=(0, 1, 2))).run(detector)


def test_what_is_wrong_with_the_set_and_its_labels_is_told(detector, tmp_path):
    dataset = Boxes(40, bad=(2,), odd=(0, 5))
    dataset.problems = [Problem("", "490 test pictures where the release has 500")]
    found = Evaluator(dataset, too_many_bad="raise").run(detector)
    problems = ["490 test pictures where the release has 500", "gt_0.txt:2: odd", "labels.json: odd", "gt_5.txt:2: odd"]
    assert said(found) == problems
    left_out = {"skipped": 1, "problems": 4, "messages": ["box_2: cannot be decoded", *problems]}
    assert found.left_out() == left_out
    check_report(tmp_path)
    summary = write_report(tmp_path, found, detector, dataset)
    check_report(tmp_path)  # its own files are no reason
    assert {key: summary[key] for key in left_out} == left_out
    assert json.loads((tmp_path / "evaluation.json").read_text()) == json.loads(json.dumps(summary))
    page = Page(tmp_path / "predictions" / "index.html").words
    assert "1 picture skipped, 4 problems in the data" in page
    assert set(left_out["messages"]) <= set(page)


def test_the_command_prints_what_was_left_out(capsys):
    messages = [f"gt_{number}.txt:1: odd" for number in range(23)]
    print_evaluation({"hmean": 0.5, "images": 3, "skipped": 0, "problems": 23, "messages": messages}, "runs/x")
    printed = capsys.readouterr().out.splitlines()
    assert printed[:20] == messages[:20]
    assert printed[20:] == [
        "… and 3 more in runs/x/evaluation.json",
        "hmean 0.5000  images 3  skipped 0  problems 23",
        "results: runs/x/predictions/index.html",
    ]


def test_too_many_pictures_that_cannot_be_read_are_an_error_or_a_loud_warning(detector, caplog):
    assert detector.config.data.max_bad_share == 0.1
    dataset = Boxes(20, bad=(3, 4, 5))
    words = r"(?s)3 of 20 pictures .*`config.data.max_bad_share` \(=0.1\).*box_3.*box_5"
    with pytest.raises(ValueError, match=words):
        Evaluator(dataset, too_many_bad="raise").run(detector)
    found = Evaluator(dataset).run(detector)
    assert len(found.names) == 17
    assert re.search(words, caplog.text)
    caplog.clear()
    Evaluator(Boxes(20, bad=(3, 4))).run(detector)
    assert caplog.text == ""


def test_no_more_pictures_are_held_than_are_being_read(monkeypatch):
    monkeypatch.setattr(pipeline, "THREADS", 2)
    images: list[weakref.ref] = []
    most = 0

    class Watched(Boxes):
        def __getitem__(self, index: int) -> Sample:
            nonlocal most
            sample = super().__getitem__(index)
            images.append(weakref.ref(sample.image))
            most = max(most, sum(image() is not None for image in images))
            return sample

    found = Evaluator(Watched(100)).run(BrightnessDetector(resize="none", batch_size=3))
    assert len(found.names) == len(images) == 100
    # Each of the two threads has one.
    assert most <= 2
    assert not [image for image in images if image() is not None]


def test_pictures_are_read_ahead_but_not_the_whole_data_set(detector):
    read: list[int] = []
    counts: list[int] = []

    class Counting(BrightnessDetector):
        def _extract(self, *arguments):
            counts.append(len(read))
            return super()._extract(*arguments)

    class Counted(Boxes):
        def __getitem__(self, index: int) -> Sample:
            read.append(index)
            return super().__getitem__(index)

    expected = Evaluator(Boxes(100)).run(detector)
    found = Evaluator(Counted(100)).run(Counting(resize="none", batch_size=2))
    assert (found.scores, found.names) == (expected.scores, expected.names)
    assert sorted(read) == list(range(100))
    # Counted from the threads, of which others may have begun a picture more.
    most = pipeline.in_flight(2) + pipeline.THREADS
    assert all(count <= index + 1 + most for index, count in enumerate(counts))


def test_an_error_that_is_no_bad_picture_ends_the_evaluation(detector):
    class Broken(Boxes):
        def __getitem__(self, index: int) -> Sample:
            if index == 5:
                raise OSError("the disk is gone")
            return super().__getitem__(index)

    before = set(threading.enumerate())
    with pytest.raises(OSError, match="the disk is gone"):
        Evaluator(Broken(100)).run(detector)
    assert set(threading.enumerate()) <= before


def test_processes_share_the_pictures_and_score_the_whole(detector, monkeypatch):
    dataset, rows = Boxes(11, bad=(3,)), []
    expected = Evaluator(dataset).run(detector)

    def run_as(process: int) -> Evaluation:
        monkeypatch.setattr(jax, "process_index", lambda: process)
        monkeypatch.setattr(jax, "process_count", lambda: 3)
        return Evaluator(dataset).run(detector)

    # First what each process detects, then what each makes of the rows of all.
    monkeypatch.setattr(evaluator_module, "gather", lambda mine: rows.append(list(mine)) or list(mine))
    for process in range(3):
        run_as(process)
    assert [len(share) for share in rows] == [4, 4, 3]
    everything = [row for share in rows for row in share]
    monkeypatch.setattr(evaluator_module, "gather", lambda mine: list(everything))
    for process in range(3):
        found = run_as(process)
        assert found.scores == expected.scores
        assert (found.indices, found.names, found.skipped) == (expected.indices, expected.names, expected.skipped)


@pytest.mark.parametrize("name", ["evaluation.json", "predictions/index.html"])
def test_a_report_of_a_person_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("the user's own")
    with pytest.raises(FileExistsError, match=rf"contains .*: {pathlib.Path(name).name}\."):
        check_report(tmp_path)
