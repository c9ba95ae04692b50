"""The command serve: its flags, its address, and what it needs."""

import socket
import sys

import pytest
from absl.app import UsageError


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--max_megabytes=0", "--max_megabytes=0.0 must be positive"),
        ("--max_waiting=-1", "--max_waiting=-1 must be positive"),
        ("--port=70000", r"--port=70000 must be in \[0, 65535\]"),
    ],
)
def test_a_limit_must_be_positive_and_a_port_one(cli, flag, words):
    pytest.importorskip("fastapi")
    with pytest.raises(UsageError, match=words):
        cli("--mode=serve", flag)


def test_a_port_in_use_is_an_error_before_weights_are_read(cli):
    pytest.importorskip("fastapi")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"--host=127.0.0.1 --port={port}: .*; --port chooses another one"):
            cli("--mode=serve", f"--port={port}", "--weights=none")


def test_another_port_is_no_help_for_a_wrong_host(cli):
    pytest.importorskip("fastapi")
    with pytest.raises(OSError, match=r"--host=300\.1\.1\.1 --port=1: [^;]*$"):
        cli("--mode=serve", "--host=300.1.1.1", "--port=1")


def test_a_missing_package_is_named(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r"serve needs the package .*uvicorn.*: pip install 'dbnet_jax\[serve\]'"):
        cli("--mode=serve")
