"""Strict settings for every test: shapes are checked, ranks do not promote silently, eight CPU devices."""

import importlib.metadata
import importlib.util
import json
import os
import pathlib
from collections.abc import Callable, Iterator

import hypothesis
import numpy as np
import pytest
from jaxtyping import install_import_hook

from tests.helpers.paths import ROOT, SHARED

# A test may take long on a busy machine.
hypothesis.settings.register_profile("any speed", deadline=None)
hypothesis.settings.load_profile("any speed")

install_import_hook(["dbnet_jax", "input_pipeline"], "beartype.beartype")

# The tests compile the same few programs many times, in processes of their own too: compile each once.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(ROOT / ".pytest_cache/jax")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
# The networks here are tiny: compiling them well takes longer than running them badly.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
# Half of XLA:CPU's compiling there is for its newer way to fuse. Jax 0.12 has no such flag, and stops at it.
if importlib.metadata.version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

import jax  # noqa: E402  (the hook must stand before anything that it checks)
import jaxtyping  # noqa: E402

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of golden outputs and real photos beside the project; tests that need it skip without it."""
    if not (SHARED / "golden").is_dir():
        pytest.skip("needs the shared golden files beside the project")
    return SHARED


@pytest.fixture(scope="session")
def official_weights(shared: pathlib.Path) -> Callable[[str], dict[str, np.ndarray]]:
    """Official state dicts by the name of their network, whose arrays are made from their names."""
    spec = importlib.util.spec_from_file_location("named_weights", shared / "golden/named_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make(network: str) -> dict[str, np.ndarray]:
        shapes = json.loads((shared / f"golden/keys_{network}.json").read_text())
        return {name: module.named_array(name, tuple(shape)) for name, (shape, _) in shapes.items()}

    return make


@pytest.fixture(scope="session")
def storage() -> Iterator[str]:
    """The URL of a bucket of an emulated Google Cloud Storage; tests that need it skip without its packages."""
    if not all(map(importlib.util.find_spec, ("gcp_storage_emulator", "gcsfs"))):
        pytest.skip("needs the packages gcsfs and gcp-storage-emulator")
    from tests.helpers.buckets import start_storage

    yield from start_storage()


@pytest.fixture(scope="session")
def s3_storage() -> Iterator[str]:
    """As `storage`, of an emulated S3."""
    if not all(map(importlib.util.find_spec, ("moto", "flask", "flask_cors", "s3fs"))):
        pytest.skip("needs the packages s3fs and moto")
    from tests.helpers.buckets import start_s3

    yield from start_s3()


@pytest.fixture(params=["storage", "s3_storage"], ids=["gs", "s3"])
def each_bucket(request: pytest.FixtureRequest) -> pathlib.Path:
    """A path in a bucket of each kind for one test."""
    from dbnet_jax.paths import as_path

    return as_path(f"{request.getfixturevalue(request.param)}/{request.node.originalname}")


@pytest.fixture
def bucket(storage: str, request: pytest.FixtureRequest) -> pathlib.Path:
    """A path in a bucket for one test."""
    from dbnet_jax.paths import as_path

    return as_path(f"{storage}/{request.node.name}")


@pytest.fixture
def as_users_run_it() -> Iterator[None]:
    """No shape checker, which only the tests have, and which would raise first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> Callable[..., str]:
    """`python run.py` in this process; it returns what it prints. `runs` takes results that no flag places."""
    from tests.helpers.command_line import call_run

    def run(*words: str) -> str:
        call_run(*words, runs=tmp_path / "runs")
        return capsys.readouterr().out

    return run
