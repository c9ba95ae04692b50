"""Devices on one axis: what every one of them holds whole, and what is shared out. What processes tell each other."""

import json
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array


def data_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """All devices of all hosts, or the given ones, on one axis "data"."""
    chosen = np.array(jax.devices() if devices is None else devices)
    return Mesh(chosen, ("data",), axis_types=(jax.sharding.AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharded(mesh: Mesh) -> NamedSharding:
    """Every device holds its share of the first axis."""
    return NamedSharding(mesh, PartitionSpec("data"))


def to_global(mesh: Mesh, batch: dict[str, np.ndarray]) -> dict[str, Array]:
    """Every process's share of a batch as global arrays, sharded over the mesh."""
    sharding = batch_sharded(mesh)
    return {key: jax.make_array_from_process_local_data(sharding, value) for key, value in batch.items()}


def gather(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all processes, on every one of them, in the order of the processes. JSON must have their values."""
    if jax.process_count() == 1:
        return rows
    data = np.frombuffer(json.dumps(rows).encode(), np.uint8)
    lengths = multihost_utils.process_allgather(np.array([data.size]))
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: data.size] = data
    everything = multihost_utils.process_allgather(padded)
    parts = zip(everything, np.ravel(lengths), strict=True)
    return [row for part, length in parts for row in json.loads(part[:length].tobytes())]
