"""The HTTP service over sockets of this machine, with a detector and a recogniser that compute nothing."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import uvicorn

from dbnet_jax.config.checks import change_predict, check_predict
from dbnet_jax.config.defaults import default_config
from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.detector import Detector
from dbnet_jax.images.decode import reading_options
from dbnet_jax.postprocess import Detections
from dbnet_jax.recognition import Recognition, Recognizer
from dbnet_jax.serve.app import make_app
from dbnet_jax.serve.engine import Engine
from dbnet_jax.serve.limits import Limits
from dbnet_jax.serve.server import make_server
from dbnet_jax.serve.service import Service

WORD = np.array([[2, 2], [30, 2], [30, 12], [2, 12]], np.float64)


class FakeDetector(Detector):
    """Finds `WORD` in every picture, with the box threshold as its score. `gate` lets it go on."""

    def __init__(self) -> None:
        self.config = default_config()
        self._reading = reading_options(self.config.predict)
        self.gate = threading.Event()
        self.gate.set()
        self.entered: list[None] = []
        self.calls: list[dict[str, Any]] = []

    def with_options(self, **overrides):
        other = FakeDetector()
        other.gate, other.entered, other.calls = self.gate, self.entered, self.calls
        change_predict(other.config.predict, overrides)
        check_predict(other.config.predict)
        return other

    def detect_many(self, images):
        return self.detect_each(images, lambda picture, found: found)

    def detect_each(self, images, finish):
        for source in images:
            self.entered.append(None)
            assert self.gate.wait(20)
            try:
                picture = self._read(source)
            except ValueError as error:
                yield error
                continue
            self.calls.append(dict(self.config.predict))
            yield finish(picture, Detections([WORD], np.array([self.config.predict.box_threshold])))


class FakeRecognizer(Recognizer):
    """Reads "a<b" in every crop."""

    def __init__(self) -> None:
        self.config = recognition_config()
        self.config.predict.widths = (64, 128)

    def read_upright(self, crops):
        return [Recognition("a<b", 0.9) for _ in crops]


class Answer(NamedTuple):
    """What the service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client(NamedTuple):
    """A client of a service at a port, and the service itself."""

    port: int
    service: Service
    server: uvicorn.Server

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {}, encode_chunked=False)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())

    def open(self, head: str) -> socket.socket:
        """A connection on which the head of a request was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return connection

    def wait_until(self, holds: Any) -> None:
        """Waits until `holds()` is true."""
        end = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.005)


@contextlib.contextmanager
def running(engine: Engine, limits: Limits | None = None) -> Iterator[Client]:
    """A service on a free port; at the end it finishes what is under way."""
    app = make_app(engine, limits or Limits(), {"detector": "fake", "recognizer": "fake"})
    server = make_server(app)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = Client(listening.getsockname()[1], app.state.service, server)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            client.wait_until(lambda: server.started)
            yield client
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def fake_engine(max_pixels: int = 1_000_000) -> Engine:
    return Engine(FakeDetector(), FakeRecognizer(), max_pixels)


def form(*files: tuple[str, bytes], field: str = "picture") -> tuple[bytes, dict[str, str]]:
    """The body of a form with files, and its header."""
    parts = [
        f'--xyz\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + b"--xyz--\r\n", {"Content-Type": "multipart/form-data; boundary=xyz"}
