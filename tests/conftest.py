"""Strict settings for every test: shapes are checked, ranks do not promote silently, eight CPU devices."""

import pathlib

import pytest
from jaxtyping import install_import_hook

install_import_hook(["dbnet_jax", "input_pipeline"], "beartype.beartype")

import jax  # noqa: E402  (the hook must stand before anything that it checks)

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of golden outputs and real photos beside the project; tests that need it skip without it."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("needs the shared golden files beside the project")
    return folder
