"""Devices on one axis: what every one of them holds whole, and what is shared out."""

import jax
import numpy as np
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
