"""Scoring of files: every format by hand, names that belong together, archives that mean harm, lines that are bad."""

import html
import json
import os
import pathlib
import subprocess
import sys
import zipfile
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbnet_jax.postprocess import Detections
from dbnet_jax.predict import as_icdar, as_json
from dbnet_jax.scoring import sources
from dbnet_jax.scoring.files import score_files
from dbnet_jax.scoring.formats import parse_detections, parse_detections_json, parse_truth
from dbnet_jax.scoring.sources import by_picture, read_source
from input_pipeline.datasets.annotations import text_lines

WORD, OTHER, THIRD = "0,0,100,0,100,20,0,20", "0,50,100,50,100,70,0,70", "0,90,80,90,80,99,0,99"
CURVED = "0,0,50,-5,100,0,100,20,50,15,0,20"
ROOT = pathlib.Path(__file__).resolve().parents[1]


def quad(line: str) -> np.ndarray:
    return np.array(line.split(","), np.float32).reshape(-1, 2)


def write(folder: pathlib.Path, **files: str) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.txt").write_text(content)
    return folder


def pack(path: pathlib.Path, files: dict[str, str]) -> pathlib.Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("line", "points", "score"),
    [
        (WORD, WORD, None),
        (f"{WORD},0.93", WORD, 0.93),
        (f"{WORD},1", WORD, 1.0),
        (f"{WORD},0.93,Text, and more", WORD, 0.93),
        (f"{WORD},Text", WORD, None),
        (f"{WORD},1990", WORD, None),  # a text, not a score
        (f"{WORD},10%", WORD, None),
        (f"{WORD},0.93,10%", WORD, 0.93),
        ("0.5,0.5,10.5,0.5,10.5,10.5,0.5,10.25", "0.5,0.5,10.5,0.5,10.5,10.5,0.5,10.25", None),
        ("0,0,10,0,5,5,0.9", "0,0,10,0,5,5", 0.9),
        (f"{WORD},", WORD, None),
        (f" {WORD.replace(',', ', ')} ", WORD, None),
        ("0,0,10,0,10,10,5,20,0,10", "0,0,10,0,10,10,5,20,0,10", None),
        ("0,0,10,0,10,10,5,20,0,10,0.5", "0,0,10,0,10,10,5,20,0,10", 0.5),
        ("0,0,100,20", WORD, None),
        ("0,0,100,20,0.25", WORD, 0.25),
        ("-3.5,0,1e2,0,5,5", "-3.5,0,100,0,5,5", None),
    ],
)
def test_detection_lines(line: str, points: str, score: float | None) -> None:
    found = parse_detections(f"\ufeff{line}\r\n\r\n".encode(), "res_a.txt")
    assert found.problems == []
    np.testing.assert_array_equal(found.polygons[0], quad(points))
    assert found.scores == [score]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello", "0 numbers where points"),
        ("1,2,3", "3 numbers where points"),
        ("0,0,9,0,9,nine,0,9", "whether 'nine' is a text or a bad coordinate cannot be told"),
        ("0,0,9,0,9,nan,0,9", "whether 'nan' is a text"),
        ("5,5,5,5,5,5,5,5", "the outline has no area"),
        ("0,0,1e9,0,9,9,0,9", "lies far outside of any picture"),
        (f"{WORD},0.93,1990", "whether 0.93 is a score or a coordinate cannot be told"),
        ("10,10,30,10,30,20,10,2O", "7 numbers, and whether '2O' is a text or a bad coordinate cannot be told"),
        ("10,10,30,10,30,20,0,2O", "7 numbers, and whether '2O' is a text or a bad coordinate cannot be told"),
        ("10,10,30,10,30,20,10,Text", "7 numbers, and whether 'Text' is a text or a bad coordinate cannot be told"),
        ("10,10,30,10,30,20,10", "7 numbers: a quad has 8, and 10 is no score in [0, 1]"),
        ("10,10,30,10,30,20,1O", "whether '1O' is a text or a bad coordinate cannot be told"),
        ("0,0,10,0,10,10,5,20,0,1O", "9 numbers, and whether '1O' is a text or a bad coordinate cannot be told"),
        ("0,0,9,0,9,nan", "whether 'nan' is a text or a bad coordinate cannot be told"),
        (f"0.98,{WORD.replace('0,0,1', '3,4,1', 1)}", "0.98 may be a score: it belongs behind the coordinates"),
        ("0.98,10,10,30,20", "0.98 may be a score: it belongs behind the coordinates"),
        ("10,10,30,10,30,20,10,0.98", "whether 0.98 is a score or a coordinate cannot be told"),
        ("10,10,30,0.98", "whether 0.98 is a score or a coordinate cannot be told"),
        ("0.1,0.2,0.3,0.2,0.3,0.4,0.1,0.4,0.9", "all coordinates lie in [-1, 1]: they must be in pixels"),
    ],
)
def test_bad_detection_lines_are_named_and_the_others_kept(line: str, reason: str) -> None:
    found = parse_detections(f"{WORD}\n{line}\n{OTHER}\n".encode(), "res_a.txt")
    assert len(found.polygons) == len(found.scores) == 2
    (problem,) = found.problems
    assert problem.startswith("res_a.txt:2: ")
    assert reason in problem


def test_an_outline_that_crosses_itself_is_kept_and_named() -> None:
    found = parse_detections(b"0,0,10,10,10,0,0,8", "a.txt")
    assert len(found.polygons) == 1
    assert "a.txt:1: the outline crosses itself" in found.problems[0]
    assert "'0,0,10,10,10,0,0,8'" in found.problems[0]


@pytest.mark.parametrize(
    ("file", "content", "points", "ignore"),
    [
        ("gt_img_1.txt", f"{WORD},text, more", WORD, False),
        ("gt_img_1.txt", f"{WORD},###", WORD, True),
        ("gt_img_1.txt", f"{WORD},1,200", WORD, False),  # a text
        ("gt_img_1.txt", f"{CURVED},text", CURVED, False),
        ("gt_img_1.txt", '0, 0, 100, 20, "Tiredness"', WORD, False),
        ("gt_img_1.txt", '0, 0, 100, 20, "###"', WORD, True),
        ("gt_img_1.txt", "0,0,100,20,1990", WORD, False),
        (
            "poly_gt_img1.txt",
            "x: [[0 100 100 0]], y: [[0 0 20 20]], ornt: [u'h'], transcriptions: [u'a']",
            WORD,
            False,
        ),
        ("img1.jpg.txt", f"{WORD},###", WORD, True),
        ("IMG_1.gt", "0 1 0 0 100 20 0.0", WORD, True),
    ],
)
def test_truth_lines(file: str, content: str, points: str, ignore: bool) -> None:
    truth = parse_truth(f"{content}\n".encode(), file)
    assert truth.problems == []
    np.testing.assert_allclose(truth.polygons[0], quad(points), atol=1e-4)
    assert truth.ignore == [ignore]


@pytest.mark.parametrize("line", ["0,0,9,0,9,nine,0,9,text", "1,2,3,text", "1,2,3,4,5,6,text", "###"])
def test_bad_truth_lines_are_named(line: str) -> None:
    truth = parse_truth(f"{WORD},a\n{line}\n".encode(), "gt_a.txt")
    assert len(truth.polygons) == 1
    assert truth.problems[0].startswith("gt_a.txt:2: ")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80) | st.text('0123456789.,-+en#\n\r "', max_size=80).map(str.encode))
def test_whatever_is_in_a_file_every_line_is_a_polygon_or_a_problem(data: bytes) -> None:
    found = parse_detections(data, "a.txt")
    lines, problems = text_lines(data, "a.txt")
    bad = {problem.split(":")[1] for problem in found.problems if "crosses" not in problem and problem not in problems}
    assert len(found.polygons) + len(bad) == len(lines)
    for file in ("gt_a.txt", "poly_gt_a.txt", "a.gt"):
        parse_truth(data, file)
    with pytest.raises(ValueError, match=r"a\.json"):
        parse_detections_json(data, "a.json")


def test_names_belong_to_pictures() -> None:
    assert by_picture(["x/gt_img_1.txt", "x/gt_img_2.txt"]) == {
        "img_1": "x/gt_img_1.txt",
        "img_2": "x/gt_img_2.txt",
    }
    assert by_picture(["a/res_1.txt", "a/b/res_1.txt"]) == {"1": "a/res_1.txt", "b/1": "a/b/res_1.txt"}
    files = ["poly_gt_img11.txt", "img12.jpg.txt", "IMG_0059.gt", "res_v1.2.txt", "picture.JPG"]
    assert set(by_picture(files)) == {"img11", "img12", "IMG_0059", "v1.2", "picture"}
    assert by_picture([]) == {}
    with pytest.raises(ValueError, match=r"res_a.jpg.txt and res_a.txt are both of picture a"):
        by_picture(["res_a.txt", "res_a.jpg.txt"])


def test_a_submission_is_scored_picture_by_picture(tmp_path: pathlib.Path) -> None:
    truth = pack(tmp_path / "gt.zip", {f"gt_img_{n}.txt": f"{WORD},a\n{OTHER},b\n{THIRD},###\n" for n in (1, 2, 10)})
    files = {
        "submit/res_img_1.txt": f"{WORD},0.9\n{THIRD},0.8\n",  # the second is on a don't-care
        "submit/res_img_10.txt": f"{WORD},0.9\n{OTHER},0.7\n0,200,50,200,50,220,0,220,0.5\nbad\n",
        "__MACOSX/submit/._res_img_1.txt": "junk",
        "readme.md": "junk",
    }
    found = score_files(pack(tmp_path / "submit.zip", files), truth, output=tmp_path / "out")
    # Three of four detections are right; three of six words are found: one picture has no file.
    assert found.summary["precision"] == pytest.approx(3 / 4)
    assert found.summary["recall"] == pytest.approx(3 / 6)
    assert {key: found.summary[key] for key in ("protocol", "images", "without_detections", "problems")} == {
        "protocol": "iou",
        "images": 3,
        "without_detections": 1,
        "problems": 2,
    }
    assert found.problems == [
        "submit/res_img_10.txt:4: 0 numbers where points x1,y1,x2,y2,… are needed: 'bad'",
        f"{tmp_path}/submit.zip: nothing of 1 of 3 pictures, which count as without detections: img_2",
    ]
    assert [point["threshold"] for point in found.summary["sweep"]][::40] == [0.5, 0.9]
    assert found.summary["best_box_threshold"] == 0.51
    assert json.loads((tmp_path / "out/evaluation.json").read_text()) == found.summary
    assert (tmp_path / "out/problems.txt").read_text().splitlines() == found.problems
    assert found.page == tmp_path / "out/index.html"
    page = found.page.read_text()
    # img_2 has two errors, img_1 and img_10 one each.
    assert [page.index(f'title="{name}"') for name in ("img_2", "img_1", "img_10")] == sorted(
        page.index(f'title="{name}"') for name in ("img_1", "img_2", "img_10")
    )
    assert page.count("<article>") == len(list((tmp_path / "out/pictures").iterdir())) == 3


def test_what_predict_writes_is_scored_with_its_scores(tmp_path: pathlib.Path) -> None:
    found = Detections([quad(WORD), quad(OTHER)], np.array([0.9, 0.8], np.float32))
    pictures = {"img_1.jpg": {"height": 300, "width": 300, "detections": as_json(found)}}
    output = write(tmp_path / "predicted/icdar", res_img_1=as_icdar(found)).parent
    truth = write(tmp_path / "gt", gt_img_1=f"{WORD},a\n", gt_img_2=f"{WORD},b\n")
    text = score_files(output / "icdar", truth)
    assert text.summary["sweep"] == []
    assert text.summary["best_box_threshold"] is None
    (output / "detections.json").write_text(json.dumps({"pictures": pictures, "skipped": {"img_2.png": "broken"}}))
    whole = score_files(output, truth)
    assert [whole.summary[key] for key in ("precision", "recall")] == [0.5, 0.5]
    assert whole.summary["precision"] == text.summary["precision"]
    assert whole.summary["best_box_threshold"] == 0.81
    assert whole.problems == ["detections.json: img_2.png was skipped: broken"]
    assert score_files(output / "detections.json", truth).summary == whole.summary


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"polygon": [[0, 0], [1, 1]]}, "2 points where at least 3"),
        ({"polygon": [[0, 0, 0]] * 4}, "`polygon` must be a list of points"),
        ({"polygon": [[0, 0], [1], [2, 2]]}, "`polygon` must be a list of points"),
        ({"polygon": [[0, 0], [10**400, 1], [2, 2]]}, "`polygon` must be a list of points"),
        ({"polygon": [[0, 0], [None, 1], [2, 2]]}, "`polygon` must be a list of points"),
        ({"polygon": quad(WORD).tolist(), "score": 2}, r"`score` (=2) must be in [0, 1]"),
        ({"polygon": quad(WORD).tolist(), "score": "high"}, "`score` (='high')"),
        ("nothing", "`polygon` must be"),
    ],
)
def test_bad_entries_of_a_json_file_are_named(entry: Any, reason: str) -> None:
    good = {"polygon": quad(WORD).tolist(), "score": 0.5}
    data = json.dumps({"pictures": {"a.jpg": {"detections": [entry, good]}, "b.jpg": []}}).encode()
    found = parse_detections_json(data, "d.json")
    assert found["a.jpg"].scores == [0.5]
    assert found["a.jpg"].problems[0].startswith("d.json: a.jpg: detection 0: ")
    assert reason in found["a.jpg"].problems[0]
    assert found["b.jpg"].problems == ["d.json: b.jpg: has no list of detections"]


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"pictures": []}', b"[" * 100_000, b'{"pictures": {}, "skipped": 3}'])
def test_a_json_file_of_another_form_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"d\.json: not "):
        parse_detections_json(data, "d.json")


def test_detections_without_a_truth_are_named(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_img_1=f"{WORD},a\n")
    found = write(tmp_path / "det", res_img_1=WORD, res_img_7=WORD, res_img_8=WORD)
    with pytest.raises(ValueError, match=r"no truth of: img_7, img_8; it has, for example, img_1"):
        score_files(found, truth)


def test_a_file_that_tells_of_no_picture_is_named_where_it_holds_no_detections(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_img_1=f"{WORD},a\n")
    found = score_files(write(tmp_path / "det", res_img_1=WORD, readme="a method\n", res_img_9=""), truth)
    assert found.summary["hmean"] == 1
    assert found.problems == [
        "readme.txt:1: 0 numbers where points x1,y1,x2,y2,… are needed: 'a method'",
        f"img_9: left out: no detections, and no such picture in {truth}",
        f"readme: left out: no detections, and no such picture in {truth}",
    ]


@pytest.mark.parametrize("name", ["res_img_{}.txt", "img_{}.txt", "gt_img_{}.txt", "task/deep/res_img_{}.jpg.txt"])
@pytest.mark.parametrize("rest", ["", ",0.9", ",Text, with a comma", ",0.9,Text"])
def test_submissions_are_packed_and_written_in_many_ways(tmp_path: pathlib.Path, name: str, rest: str) -> None:
    truth = write(tmp_path / "gt", **{f"gt_img_{n}": f"{WORD},a\n{OTHER},###\n" for n in (1, 2)})
    content = f"\ufeff{WORD}{rest}\r\n{OTHER}{rest}\r\n"
    found = score_files(pack(tmp_path / "det.zip", dict.fromkeys(map(name.format, (1, 2)), content)), truth)
    assert (found.summary["precision"], found.summary["recall"], found.problems) == (1, 1, [])
    assert bool(found.summary["sweep"]) == ("0.9" in rest)


def test_pictures_of_the_page_hold_their_outlines_wherever_these_lie(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_far="5000,4000,5100,4000,5100,4020,5000,4020,a\n", gt_tall="-50,0,9,3000,a\n")
    truth = write(truth, gt_none="")
    score_files(write(tmp_path / "det", res_far=WORD), truth, output=tmp_path / "out")
    pages = sorted((tmp_path / "out/pictures").iterdir())
    assert len(pages) == 3
    for path in pages:
        image = cv2.imread(str(path))
        assert image is not None
        assert image.shape[0] / image.shape[1] == pytest.approx(2 / 3, abs=1e-2)
        missed = (image[..., 2] > 200) & (image[..., 0] < 100)
        assert missed.any() == ("none" not in path.stem)
        edge = np.concatenate([missed[[0, -1]].ravel(), missed[:, [0, -1]].ravel()])
        assert not edge.any()


def test_scores_of_only_some_detections_are_named(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_a=f"{WORD},a\n{OTHER},b\n")
    found = score_files(write(tmp_path / "det", res_a=f"{WORD},0.5\n{OTHER}\n"), truth)
    assert found.summary["hmean"] == 1
    assert found.problems == ["1 of 2 detections have no score: there is no sweep over thresholds"]
    assert found.page is None


def test_scores_in_percent_are_named_once(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_a=f"{WORD},a\n", gt_b=f"{WORD},b\n")
    found = score_files(write(tmp_path / "det", res_a=f"{WORD},98.8\n{OTHER},97\n", res_b=f"{WORD},12"), truth)
    assert found.problems == [
        "the last number of 3 lines (e.g. 98.8, res_a.txt:1) is no score in [0, 1]: scores in percent must be divided "
        "by 100; taken for a text"
    ]
    assert found.summary["recall"] == 1


@pytest.mark.parametrize("separator", [";", " ", "\t"])
@pytest.mark.parametrize("side", ["det", "gt"])
def test_files_of_which_no_line_can_be_read_are_an_error(tmp_path: pathlib.Path, separator: str, side: str) -> None:
    lines = {"det": WORD, "gt": f"{WORD},a"}
    lines[side] = lines[side].replace(",", separator)
    sides = {one: write(tmp_path / one, a="\n".join([line] * 40)) for one, line in lines.items()}
    words = rf"(?s){side}: not one line could be read \(are the fields separated by commas\?\):\na\.txt.*1: 0 numbers"
    with pytest.raises(ValueError, match=words):
        score_files(sides["det"], sides["gt"])


def test_files_without_any_line_are_none_of_these(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_a=f"{WORD},a\n")
    assert score_files(write(tmp_path / "det", res_a="\n"), truth).summary["hmean"] == 0
    assert score_files(truth, write(tmp_path / "empty", gt_a="")).summary["precision"] == 0


def test_a_readme_among_the_truths_is_no_picture(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_a=f"{WORD},a\n", gt_b="", readme="Read me, please.\n")
    found = score_files(write(tmp_path / "det", res_a=WORD, res_b=""), truth)
    assert found.summary["images"] == 2
    assert found.summary["without_detections"] == 0
    assert found.problems[0].startswith("readme.txt")
    assert "Read me, please." in found.problems[0]
    assert found.problems[1:] == [f"readme: left out: nothing in {truth} says that there is such a picture"]
    # In both folders it is none either; a truth that is garbled is still that of a picture.
    found = score_files(write(tmp_path / "det", readme="Our method\n"), write(truth, gt_b="garbled"))
    assert (found.summary["images"], found.summary["recall"]) == (2, 1)
    (truth / "gt_b.txt").rename(truth / "b.txt")
    assert score_files(tmp_path / "det", truth).summary["images"] == 2


def test_the_page_lists_the_problems_and_links_them_and_says_where_nothing_is(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_a=f"{WORD},a\n", gt_b="")
    found = score_files(write(tmp_path / "det", res_a=f"{WORD}\noops", res_b=""), truth, output=tmp_path / "out")
    page = (tmp_path / "out/index.html").read_text()
    assert '<summary>1 problem <a href="problems.txt">problems.txt</a></summary>' in page
    assert f"<li>{html.escape(found.problems[0])}</li>" in page
    assert page.count("nothing here, nothing found") == 1


def test_a_truncated_archive_is_called_damaged(tmp_path: pathlib.Path) -> None:
    whole = pack(tmp_path / "whole.zip", {"gt_a.txt": f"{WORD},a\n" * 99}).read_bytes()
    (tmp_path / "gt.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"gt\.zip: a damaged zip archive"):
        read_source(tmp_path / "gt.zip", (".txt",))


def test_names_that_are_no_text_are_scored_and_shown(tmp_path: pathlib.Path) -> None:
    for folder, file, content in (("gt", b"gt_caf\xe9.txt", f"{WORD},a"), ("det", b"res_caf\xe9.txt", f"{WORD}\noops")):
        (tmp_path / folder).mkdir()
        pathlib.Path(os.fsdecode(os.fsencode(tmp_path / folder) + b"/" + file)).write_text(content)
    found = score_files(tmp_path / "det", tmp_path / "gt", output=tmp_path / "out")
    assert found.summary["hmean"] == 1
    assert r"caf\udce9" in (tmp_path / "out/index.html").read_text()
    assert r"res_caf\udce9.txt:2: " in (tmp_path / "out/problems.txt").read_text()


def test_names_of_an_archive_lead_nowhere(tmp_path: pathlib.Path) -> None:
    files = {"/etc/gt_a.txt": "1", "../../gt_b.txt": "2", "..\\x\\gt_c.txt": "3", "deep/./gt_d.txt": "4"}
    contents = read_source(pack(tmp_path / "gt.zip", files), (".txt",))
    assert contents == {"etc/gt_a.txt": b"1", "gt_b.txt": b"2", "x/gt_c.txt": b"3", "deep/gt_d.txt": b"4"}
    assert [path.name for path in tmp_path.iterdir()] == ["gt.zip"]


def test_an_archive_that_holds_too_much_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = pack(tmp_path / "bomb.zip", {"gt_a.txt": "0" * 2**20})
    assert bomb.stat().st_size < 2**12
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 2**16)
    with pytest.raises(ValueError, match=r"bomb.zip: gt_a.txt: too much to read"):
        read_source(bomb, (".txt",))
    many = pack(tmp_path / "many.zip", {f"gt_{n}.txt": "0" * 2**12 for n in range(20)})
    monkeypatch.setattr(sources, "MAX_TOTAL_BYTES", 2**15)
    with pytest.raises(ValueError, match=r"many.zip: gt_8.txt: too much to read"):
        read_source(many, (".txt",))
    monkeypatch.setattr(sources, "MAX_FILES", 3)
    with pytest.raises(ValueError, match=r"many.zip: gt_3.txt: too much to read"):
        read_source(many, (".txt",))


def test_sources_that_are_none(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder or file"):
        read_source(tmp_path / "nowhere", (".txt",))
    with pytest.raises(FileNotFoundError, match=r"holds no \.txt or \.gt file"):
        read_source(tmp_path, (".txt", ".gt"))
    with pytest.raises(FileNotFoundError, match=r"empty.zip: holds no \.txt file"):
        read_source(pack(tmp_path / "empty.zip", {}), (".txt",))
    (tmp_path / "text.zip").write_text(WORD)
    with pytest.raises(ValueError, match=r"text\.zip: neither a folder nor a zip archive"):
        read_source(tmp_path / "text.zip", (".txt",))
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(ValueError, match="neither a folder nor a zip archive"):
        read_source(tmp_path / "a.rar", (".txt",))
    whole = pack(tmp_path / "whole.zip", {"gt_a.txt": "word " * 1000}).read_bytes()
    spoiled = bytearray(whole)
    spoiled[40:60] = bytes(20)
    (tmp_path / "spoiled.zip").write_bytes(spoiled)
    with pytest.raises(ValueError, match=r"spoiled.zip: cannot be read as a zip archive"):
        read_source(tmp_path / "spoiled.zip", (".txt",))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_spoiled_archive_is_read_or_named(tmp_path: pathlib.Path, compression: int) -> None:
    path, random = tmp_path / "gt.zip", np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in ("ü/gt_a.txt", "gt_b.txt"):
            archive.writestr(name, f"{WORD},text\n" * 20)
    whole, outcomes = np.frombuffer(path.read_bytes(), np.uint8), set()
    for _ in range(300):
        spoiled = whole.copy()
        count = random.integers(0, 4)
        spoiled[random.integers(0, len(whole), count)] = random.integers(0, 256, count)
        path.write_bytes(spoiled[: random.integers(len(whole) // 2, 3 * len(whole))].tobytes())
        try:
            assert set(read_source(path, (".txt",)).values()) <= {f"{WORD},text\n".encode() * 20}
            outcomes.add("read")
        except (ValueError, FileNotFoundError) as error:
            outcomes.add("named" if str(path) in str(error) else str(error))
    assert outcomes == {"read", "named"}


def test_another_compression_is_refused(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(tmp_path / "gt.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("gt_a.txt", WORD)
    with pytest.raises(ValueError, match=r"gt_a\.txt is compressed in another way"):
        read_source(tmp_path / "gt.zip", (".txt",))


def test_the_command_line_names_bad_lines_and_scores(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_a=f"{WORD},a\n")
    found = write(tmp_path / "det", res_a=f"{WORD}\noops\n")
    command = [
        sys.executable,
        "run.py",
        "--mode=score",
        f"--detections={found}",
        f"--truth={truth}",
        "--protocol=td500",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "res_a.txt:2: 0 numbers" in done.stdout
    assert "precision 1.0000  recall 1.0000  hmean 1.0000  protocol td500  images 1" in done.stdout
    assert "sweep" not in done.stdout


def test_the_command_line_names_the_first_problems_and_says_where_the_others_are(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", **{f"gt_{n}": f"{WORD},a\n" for n in range(200)})
    found = write(tmp_path / "det", res_1=f"{WORD}\n" + "oops\n" * 30)
    command = [sys.executable, "run.py", "--mode=score", f"--detections={found}", f"--truth={truth}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 22
    assert lines[20] == "… and 11 more (--output=DIR writes them all)"
    command.append(f"--output={tmp_path / 'out'}")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"… and 11 more in {tmp_path}/out/problems.txt" in done.stdout
    assert len((tmp_path / "out/problems.txt").read_text().splitlines()) == 31
    assert max(map(len, done.stdout.splitlines())) < 300


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--mode=score", "--truth=gt"], "--detections is missing: a folder or a zip archive of text files"),
        (["--mode=inspect", "--config=configs/quickstart.py"], "--output is missing: a folder for the page"),
    ],
)
def test_a_flag_that_is_missing_is_all_that_is_said(flags: list[str], words: str) -> None:
    done = subprocess.run([sys.executable, "run.py", *flags], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(words)
    assert len(done.stderr.splitlines()) == 1
