"""The digest of a weights file: a damaged file is refused, and does not give other polygons in silence."""

import hashlib
import json
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Num

KEY = "digest"
"""Its key in the header."""


def weights_digest(header: Mapping[str, str], arrays: Iterable[tuple[str, Num[np.ndarray, "..."]]]) -> str:
    """SHA-256 of everything in a weights file.

    It covers the header as JSON with sorted keys. Then follow, of each array, the name, type and shape as JSON, and the
    bytes.

    **Arguments:**

    - `header`: the texts of the header; a digest in it does not count.
    - `arrays`: names and arrays, in the order of the names.

    **Returns:** "sha256:" and the digest in hexadecimal.
    """
    digest = hashlib.sha256(_as_bytes({key: text for key, text in header.items() if key != KEY}))
    for name, array in arrays:
        digest.update(_as_bytes([name, str(array.dtype), array.shape]))
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"


def _as_bytes(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
