"""Sizes of pictures for the network: the rule's side, the ratio, few compiled shapes, black borders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbnet_jax.images.resize import BUCKET, RULES, STRIDE, padded_size, resize_and_pad, resized_size

SIDE = st.integers(1, 6000)


@pytest.mark.parametrize(
    ("rule", "image_size", "expected"),
    [
        ("short", (720, 1280), (736, 1308)),
        ("short", (1280, 720), (1308, 736)),
        ("long", (720, 1280), (414, 736)),
        ("height", (720, 1280), (736, 1308)),
        ("height", (1280, 720), (736, 414)),
        ("none", (721, 1283), (721, 1283)),
        ("official", (720, 1280), (736, 1312)),
        ("official", (1280, 720), (736, 416)),
        ("official", (282, 282), (736, 736)),
        ("official", (305, 610), (736, 1472)),
        ("official", (500, 1), (736, 32)),
        # The longest side decides where the rule would pass it.
        ("short", (100, 2000), (100, 2000)),
        ("none", (4000, 3000), (2000, 1500)),
    ],
)
def test_the_side_that_the_rule_names_gets_the_size(rule, image_size, expected):
    assert resized_size(image_size, rule, 736, 2000) == expected


def test_the_official_rule_stretches_to_a_width_and_needs_no_border():
    for image_size in ((720, 1280), (1280, 720), (9, 10)):
        assert resized_size(image_size, "official", 736, 2000, width=1280) == (736, 1280)
    assert padded_size((736, 1312), "official", 736) == (736, 1312)
    with pytest.raises(ValueError, match="`width`"):
        resized_size((720, 1280), "height", 736, 2000, width=1280)
    with pytest.raises(ValueError, match="`width`"):
        resized_size((720, 1280), "official", 736, 2000, width=0)


@given(
    SIDE,
    SIDE,
    st.sampled_from([rule for rule in RULES if rule != "official"]),
    st.integers(1, 1000),
    st.integers(1, 4096),
)
def test_sizes_of_any_picture(height, width, rule, size, max_side):
    resized = resized_size((height, width), rule, size, max_side)
    assert min(resized) >= 1
    assert max(resized) <= max_side
    # The ratio is kept to the half pixel by which a side is rounded, or the one pixel that it must have.
    scale = min(resized[0] / height, resized[1] / width), max(resized[0] / height, resized[1] / width)
    assert scale[1] - scale[0] <= 1 / min(height, width)
    padded = padded_size(resized, rule, size)
    for side, room in zip(resized, padded, strict=True):
        assert room % STRIDE == 0
        assert 0 <= room - side < (2 * BUCKET if rule == "none" and side > 4 * BUCKET else BUCKET)
        if rule != "none" and side == size:
            assert room - side < STRIDE


@pytest.mark.parametrize("rule", ["short", "long", "height"])
def test_a_folder_of_photos_of_every_format_takes_few_shapes(rule):
    rng = np.random.default_rng(0)
    short = rng.integers(300, 3000, 60)
    wide = [(int(side), int(side * ratio)) for side, ratio in zip(short, rng.uniform(1, 2, 60), strict=True)]
    sizes = wide[:30] + [(width, height) for height, width in wide[30:]]
    shapes = {padded_size(resized_size(size, rule, 736, 4096), rule, 736) for size in sizes}
    assert len(set(sizes)) == 60
    assert len(shapes) <= 14


def test_the_picture_stands_in_the_top_left_corner_and_the_rest_is_black():
    image = np.random.default_rng(0).integers(1, 255, (30, 50, 3)).astype(np.uint8)
    same = resize_and_pad(image, (30, 50), (32, 64))
    assert same.shape == (32, 64, 3)
    np.testing.assert_array_equal(same[:30, :50], image)
    assert same[30:].max() == same[:, 50:].max() == 0
    larger = resize_and_pad(image, (60, 100), (64, 128))
    assert larger[:60, :100].min() > 0
    assert larger[60:].max() == larger[:, 100:].max() == 0


def test_resampling_keeps_the_extent_of_the_picture():
    # A ramp stays a ramp: the pixel at the middle of the picture is the middle value at any size.
    ramp = np.broadcast_to(np.arange(0, 200, 2, dtype=np.uint8)[None, :, None], (10, 100, 3)).copy()
    for columns in (50, 100, 200, 333):
        row = resize_and_pad(ramp, (10, columns), (32, 352))[5, :columns, 0].astype(float)
        centres = (np.arange(columns) + 0.5) * 100 / columns - 0.5
        inside = (centres > 0) & (centres < 99)
        assert np.abs(row - 2 * centres)[inside].max() <= 1


@pytest.mark.parametrize(
    ("rule", "size", "max_side", "message"),
    [
        ("width", 736, 4096, r"`resize` \(='width'\) must be one of"),
        ("short", 0, 4096, r"`size` \(=0\) and `max_side` \(=4096\) must be positive"),
        ("none", 736, -1, r"`max_side` \(=-1\) must be positive"),
    ],
)
def test_what_cannot_work_is_named(rule, size, max_side, message):
    with pytest.raises(ValueError, match=message):
        resized_size((10, 10), rule, size, max_side)
