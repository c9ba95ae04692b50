"""COCO's masks: runs of pixels, plain and compressed, and text that is no mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline.datasets.parsing.coco_mask import decode_mask, decompress_counts, mask_outlines


def compress(counts):
    """COCO's compressed string of runs, written the other way round."""
    text = ""
    for place, count in enumerate(counts):
        number = count - counts[place - 2] if place > 2 else count
        while True:
            bits, number = number & 31, number >> 5
            last = number == (-1 if bits & 16 else 0)
            text += chr(48 + bits + (0 if last else 32))
            if last:
                break
    return text


@pytest.mark.parametrize(("counts", "text"), [([0, 6, 1, 3], "061M"), ([0, 1024], "0PP1"), ([0, 6, 1, 6], "0610")])
def test_known_compressed_masks(counts, text):
    assert decompress_counts(text) == counts
    assert compress(counts) == text


@pytest.mark.parametrize("text", ["061m", "0 1", "é", "P" * 99])
def test_text_that_is_no_compressed_mask(text):
    with pytest.raises(ValueError, match="`counts`"):
        decompress_counts(text)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 10**7), max_size=12))
def test_compressed_counts(counts):
    assert decompress_counts(compress(counts)) == counts


@settings(max_examples=100)
@given(pixels=st.lists(st.booleans(), min_size=1, max_size=60), height=st.integers(1, 8), compressed=st.booleans())
def test_masks(pixels, height, compressed):
    width = -(-len(pixels) // height)
    mask = np.resize(np.array(pixels, np.uint8), (height, width))
    counts, run, last = [], 0, 0
    for pixel in mask.T.ravel().tolist():
        if pixel != last:
            counts.append(run)
            run, last = 0, pixel
        run += 1
    counts.append(run)
    value = {"size": [height, width], "counts": compress(counts) if compressed else counts}
    np.testing.assert_array_equal(decode_mask(value), mask)


@settings(max_examples=100)
@given(st.text(alphabet=[chr(code) for code in range(44, 116)], max_size=12))
def test_any_text_as_a_mask_is_refused_with_a_reason(text):
    try:
        outlines = mask_outlines({"size": [6, 8], "counts": text})
    except ValueError as error:
        message = str(error)
    else:
        assert all(len(outline) >= 3 for outline in outlines)
        return
    assert message.startswith(("`counts`", "the mask has no area"))
