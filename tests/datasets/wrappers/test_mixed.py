"""Sets in shares: the shares are kept, nothing is left out, and an index always means the same picture."""

import collections
import os

import cv2
import numpy as np
import pytest

from configs import own_data, quickstart
from dbnet_jax.images.decode import BadPicture
from dbnet_jax.messages import Problem
from input_pipeline.augment import Augmentation
from input_pipeline.bad_samples import BadSamples, TooManyBadSamples
from input_pipeline.datasets.rendered.synthetic.dataset import SyntheticDataset
from input_pipeline.datasets.sample import Annotation, Sample
from input_pipeline.datasets.wrappers import cached
from input_pipeline.datasets.wrappers.cached import CachedDataset, memory_for_cache
from input_pipeline.datasets.wrappers.mixed import MixedDataset, Part, labels_of, parse_mix
from input_pipeline.datasets.wrappers.on_device import StoredDataset
from input_pipeline.examples import Examples
from input_pipeline.from_config import _open, open_split
from tests.helpers.numbered import Numbered
from tests.helpers.problems import said


class Few(Numbered):
    def __init__(self, letter: str, count: int):
        super().__init__(count)
        self.letter, self.problems = letter, [Problem("", f"{letter} is made up")]

    def name(self, index):
        return f"{self.letter}{index}"

    def __getitem__(self, index):
        return Sample(self.name(index), np.zeros((4, 4, 3), np.uint8), [], [])


def test_every_picture_is_there_and_the_shares_are_the_weights():
    mixed = MixedDataset([Few("a", 10), Few("b", 4), Few("c", 30)], [1.0, 2.0, 3.0])
    names = [mixed.name(i) for i in range(len(mixed))]
    shares = collections.Counter(name[0] for name in names)
    assert shares == {"a": 10, "b": 20, "c": 30}
    assert set(names) == {f"a{i}" for i in range(10)} | {f"b{i}" for i in range(4)} | {f"c{i}" for i in range(30)}
    assert max(collections.Counter(names).values()) == 5
    assert [mixed[i].name for i in (0, 10, 59)] == ["a0", "b0", "c29"]
    assert said(mixed) == ["a is made up", "b is made up", "c is made up"]
    with pytest.raises(IndexError, match="60"):
        mixed[60]


class Spoilt(Few):
    def __getitem__(self, index):
        if index < 2:
            raise BadPicture(f"gt_{index}.txt: cannot be read")
        raise BadPicture(f"{self.name(index)}: is damaged")

    annotation = __getitem__


def test_names_and_problems_say_of_which_set_they_are():
    mixed = MixedDataset([Few("a", 2), Few("a", 1), Spoilt("a", 3)], [2.0, 1.0, 3.0], labels=["x", "y", "z"])
    assert [mixed.name(i) for i in range(3)] == ["x: a0", "x: a1", "y: a0"]
    assert mixed[2].name == "y: a0"
    assert said(mixed) == [f"{label}: a is made up" for label in "xyz"]
    for index, message in ((3, "z: a0: gt_0.txt: cannot be read"), (5, "z: a2: is damaged")):
        with pytest.raises(BadPicture, match=f"^{message}$"):
            mixed[index]
        with pytest.raises(BadPicture, match=f"^{message}$"):
            mixed.annotation(index)
    report = BadSamples(9, 1.0)
    for index in (3, 5):
        report.add(mixed.name(index), "z: " + mixed.name(index)[3:] + ": is damaged", mixed.origin(index))
    assert report.report().splitlines() == [
        "2 pictures skipped, 0 problems in the data:",
        "  z: a0: is damaged",
        "  z: a2: is damaged",
    ]
    one = BadSamples(9, 1.0)
    one.add("1.jpg", "is damaged")
    one.add_problems([Problem("gt_1.txt:1", "odd")])
    assert one.report().startswith("1 picture skipped, 1 problem in the data:")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda dataset: dataset,
        lambda dataset: CachedDataset(dataset, 1e9),
        lambda dataset: StoredDataset(dataset, (4, 4)),
    ],
)
def test_the_limit_is_of_each_set(wrap):
    # Of 40 samples ten are of three pictures that are all bad.
    mixed = wrap(MixedDataset([Few("a", 30), Spoilt("a", 3)], [3.0, 1.0], labels=["good", "bad"]))
    assert len(mixed) == 40
    examples = Examples(mixed, 0, Augmentation((32, 32)), {}, BadSamples(len(mixed), 0.5))
    with pytest.raises(TooManyBadSamples, match="2 of 3 pictures of bad cannot be used"):
        collections.deque((examples[position] for position in range(200)), maxlen=0)


@pytest.mark.parametrize(
    ("parts", "labels"),
    [
        ([Part("a", "/x"), Part("b", "/x")], ["a", "b"]),
        ([Part("a", "/x/one"), Part("a", "/x/two/"), Part("b", "")], ["a=one", "a=two", "b"]),
        ([Part("a", "/x/one"), Part("a", "/y/one"), Part("a", "/y/two")], ["a=/x/one", "a=/y/one", "a=two"]),
        ([Part("synthetic", ""), Part("synthetic", "")], ["synthetic", "synthetic"]),
    ],
)
def test_what_sets_are_called(parts, labels):
    assert labels_of(parts) == labels


def test_an_epoch_passes_the_first_set_once():
    small, large = Few("a", 270), Few("b", 10_000)
    mixed = MixedDataset([small, large], [1.0, 0.5])
    assert len(mixed) == 30_000
    assert mixed.pass_length == CachedDataset(mixed, 1e9).pass_length == 405
    assert small.pass_length == 270
    config = quickstart.get_config()
    config.data.update({"train_pictures": 40, "mix": "synthetic*0.5", "cache": "host"})
    config.train.update({"epochs": 3.0, "steps": 0, "batch_size": 8})
    assert open_split(config, "train").pass_length == 60


def test_shares_that_would_repeat_without_end_are_refused():
    with pytest.raises(ValueError, match=r"`config.data.mix`: in shares of .* would repeat to more than 200,000,000"):
        MixedDataset([Few("a", 3000), Few("b", 3000)], [1.0, 1e-6])


class Labelled(Few):
    def annotation(self, index):
        return Annotation(problems=[Problem("", f"of {self.name(index)}")])


def test_annotations_come_from_the_set_that_has_them():
    mixed = MixedDataset([Few("a", 2), Labelled("b", 3)], [1.0, 1.0])
    assert [said(mixed.annotation(i)) for i in range(3, 6)] == [["of b0"], ["of b1"], ["of b2"]]
    assert mixed.annotation(1) is None  # its set gives it with the picture alone
    kept = CachedDataset(mixed, 1e9)
    assert (kept.annotation(1), kept.annotation(5)) == (None, mixed.annotation(5))


def test_a_cache_keeps_photographs_and_what_is_rendered_alone():
    config = quickstart.get_config("train_pictures=4,cache=host")
    assert isinstance(open_split(config, "train"), CachedDataset)
    config.data.name = "synthetic"
    assert not isinstance(_open(config, "train", sets=2), CachedDataset)


def test_a_cache_takes_half_of_the_memory_at_most(tmp_path, monkeypatch):
    whole = memory_for_cache()
    assert 0 < whole < float("inf")
    monkeypatch.setattr(cached, "_CONTAINER", tmp_path / "memory.max")
    for text, expected in (("max\n", os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2), ("1000\n", 500)):
        (tmp_path / "memory.max").write_text(text)
        assert memory_for_cache() == expected


def test_what_is_rendered_holds_nothing_out(tmp_path):
    config = own_data.get_config("data.name=icdar_folder,train_split=trainval")
    labels = tmp_path / "gt"
    labels.mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((40, 40, 3), np.uint8))
        (labels / f"gt_{name}.txt").write_text("5,5,30,5,30,20,5,20,word\n")
    config.data.update({"dir": str(tmp_path), "mix": "synthetic", "train_pictures": 2})
    assert len(open_split(config, "train")) == 4


def test_a_zoomed_set_enters_training_larger():
    mixed = MixedDataset([Few("a", 2), Few("b", 2)], [1.0, 1.0], [1.0, 3.0])
    assert [mixed[i].zoom for i in range(4)] == [1.0, 1.0, 3.0, 3.0]
    dataset = SyntheticDataset(1, size=(96, 96))
    plain = Examples(dataset, 0, Augmentation((64, 64), 0.0, 0.0, (0.5, 0.5)), {}, BadSamples(1, 1.0))
    zoomed = MixedDataset([dataset], [1.0], [2.0])
    image = Examples(zoomed, 0, Augmentation((64, 64), 0.0, 0.0, (0.25, 0.25)), {}, BadSamples(1, 1.0))[0]["image"]
    np.testing.assert_array_equal(image, plain[0]["image"])


def test_a_config_mixes_training_sets_and_leaves_the_evaluation_alone():
    config = quickstart.get_config()
    config.data.update({"train_pictures": 6, "eval_pictures": 3, "mix": "synthetic*0.5"})
    train, evaluation = open_split(config, "train"), open_split(config, "eval")
    assert (len(train), len(evaluation)) == (18, 3)
    assert [train.name(index) for index in (0, 12)] == ["synthetic: " + train[0].name.split(": ")[1]] * 2
    np.testing.assert_array_equal(train[0].image, train[6].image)  # 12 of the one, 6 of the other: both start anew
    config.data.mix = "nothing=/here"
    with pytest.raises(ValueError, match="nothing"):
        open_split(config, "train")


def test_words_say_what_is_mixed():
    assert parse_mix("") == []
    assert parse_mix("msra_td500=/data/td500*0.5, synthetic*2,total_text=a=b") == [
        Part("msra_td500", "/data/td500", 0.5),
        Part("synthetic", "", 2.0),
        Part("total_text", "a=b", 1.0),
    ]
    assert parse_mix("a=/x@y*z/data*2@0.5,b@3,c=/*/@/d") == [
        Part("a", "/x@y*z/data", 2.0, 0.5),
        Part("b", "", 1.0, 3.0),
        Part("c", "/*/@/d", 1.0, 1.0),
    ]
    assert parse_mix("a+lines=/b+c*2, d + lines@3") == [
        Part("a", "/b+c", 2.0, 1.0, joined=True),
        Part("d", "", 1.0, 3.0, joined=True),
    ]


WORDS = "=/data*2 a*0 a*-1 a*b a*inf a*nan *2 a@0 a@b a@2*3 a*1e300 a*1e-300 a@1e-300 a*1001"
WORDS += " a+ +lines a+words a+lines+lines"


@pytest.mark.parametrize("word", WORDS.split())
def test_a_word_that_cannot_be_read_is_named(word):
    with pytest.raises(ValueError, match=r"config\.data\.mix.*must be NAME=FOLDER"):
        parse_mix(f"synthetic,{word}")
