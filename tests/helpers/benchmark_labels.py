"""Labels of the benchmarks, and small data sets in each of their layouts."""

import io
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.io import savemat

from tests.helpers.own_labels import write, write_picture

WORD = "10,10,30,10,30,20,10,20"
SQUARE = [[10, 10], [30, 10], [30, 20], [10, 20]]
QUAD = np.array(SQUARE, float).T  # 2×4, as SynthText has it
NAMES = ["8/ballet_106_0.jpg", "8/ballet_106_1.jpg", "200/wall_1_0.jpg", "9/none.jpg"]  # of SynthText
# Fourteen points along the upper and back along the lower edge of a box from (10, 10) to (22, 15).
CURVE = [(2 * i, 0) for i in range(7)] + [(12 - 2 * i, 5) for i in range(7)]
OFFSETS = ",".join(f"{x},{y}" for x, y in CURVE)
ABSOLUTE = ",".join(f"{x + 10},{y + 10}" for x, y in CURVE)
FIRST = f"10,10,22,15,{OFFSETS}"
BOX = "<box height='5' left='10' top='10' width='12'><label>{}</label><segs>{}</segs><pts x='1' y='2' /></box>\n"
RECORD = "x: [[{}]], y: [[{}]], ornt: [u'{}'], transcriptions: [u'{}']"
ROWS = [
    [["x:"], [[206, 251, 386, 542]], ["y:"], [[633, 811, 931, 946]], ["PETROSAINS"], ["c"]],
    [["x:"], [[10, 30, 30, 10]], ["y:"], [[1, 1, 9, 9]], ["SIGN"], ["#"]],
    [["x:"], [[10.5, 30, 30, 10]], ["y:"], [[1, 1, 9, 9]], [], []],
]

LINES = {
    "icdar2015": [f"{WORD},first", f'{WORD},Söhne, "9", 7', f"{WORD},###"],
    "msra_td500": ["0 0 10 10 40 20 -0.048040", "1 1 12 20 30 8 0.1", "2 0 20 20 30 8 1.5"],
    "total_text": [f"{WORD},first", "10,10,20,8,30,10,30,20,20,18,10,20,Söhne", f"{WORD},###"],
    "total_text records": [
        RECORD.format("10 30 30 10", "10 10 20 20", "h", "first"),
        RECORD.format("10 20 30 30 20 10", "10 8 10 20 18 20", "c", "Söhne, [u7]"),
        RECORD.format("10 30 30 10", "10 10 20 20", "#", "#"),
    ],
    "ctw1500": [f"{WORD},####first", f'{ABSOLUTE},####Söhne, "9", 7', f"{WORD},#######"],
    "ctw1500 boxes": [FIRST, FIRST, FIRST],
    "mlt2017": [f"{WORD},Latin,first", f'{WORD},Latin,Söhne, "9", 7', f"{WORD},Korean,###"],
    "hust_tr400": ["0 0 10 10 40 20 -0.048040 first", "1 1 12 20 30 8 0.1 Söhne", "2 0 20 20 30 8 1.5"],
}
"""What a label file of a picture holds, a line each of three instances."""

FILES = {
    "icdar2015": ("ch4_training_images/img_{}.jpg", "ch4_training_localization_transcription_gt/gt_img_{}.txt"),
    "msra_td500": ("train/IMG_{}.JPG", "train/IMG_{}.gt"),
    "total_text": ("Images/Train/img{}.jpg", "Txts/Train/img{}.jpg.txt"),
    "total_text records": ("Images/Train/img{}.jpg", "txt_format/Train/poly_gt_img{}.txt"),
    "total_text mat": ("Images/Train/img{}.jpg", "Groundtruth/Polygon/Train/poly_gt_img{}.mat"),
    "ctw1500": ("train_images/000{}.jpg", "ctw1500_train_labels/000000{}.txt"),
    "ctw1500 boxes": ("train/text_image/000{}.jpg", "train/text_label_curve/000{}.txt"),
    "ctw1500 xml": ("train_images/000{}.jpg", "ctw1500_train_labels/000{}.xml"),
    "mlt2017": ("ch8_training_images_1/img_{}.jpg", "ch8_training_localization_transcription_gt_v2/gt_img_{}.txt"),
    "hust_tr400": ("img_{}.jpg", "img_{}.gt"),
    "synthtext": ("1/img_{}.jpg", "gt.mat"),
}
"""Where the picture of a number and its labels lie."""


def xml(*boxes: str) -> str:
    """A document of CTW1500's second release."""
    return f"<Annotations>\n<image file='0001.jpg'>\n{''.join(boxes)}</image>\n</Annotations>\n"


def mat(rows: Sequence[Sequence[Any]], *, variable: str = "polygt", compress: bool = False) -> bytes:
    """A MATLAB file of Total-Text's."""
    table = np.empty((len(rows), max(map(len, rows), default=0)), object)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            table[i, j] = np.array(cell)
    file = io.BytesIO()
    savemat(file, {variable: table}, do_compression=compress)
    return file.getvalue()


def cells(values: Sequence[Any]) -> np.ndarray:
    """A MATLAB cell array of one row."""
    row = np.empty((1, len(values)), object)
    row[0] = values
    return row


def synthtext_mat(names: Sequence[str], boxes: Sequence[Any], texts: Sequence[Any], *, compress: bool = True) -> bytes:
    """SynthText's gt.mat."""
    labels = {
        "imnames": cells([np.array([name]) for name in names]),
        "wordBB": cells(boxes),
        "charBB": cells([QUAD] * len(names)),
        "txt": cells([np.array(text) for text in texts]),
    }
    file = io.BytesIO()
    savemat(file, labels, do_compression=compress)
    return file.getvalue()


def make_synthtext(
    folder: pathlib.Path, names: Sequence[str] = NAMES, boxes: Any = None, texts: Any = None
) -> pathlib.Path:
    """A SynthText of four pictures, which have one word, three words, none, and a text of two for one box."""
    for name in names:
        write_picture(folder / name)
    # Padded with spaces, as MATLAB does.
    boxes = boxes or [QUAD, np.stack([QUAD, QUAD + 20, QUAD + 5], axis=2), np.zeros((2, 4, 0)), QUAD]
    texts = texts or [["  one  "], ["two  words", "four\n  "], [""], ["a\nb"]]
    write(folder / "gt.mat", synthtext_mat(names, boxes, texts))
    return folder


def content(kind: str, numbers: Sequence[int]) -> bytes:
    """What a label file holds: three instances of a picture, or of each where one file is of all of them."""
    if kind == "synthtext":
        boxes = np.stack([QUAD, QUAD + 20, QUAD + 5], axis=2)
        names = [FILES[kind][0].format(n) for n in numbers]
        texts = [["two  words", "Söhne\n  "]] * len(numbers)
        return synthtext_mat(names, [boxes] * len(numbers), texts, compress=False)
    if kind == "total_text mat":
        return mat([[["x:"], [[10, 30, 30, 10]], *row[2:]] for row in ROWS[1:]])
    if kind == "ctw1500 xml":
        return xml(BOX.format("first", ABSOLUTE), BOX.format("Söhne", ABSOLUTE), BOX.format("###", ABSOLUTE)).encode()
    return "".join(f"{line}\r\n" for line in LINES[kind]).encode()


def make(kind: str, folder: pathlib.Path, numbers: Sequence[int]) -> pathlib.Path:
    """A data set in the layout of a benchmark, of the pictures of these numbers."""
    picture, labels = FILES[kind]
    for n in numbers:
        write_picture(folder / picture.format(n))
        write(folder / labels.format(n), content(kind, numbers if kind == "synthtext" else [n]))
    return folder


def check_places(reader, folder, count):
    """Every picture of "trainval" has its place in one of the splits."""
    whole = reader(folder, "trainval")
    assert len(whole) == count
    splits = {split: reader(folder, split) for split in {whole.place(index)[0] for index in range(count)}}
    found = [whole.place(index) for index in range(count)]
    assert sorted(found) == sorted((split, i) for split, part in splits.items() for i in range(len(part)))
    for index, (split, position) in enumerate(found):
        assert whole.name(index).removeprefix(f"{split}_") == splits[split].name(position)
        assert whole.picture(index) == splits[split].picture(position)
