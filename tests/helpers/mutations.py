"""Damage to label files, and what must hold of whatever is read of them."""

import numpy as np
from hypothesis import strategies as st

from dbnet_jax.images.decode import BadPicture
from tests.helpers.problems import said

PIECES = st.sampled_from(
    [b",", b" ", b"nan", b"-", b"1e9", b"9" * 40, b".", b"#", b"####", b"\x00", b"\xff", b"<", b"&", b"'"]
)
MUTATIONS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES | st.binary(max_size=4)), min_size=1, max_size=5
)


def mutate(data, mutations):
    """The bytes with some of them taken out and others put in."""
    for where, length, piece in mutations:
        position = int(where * len(data))
        data = data[:position] + piece + data[position + length :]
    return data


def check(annotation):
    """An annotation holds finite outlines, and as many of everything."""
    count = len(annotation.polygons)
    assert len(annotation.ignore) == len(annotation.texts) == count
    assert len(annotation.scripts) in (0, count)
    for polygon in annotation.polygons:
        assert polygon.dtype == np.float32
        assert len(polygon) >= 3
        assert np.isfinite(polygon).all()


def check_outcome(reader, data, file):
    """Any bytes are an annotation or `BadPicture`, and what is wrong with them is said of their file."""
    try:
        annotation = reader.parse(data, file)
    except BadPicture as error:
        messages = [str(error)]
    else:
        check(annotation)
        messages = said(annotation)
    assert all(message.startswith(f"{file}:") for message in messages)
