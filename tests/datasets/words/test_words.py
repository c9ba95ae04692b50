"""Words as samples: from data sets, from lists, and rendered."""

import dataclasses
import pickle

import cv2
import numpy as np
import pytest

from dbnet_jax.characters import CharacterSet, character_sets, load_characters, without_file
from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.images.decode import BadPicture
from input_pipeline import from_config
from input_pipeline.bad_samples import BadSamples
from input_pipeline.datasets.rendered.scenes import words as scene_words
from input_pipeline.datasets.rendered.scenes.block import Block, Line
from input_pipeline.datasets.rendered.scenes.ink import Ink
from input_pipeline.datasets.rendered.scenes.words import WordImages, _surface
from input_pipeline.datasets.sample import Annotation, Dataset, Sample, whole_picture
from input_pipeline.datasets.words.word_list import WordList
from input_pipeline.datasets.wrappers.base import Wrapper
from input_pipeline.datasets.wrappers.words_of import WordsOf
from input_pipeline.from_config import open_split
from input_pipeline.word_examples import WordExamples

LATIN = load_characters("latin")


class Photos(Dataset):
    """Two pictures; the first has three words, of which one is ignored and one has a space."""

    problems: list = []  # noqa: RUF012

    def __len__(self):
        return 2

    def name(self, index):
        return f"{index}.png"

    def __getitem__(self, index):
        image = np.full((200, 300, 3), 10, np.uint8)
        boxes = [np.array([[x, 40], [x + 60, 40], [x + 60, 60], [x, 60]], np.float32) for x in (10, 90, 170)]
        image[40:60, 10:70] = 200
        count = 3 - 2 * index
        return Sample(
            self.name(index), image, boxes[:count], [False, True, False][:count], ["one", "###", "a b"][:count]
        )

    def annotation(self, index):
        sample = self[index]
        return Annotation(sample.polygons, sample.ignore, sample.texts)


def test_words_of_a_data_set():
    words = WordsOf(Photos(), LATIN)
    assert [words.name(i) for i in range(len(words))] == ["0.png#1", "1.png#1"]
    assert [str(problem) for problem in words.problems] == ["0.png: 'a b' is left out: the character set lacks ' '"]
    word = words[0]
    assert word.texts == ["one"]
    assert word.image.shape[0] < 60  # a part of the picture
    inside = word.polygons[0].astype(int)
    assert (word.image[inside[0, 1] : inside[2, 1], inside[0, 0] : inside[2, 0]] == 200).all()


@pytest.mark.parametrize(("most_bytes", "reads"), [(40_000.0, 2), (20_000.0, 3), (100.0, 6), (float("inf"), 2)])
def test_the_words_of_the_last_pictures_are_kept_as_far_as_they_have_room(most_bytes, reads):
    class Counted(Photos):
        """Two words of each picture count. Their parts have 16 kB together."""

        read = 0

        def __getitem__(self, index):
            self.read += 1
            return dataclasses.replace(super().__getitem__(0), texts=["one", "###", "two"])

        def annotation(self, index):
            return None

    photos = Counted()
    words = WordsOf(photos, LATIN, most_bytes)
    assert photos.read == 2  # to list the texts
    assert [words[index].texts for index in (0, 1, 2, 3, 2, 0)] == [
        ["one"],
        ["two"],
        ["one"],
        ["two"],
        ["one"],
        ["one"],
    ]
    assert photos.read == 2 + reads


def test_the_words_of_rendered_pictures_are_cut_here_and_rendered_in_other_processes(monkeypatch):
    class Processes(Wrapper):
        def __init__(self, dataset, processes):
            super().__init__(pickle.loads(pickle.dumps(dataset)))

    monkeypatch.setattr(from_config, "InProcesses", Processes)
    config = recognition_config()
    scenes = {"name": "scenes", "train_pictures": 8, "picture_size": (128, 128), "fonts": "builtin"}
    config.data.update(scenes | {"render_processes": 2, "cache": "host"})
    words = open_split(config, "train")
    assert isinstance(words, WordsOf)
    assert isinstance(words.dataset, Processes)
    assert len(words) == 3
    assert all(sample.texts[0] for sample in map(words.__getitem__, range(len(words))))


def test_an_example_has_the_word_its_width_and_its_classes():
    options = {"characters": LATIN, "size": (32, 160), "max_length": 5, "jitter": 0.0}
    examples = WordExamples(WordsOf(Photos(), LATIN), 0, BadSamples(2, 0.5), **options)
    made = [examples[position] for position in range(2)]
    assert {int(one["width"]) for one in made} == {96}
    assert all((one["image"][2:-2, 4:90] == 200).all() for one in made)
    assert all(LATIN.decode(one["text"]) == "one" and one["text"].shape == (5,) for one in made)
    short = WordExamples(WordsOf(Photos(), LATIN), 0, BadSamples(2, 0.5), **options | {"max_length": 2})
    with pytest.raises(BadPicture, match=r"more than `config\.model\.max_length` \(=2\)"):
        short._make(np.random.default_rng(0), 0, WordsOf(Photos(), LATIN)[0])


class Crops(Dataset):
    """Crops of one word each, of given sizes and texts."""

    problems: list = []  # noqa: RUF012

    def __init__(self, *words: tuple[int, int, str]):
        self.words = words

    def __len__(self):
        return len(self.words)

    def name(self, index):
        return f"{index}.png"

    def __getitem__(self, index):
        height, width, text = self.words[index]
        image = np.full((height, width, 3), 50, np.uint8)
        return Sample(self.name(index), image, [whole_picture(image)], [False], [text])


def examples_of(*words: tuple[int, int, str], jitter: float = 0.0, **options):
    fixed = {"characters": LATIN, "size": (32, 160), "max_length": 100, "jitter": jitter}
    return WordExamples(Crops(*words), 0, BadSamples(len(words), 1.0), **fixed | options)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ((32, 100, "y" * 200), "has 200 characters, more than `config.model.max_length` (=100)"),
        ((32, 160, "ab" * 21), "needs 42 feature columns, and its crop has 40"),
        ((32, 20, "aabbc"), "'aabbc' needs 7 feature columns, and its crop has 5"),
        ((40, 1, "abc"), "'abc' needs 3 feature columns, and its crop has 2"),
        ((32, 60, ""), "the word has no text"),
        ((32, 60, "שלום"), "has characters that the character set lacks"),
        ((1, 1, "a"), ""),
        ((1, 60, "ab"), ""),
        ((40, 1, "a"), ""),
    ],
)
def test_words_that_training_skips(word, reason):
    examples = examples_of(word)
    assert reason in examples.why_unusable(Crops(word)[0])
    if reason:
        with pytest.raises(BadPicture, match=r"20 pictures in a row[^$]*0\.png"):
            examples[0]
    else:
        assert LATIN.decode(examples[0]["text"]) == word[2]


def test_an_attention_decoder_needs_no_columns():
    assert not examples_of((32, 20, "aabbc"), aligned=False).why_unusable(Crops((32, 20, "aabbc"))[0])


def test_a_varied_crop_keeps_the_columns_of_its_text():
    word = (32, 28, "aabbc")  # exactly as many as it needs
    examples = examples_of(*[word] * 40, jitter=1.0)
    assert min(int(examples[position]["width"]) for position in range(40)) == 28


@pytest.mark.parametrize("size", [(1, 30), (30, 1), (1, 1)])
def test_a_crop_of_one_pixel_is_a_word_too(size):
    words = WordsOf(Crops((*size, "a")), LATIN)
    assert words[0].image.shape[:2] == size


@pytest.mark.parametrize("line", ["word_1.png\t{}", 'word_1.png, "{}"'])
def test_lists_of_words(tmp_path, line):
    (tmp_path / "images").mkdir()
    for n in (1, 2):
        cv2.imwrite(str(tmp_path / f"images/word_{n}.png"), np.full((20, 50, 3), 99, np.uint8))
    text = 'say, "Hi"'
    shown = text.replace('"', '\\"') if '"' in line else text
    (tmp_path / "labels.txt").write_text(f"{line.format(shown)}\nword_2.png\tTWO\nno name\n")
    words = WordList(tmp_path, "trainval")
    places = {words.name(i): i for i in range(len(words))}
    found = {name: words[places[name]] for name in ("word_1.png", "word_2.png")}
    assert {name: sample.texts for name, sample in found.items()} == {"word_1.png": [text], "word_2.png": ["TWO"]}
    assert found["word_1.png"].polygons[0].tolist() == [[0, 0], [50, 0], [50, 20], [0, 20]]
    with pytest.raises(BadPicture, match="neither a tab"):
        words[places["labels.txt:3"]]
    config = recognition_config()
    config.data.update({"name": "word_list", "dir": str(tmp_path), "train_split": "trainval"})
    # The space is not in the set.
    assert [one.texts for one in open_split(config, "train")] == [["TWO"]]


def test_rendered_words_follow_from_their_number():
    words = WordImages(50, seed=3, fonts="builtin", characters="abcdefghijklmnopqrstuvwxyz")
    for index in (0, 7):
        first, again = words[index], words[index]
        assert first.texts == again.texts
        np.testing.assert_array_equal(first.image, again.image)
    texts = [words[index].texts[0] for index in range(20)]
    assert len(set(texts)) > 10
    assert all(text.isascii() and text.islower() for text in texts)
    assert words[1].image.shape != words[2].image.shape or (words[1].image != words[2].image).any()
    with pytest.raises(IndexError):
        words[50]


def vocabulary(tmp_path, content: bytes):
    (tmp_path / "words.txt").write_bytes(content)
    return tmp_path / "words.txt"


@pytest.mark.parametrize(
    ("characters", "expected"),
    [("", ("New", "York", "Berlin")), (" NewYorkBlin", ("New York", "Berlin", "York"))],
)
def test_a_vocabulary_has_phrases_where_the_characters_have_the_blank(tmp_path, characters, expected):
    file = vocabulary(tmp_path, "\ufeffNew York\r\n\r\nBerlin\r\n York \r\nBerlin".encode())
    words = WordImages(60, fonts="builtin", characters=characters, vocabulary=file)
    assert words._vocabulary == expected
    if characters:
        assert any(words._word(np.random.default_rng(seed)) == "New York" for seed in range(60))


def test_a_vocabulary_in_another_encoding_is_an_error_with_its_name(tmp_path):
    for content in ("Straße\n".encode("latin-1"), "word\n".encode("utf-16")):
        with pytest.raises(ValueError, match=r"`config\.data\.vocabulary` \(='.*words\.txt'\) must be a UTF-8 text"):
            WordImages(1, fonts="builtin", vocabulary=vocabulary(tmp_path, content))


def test_a_long_word_is_drawn_small_and_a_longer_one_is_an_error_with_its_length():
    words = WordImages(1, fonts="builtin")
    for seed in range(3):
        crop = words._draw(np.random.default_rng(seed), "W" * 60, [], plain=True)
        assert 600 < crop.shape[1] < 1800
    with pytest.raises(BadPicture, match=r"word_train: .*W.* would be longer than 1200 pixels .*shorten it in `config"):
        words._draw(np.random.default_rng(0), "W" * 600, [], plain=True)


def test_the_crop_of_hollow_letters_holds_their_strokes(monkeypatch):
    words, shapes = WordImages(1, fonts="builtin"), []
    for ink in (Ink(contrast=110.0), Ink(contrast=110.0, stroke=0.08, hollow=True)):
        monkeypatch.setattr(scene_words, "pick_ink", lambda rng, ink=ink: ink)
        crops = [words._draw(np.random.default_rng(seed), "word", [], plain=False) for seed in range(12)]
        shapes.append([None if crop is None else crop.shape[:2] for crop in crops])
    grown = [np.subtract(hollow, solid) for solid, hollow in zip(*shapes, strict=True) if solid and hollow]
    assert len(grown) > 4
    assert (np.array(grown) >= 1).all()


@pytest.mark.parametrize("columns", [40, 900])
def test_no_part_of_a_word_comes_close_to_the_camera(columns):
    """A plane in perspective has no bounds where the camera's own plane cuts it: crops would fill the memory."""
    block, bent = Block(np.zeros((30, columns), np.uint8), [Line(["word"], [(0.0, 0.0, float(columns), 30.0)])]), 0
    u, v = np.meshgrid(np.linspace(-0.5, 0.5, 33) * columns, [-15.0, 15.0])
    for seed in range(300):
        plane = _surface(np.random.default_rng(seed), block, 30.0, 1.0)
        a, b = plane.curve.bend(u, v) if plane.curve else (u, v)
        bent += plane.curve is not None
        assert (plane.matrix[2, 0] * a + plane.matrix[2, 1] * b + plane.matrix[2, 2]).min() > 0.5
    assert (bent > 0) == (columns == 900)


def test_character_sets(tmp_path):
    assert character_sets() == ["alphanumeric", "digits", "latin", "latin_extended"]
    assert LATIN.classes == 95
    assert LATIN.decode(LATIN.encode("Ab~")) == "Ab~"
    with pytest.raises(ValueError, match="lacks: 'é'"):
        LATIN.encode("café")
    (tmp_path / "mine.txt").write_text("ab\nc\n")
    assert load_characters(tmp_path / "mine.txt").characters == "abc"
    with pytest.raises(ValueError, match=r"\['a'\] are there twice"):
        CharacterSet("aba")
    with pytest.raises(ValueError, match="must be one of"):
        load_characters("klingon")


def test_texts_count_in_composed_form_and_in_picture_order(tmp_path):
    (tmp_path / "mine.txt").write_text("cafe\u0301שלום12", encoding="utf-8-sig")
    characters = load_characters(tmp_path / "mine.txt")
    assert characters.characters == "caféשלום12"
    assert characters.encode("cafe\u0301").tolist() == [1, 2, 3, 4]
    # The first letter of the word stands on the right, and the number is not turned around.
    assert characters.encode("של12").tolist() == [9, 10, 6, 5]
    for text in ("café", "שלום", "של12ום", "12"):
        assert characters.decode(characters.encode(text)) == text


@pytest.mark.parametrize(
    ("content", "reason"), [("ab\xe9".encode("latin1"), "utf-8"), (b"\n", "empty"), (b"aa", "twice")]
)
def test_a_file_that_holds_no_character_set(tmp_path, content, reason):
    (tmp_path / "mine.txt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"`config.model.characters` .* cannot be used: .*{reason}"):
        load_characters(tmp_path / "mine.txt")


def test_characters_of_a_file_need_the_file_no_more(tmp_path):
    (tmp_path / "mine.txt").write_text("ab\nc\n")
    value = without_file(str(tmp_path / "mine.txt"))
    assert value == "characters:abc"
    assert load_characters(value).characters == "abc"
    assert [without_file(one) for one in ("latin", value)] == ["latin", value]
    with pytest.raises(ValueError, match="are there twice"):
        load_characters("characters:aa")


def test_a_set_without_a_usable_word_lists_why(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 50, 3), 99, np.uint8))
    (tmp_path / "labels.txt").write_text("a.png\tword\n")
    config = recognition_config()
    config.data.update({"name": "word_list", "dir": str(tmp_path), "train_split": "trainval"})
    config.model.characters = "digits"
    with pytest.raises(
        ValueError, match=r"no word to read:\na\.png: 'word' is left out: the character set lacks 'dorw'"
    ):
        open_split(config, "train")
