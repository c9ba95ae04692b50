"""What processes tell each other."""

import json

import jax
import numpy as np

from dbnet_jax import sharding


def test_rows_of_unequal_length_travel_between_processes(monkeypatch):
    shares = [[{"name": "a"}], [], [{"name": "straße"}, {"name": "b", "polygons": [[[1.5, 2.0]]]}]]
    sizes: list[int] = []

    def allgather(array: np.ndarray) -> np.ndarray:
        """What the other processes would have brought."""
        if array.shape == (1,) and array.dtype != np.uint8:
            sizes.append(int(array[0]))
            return np.array([[len(json.dumps(share).encode())] for share in shares])
        encoded = [np.frombuffer(json.dumps(share).encode(), np.uint8) for share in shares]
        return np.stack([np.pad(data, (0, len(array) - len(data))) for data in encoded])

    monkeypatch.setattr(jax, "process_count", lambda: 3)
    monkeypatch.setattr(sharding.multihost_utils, "process_allgather", allgather)
    for share in shares:
        assert sharding.gather(share) == [row for one in shares for row in one]
