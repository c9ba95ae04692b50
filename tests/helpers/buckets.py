"""A Google Cloud Storage on this machine, for tests."""

import os
import pathlib
from collections.abc import Iterator

from dbnet_jax import paths
from tests.helpers.tiny_run import free_port


def start_storage() -> Iterator[str]:
    """Starts an emulator with a bucket, for this process and those that it starts. Yields the URL of the bucket."""
    from gcp_storage_emulator.server import create_server

    port = free_port()
    url = f"http://localhost:{port}"
    os.environ |= {"STORAGE_EMULATOR_HOST": url, "TENSORSTORE_GCS_HTTP_URL": url}
    os.environ |= {"GOOGLE_AUTH_TOKEN_FOR_TESTING": "x", "NO_GCE_CHECK": "true"}  # nobody is asked for credentials
    server = create_server("localhost", port, in_memory=True, default_bucket="bucket")
    server.start()
    try:
        yield "gs://bucket"
    finally:
        server.stop()


def upload(folder: pathlib.Path, url: str) -> pathlib.Path:
    """Copies a folder into a bucket. **Returns:** its path there."""
    target = paths.as_path(url)
    for file in folder.rglob("*"):
        if file.is_file():
            (target / file.relative_to(folder).as_posix()).write_bytes(file.read_bytes())
    return target


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """All files below a folder, on a disk or in a bucket, by their names from there."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def start_s3() -> Iterator[str]:
    """As `start_storage`, for S3."""
    import requests
    from moto.server import ThreadedMotoServer

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    os.environ |= {"AWS_ENDPOINT_URL": url, "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    try:
        requests.put(f"{url}/bucket", timeout=10).raise_for_status()
        yield "s3://bucket"
    finally:
        server.stop()
