"""Scoring of folders and archives: names that belong together, what cannot be scored, the page and the command."""

import html
import json
import os
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from dbnet_jax.commands.score import score_files
from dbnet_jax.detection.outputs import as_icdar, as_json
from dbnet_jax.evaluation.submissions.archive import by_picture
from dbnet_jax.files import MANIFEST
from dbnet_jax.postprocess import Detections
from tests.helpers.paths import ROOT
from tests.helpers.problems import said
from tests.helpers.submissions import OTHER, THIRD, WORD, pack, quad


def write(folder: pathlib.Path, **files: str) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.txt").write_text(content)
    return folder


def test_names_belong_to_pictures() -> None:
    assert by_picture(["x/gt_img_1.txt", "x/gt_img_2.txt"]) == {"img_1": "x/gt_img_1.txt", "img_2": "x/gt_img_2.txt"}
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
    assert said(found) == [
        "submit/res_img_10.txt:4: 0 numbers where points x1,y1,x2,y2,… are needed: 'bad'",
        f"{tmp_path}/submit.zip: nothing of 1 of 3 pictures, which count as without detections: img_2",
    ]
    assert [point["threshold"] for point in found.summary["sweep"]][::40] == [0.5, 0.9]
    assert found.summary["best_box_threshold"] == 0.51
    assert json.loads((tmp_path / "out/evaluation.json").read_text()) == found.summary
    assert (tmp_path / "out/problems.txt").read_text().splitlines() == said(found)
    assert found.page == tmp_path / "out/index.html"
    page = found.page.read_text()
    # img_2 has two errors, img_1 and img_10 one each.
    places = [page.index(f'title="{name}"') for name in ("img_2", "img_1", "img_10")]
    assert places == sorted(places)
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
    assert said(whole) == ["detections.json: img_2.png was skipped: broken"]
    assert score_files(output / "detections.json", truth).summary == whole.summary


def test_detections_without_a_truth_are_named(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_img_1=f"{WORD},a\n")
    found = write(tmp_path / "det", res_img_1=WORD, res_img_7=WORD, res_img_8=WORD)
    with pytest.raises(ValueError, match=r"no truth of: img_7, img_8; it has, for example, img_1"):
        score_files(found, truth)


def test_a_file_that_tells_of_no_picture_is_named_where_it_holds_no_detections(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_img_1=f"{WORD},a\n")
    found = score_files(write(tmp_path / "det", res_img_1=WORD, readme="a method\n", res_img_9=""), truth)
    assert found.summary["hmean"] == 1
    assert said(found) == [
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
    assert (found.summary["precision"], found.summary["recall"], said(found)) == (1, 1, [])
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
    assert said(found) == ["1 of 2 detections have no score: there is no sweep over thresholds"]
    assert found.page is None


def test_scores_in_percent_are_refused(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_a=f"{WORD},a\n")
    detections = write(tmp_path / "det", res_a=f"{WORD},98.8\n{OTHER},97\n")
    with pytest.raises(ValueError, match=r"res_a\.txt:1: .*\(=98\.8\) is no score in \[0, 1\]: scores in percent must"):
        score_files(detections, truth)


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


@pytest.mark.parametrize("truth", [f"{WORD},###\n", ""])
def test_a_truth_without_text_that_counts_is_listed(truth: str, tmp_path: pathlib.Path) -> None:
    found = score_files(write(tmp_path / "det", res_a=WORD), write(tmp_path / "gt", gt_a=truth))
    assert said(found)[-1].startswith("all text of the truth is ignored, or there is none")


def test_a_readme_among_the_truths_is_no_picture(tmp_path: pathlib.Path) -> None:
    truth = write(tmp_path / "gt", gt_a=f"{WORD},a\n", gt_b="", readme="Read me, please.\n")
    found = score_files(write(tmp_path / "det", res_a=WORD, res_b=""), truth)
    assert found.summary["images"] == 2
    assert found.summary["without_detections"] == 0
    assert said(found)[0].startswith("readme.txt")
    assert "Read me, please." in said(found)[0]
    assert said(found)[1:] == [f"readme: left out: nothing in {truth} says that there is such a picture"]
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
    assert f"<li>{said(found)[0]}</li>" in html.unescape(page)
    assert page.count("nothing here, nothing found") == 1


def test_names_that_are_no_text_are_scored_and_shown(tmp_path: pathlib.Path) -> None:
    for folder, file, content in (("gt", b"gt_caf\xe9.txt", f"{WORD},a"), ("det", b"res_caf\xe9.txt", f"{WORD}\noops")):
        (tmp_path / folder).mkdir()
        pathlib.Path(os.fsdecode(os.fsencode(tmp_path / folder) + b"/" + file)).write_text(content)
    found = score_files(tmp_path / "det", tmp_path / "gt", output=tmp_path / "out")
    assert found.summary["hmean"] == 1
    assert r"caf\udce9" in (tmp_path / "out/index.html").read_text()
    assert r"res_caf\udce9.txt:2: " in (tmp_path / "out/problems.txt").read_text()


def test_the_command_line_names_bad_lines_and_scores(tmp_path: pathlib.Path, cli) -> None:
    truth = write(tmp_path / "gt", gt_a=f"{WORD},a\n")
    found = write(tmp_path / "det", res_a=f"{WORD}\noops\n")
    printed = cli("--mode=score", f"--detections={found}", f"--truth={truth}", "--protocol=td500")
    assert "res_a.txt:2: 0 numbers" in printed
    assert "precision 1.0000  recall 1.0000  hmean 1.0000  protocol td500  images 1" in printed
    assert "sweep" not in printed


def test_the_command_line_names_the_first_problems_and_says_where_the_others_are(tmp_path: pathlib.Path, cli) -> None:
    truth = write(tmp_path / "gt", **{f"gt_{n}": f"{WORD},a\n" for n in range(200)})
    found = write(tmp_path / "det", res_1=f"{WORD}\n" + "oops\n" * 30)
    words = ("--mode=score", f"--detections={found}", f"--truth={truth}")
    lines = cli(*words).splitlines()
    assert len(lines) == 22
    assert lines[20] == "… and 11 more (--output=DIR writes them all)"
    printed = cli(*words, f"--output={tmp_path / 'out'}")
    assert f"… and 11 more in {tmp_path}/out/problems.txt" in printed
    assert len((tmp_path / "out/problems.txt").read_text().splitlines()) == 31
    assert max(map(len, printed.splitlines())) < 300


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


@pytest.mark.parametrize("name", ["index.html", "problems.txt", "evaluation.json"])
def test_files_of_a_person_are_refused(tmp_path: pathlib.Path, name: str) -> None:
    truth, found = write(tmp_path / "gt", gt_1=f"{WORD},a\n"), write(tmp_path / "res", res_1=f"{WORD}\n")
    output = tmp_path / "out"
    for _ in range(2):  # its own files are no reason
        score_files(found, truth, output=output)
    (output / MANIFEST).unlink()
    for file in {"index.html", "problems.txt", "evaluation.json"} - {name}:
        (output / file).unlink()
    before = (output / name).read_bytes()
    with pytest.raises(FileExistsError, match=rf"`output` \(='{output}'\) contains .*: {name}\."):
        score_files("nowhere", truth, output=output)
    assert (output / name).read_bytes() == before
