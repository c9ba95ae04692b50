"""Recognizers: batches of any widths, grey and colour, decodings, and what is refused."""

import jax
import numpy as np
import pytest

from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.detector import Detector
from dbnet_jax.models.layers.initialization import fresh_variables
from dbnet_jax.recognition import Recognizer
from dbnet_jax.recognition.recognizer import _upright, recognizer_from_config
from dbnet_jax.tasks.recognition import Recognition


@pytest.fixture(scope="module")
def parts():
    config = recognition_config()
    config.model.hidden, config.model.characters = 8, "digits"
    config.predict.widths, config.predict.batch_size = (32, 64), 4
    model, example = recognizer_from_config(config), Recognition().example(config)
    variables = jax.jit(lambda: fresh_variables(model, 3, example))()
    # Sharper than at first, so that something is read.
    variables["params"]["output"]["kernel"] *= 30
    return config, variables


@pytest.fixture(scope="module")
def recognizer(parts):
    return Recognizer(*parts)


def crops(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [
        rng.integers(0, 256, (int(rng.integers(10, 60)), int(rng.integers(5, 90)), 3), np.uint8) for _ in range(count)
    ]


def test_words_read_together_are_as_one_by_one(recognizer):
    pictures = crops(9)
    together = recognizer.recognize(pictures)
    assert len({one.text for one in together}) > 2
    for picture, found in zip(pictures, together, strict=True):
        (alone,) = recognizer.recognize([picture])
        assert alone.text == found.text
        assert alone.score == pytest.approx(found.score, abs=1e-4)
    assert recognizer.recognize([]) == []


@pytest.mark.parametrize(
    ("lengths", "shapes"),
    [
        # Batches are full or of one crop, the widest first: few programs are compiled.
        ([], []),
        ([9], [(1, 32)]),
        ([32, 33, 8], [(1, 64), (4, 32)]),
        ([64] * 5 + [20] * 6, [(1, 64), (4, 64), (4, 32), (4, 32)]),
    ],
)
def test_batches_have_few_shapes(recognizer, lengths, shapes):
    seen = []

    def step(variables, images, widths, everything):
        seen.append((len(images), images.shape[2]))
        # Each crop is told by the level of its grey.
        best = np.zeros((len(images), images.shape[2] // 4), int)
        best[:, 0] = images[:, 0, 0]
        return {"best": best, "probability": np.ones(best.shape, np.float32)}

    stubbed = recognizer.with_variables({})
    stubbed._step = step
    found = stubbed.read_upright([np.full((32, length), 1 + i % 10, np.uint8) for i, length in enumerate(lengths)])
    assert [one.text for one in found] == [str(i % 10) for i in range(len(lengths))]
    assert sorted(seen) == sorted(shapes)


def test_grey_crops_are_as_their_colours(recognizer):
    grey = crops(1)[0][..., 0]
    assert recognizer.recognize([grey]) == recognizer.recognize([np.repeat(grey[..., None], 3, axis=2)])


def test_a_lexicon_is_all_that_is_read(parts, tmp_path):
    config, variables = parts
    config = config.copy_and_resolve_references()
    (tmp_path / "words.txt").write_text("12\n345\nword\n")
    config.predict.lexicon = str(tmp_path / "words.txt")
    assert {one.text for one in Recognizer(config, variables).recognize(crops(4))} <= {"12", "345"}


def lexicon(parts, tmp_path, content: bytes, decoder: str = "ctc") -> Recognizer:
    config, variables = parts
    config = config.copy_and_resolve_references()
    (tmp_path / "words.txt").write_bytes(content)
    config.predict.lexicon, config.model.decoder = str(tmp_path / "words.txt"), decoder
    return Recognizer(config, variables)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" \n", "must hold words"),
        ("café\nété".encode(), "2 words of 2 cannot be read, the character set lacks 'acfté': café, été"),
        (b"\xff\xfe", "must be a UTF-8 text"),
    ],
)
def test_a_lexicon_without_a_word_that_can_be_read_is_refused(parts, tmp_path, content, reason):
    with pytest.raises(ValueError, match=rf"`config.predict.lexicon` \(='.*words.txt'\).*{reason}"):
        lexicon(parts, tmp_path, content)


def test_words_of_a_lexicon_that_cannot_be_read_are_listed(parts, tmp_path, caplog):
    logs = np.log(np.full((3, 11), 1 / 11, np.float32))  # three columns: too few for the long word
    found = lexicon(parts, tmp_path, b"7777\nword\n12\n")._decode_ctc({"log_probabilities": logs}, 12)
    assert found.text == "12"
    assert "1 word of 3 cannot be read, the character set lacks 'dorw': word" in caplog.text
    nothing = lexicon(parts, tmp_path, b"7777")._decode_ctc({"log_probabilities": logs}, 12)
    assert (nothing.text, nothing.score) == ("", 0.0)


def test_a_lexicon_needs_ctc(parts, tmp_path):
    with pytest.raises(ValueError, match=r"`config.predict.lexicon` .* must be '': the decoder is 'attention'"):
        lexicon(parts, tmp_path, b"12", decoder="attention")


@pytest.mark.parametrize(("size", "width"), [((1, 1), 32), ((1, 300), 64), ((300, 1), 8), ((2000, 2), 8)])
def test_crops_of_one_pixel_are_words_too(size, width):
    crop = _upright(np.full(size, 90, np.uint8), 0, longest=64)
    assert crop.shape == (32, width)
    assert (crop == 90).all()


def test_a_beam_is_at_least_as_likely_as_greedy(parts, recognizer):
    config, variables = parts
    config = config.copy_and_resolve_references()
    config.predict.decoding = "beam"
    found = Recognizer(config, variables).recognize(crops(3))
    assert all(0 <= one.score <= 1 and set(one.text) <= set("0123456789") for one in found)


@pytest.mark.parametrize(
    "crop", [np.zeros((0, 5, 3), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), None]
)
def test_what_is_no_crop_is_refused(recognizer, crop):
    with pytest.raises(ValueError, match=r"`crops` must be uint8 arrays .* `crops\[1\]` is"):
        recognizer.recognize([np.zeros((4, 4), np.uint8), crop])


@pytest.mark.parametrize("crop", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), "word.png"])
def test_a_single_crop_is_refused(recognizer, crop):
    with pytest.raises(ValueError, match="`crops` must be several crops: put a single one into a list"):
        recognizer.recognize(crop)


def test_a_detectors_weights_are_refused():
    with pytest.raises(ValueError, match="holds weights for detection, no recogniser"):
        Recognizer.from_pretrained("small-word")


def test_a_detector_refuses_a_recognisers_weights(parts):
    with pytest.raises(ValueError, match=r"`config.task` \(='recognition'\) must be 'detection'"):
        Detector(*parts)
