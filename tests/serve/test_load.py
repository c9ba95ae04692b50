"""Slow clients, full queues, clients that leave, and the end of the service."""

import asyncio
import contextlib
import http.client
import socket
import threading

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")

from dbnet_jax.serve.bodies import BodyLimits
from dbnet_jax.serve.limits import Limits
from tests.helpers.pictures import saved
from tests.helpers.service import fake_engine, running

PNG = saved(np.full((40, 60, 3), 200, np.uint8), "PNG")
HEAD = "POST /detect HTTP/1.1\nHost: x\nContent-Length: "


class Background(threading.Thread):
    """A request in a thread."""

    def __init__(self, client, path="/detect"):
        super().__init__()
        self._client, self._path = client, path
        self.start()

    def run(self):
        self.answer = self._client.ask("POST", self._path, PNG)

    def status(self):
        self.join(20)
        return self.answer.status


@pytest.fixture
def engine():
    engine = fake_engine()
    yield engine
    engine.detector.gate.set()


def ready(client):
    client.wait_until(lambda: client.service.ready)


def hold_up(client, detector):
    """A request whose picture the detector keeps until its gate opens."""
    detector.gate.clear()
    entered = len(detector.entered)
    request = Background(client)
    client.wait_until(lambda: len(detector.entered) > entered)
    return request


def test_slow_clients_hold_up_nobody():
    with running(fake_engine()) as client, contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(client.open(HEAD + "100")).sendall(b"a")
        assert client.ask("POST", "/detect", PNG).status == 200


def test_a_slow_body_is_refused_in_time():
    with running(fake_engine(), Limits(body_seconds=0.1)) as client, client.open(HEAD + "100") as slow:
        slow.sendall(b"a")
        with http.client.HTTPResponse(slow) as response:
            response.begin()
            assert response.status == 408
            assert b"did not come within 0.1 s" in response.read()


def test_a_connection_without_a_whole_request_is_closed(monkeypatch):
    monkeypatch.setattr("dbnet_jax.serve.server.HEAD_SECONDS", 0.1)
    with running(fake_engine()) as client:
        address = ("127.0.0.1", client.port)
        for head in (b"", b"POST /detect HTTP/1.1\r\nHo"):
            with socket.create_connection(address, timeout=20) as slow:
                slow.sendall(head)
                assert slow.recv(100) == b""


def test_a_body_is_refused_while_it_comes_and_not_at_its_end():
    with running(fake_engine(), Limits(picture_bytes=100_000)) as client:
        head = "POST /detect HTTP/1.1\nHost: x\nTransfer-Encoding: chunked"
        with client.open(head) as connection:
            for _ in range(3):  # of a body without end
                connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_does_not_read_its_answer_is_given_up():
    answered = []

    async def app(scope, receive, send):
        assert (await receive())["body"] == b"picture"
        answered.append(None)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise AssertionError("the answer was sent")

    async def receive():
        return {"type": "http.request", "body": b"picture", "more_body": False}

    async def never(message):
        await asyncio.Event().wait()

    limited = BodyLimits(app, Limits(body_seconds=0.02), lambda: None)
    scope = {"type": "http", "method": "POST", "path": "/detect", "headers": []}
    asyncio.run(asyncio.wait_for(limited(scope, receive, never), 20))
    assert answered


def test_a_client_that_announces_too_much_need_not_send_it():
    with running(fake_engine(), Limits(picture_bytes=100)) as client, client.open(HEAD + "99999999") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_full_queue_refuses_with_the_time_to_wait_and_takes_pictures_again(engine):
    with running(engine, Limits(waiting=2)) as client:
        ready(client)
        begun = [hold_up(client, engine.detector), Background(client), Background(client)]
        client.wait_until(lambda: client.service.worker.waiting == 2)
        refused = client.ask("POST", "/detect", PNG)
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert client.ask("GET", "/healthz").json == {"status": "ready", "waiting": 2}
        engine.detector.gate.set()
        assert [one.status() for one in begun] == [200] * 3
        assert client.ask("POST", "/detect", PNG).status == 200


@pytest.mark.parametrize("limits", [Limits(requests=1), Limits(held_bytes=len(PNG) + 40)], ids=["requests", "bytes"])
def test_unfinished_bodies_are_bounded_in_number_and_in_bytes(limits):
    with running(fake_engine(), limits) as client:
        with client.open(HEAD + "1000") as slow:
            slow.sendall(bytes(50))
            client.wait_until(lambda: client.ask("POST", "/detect", PNG).status == 429)
        client.wait_until(lambda: client.ask("POST", "/detect", PNG).status == 200)


def test_a_client_that_leaves_costs_nothing(engine):
    with running(engine) as client:
        ready(client)
        calls = len(engine.detector.calls)
        first = hold_up(client, engine.detector)
        with client.open(f"{HEAD}{len(PNG)}") as leaving:
            leaving.sendall(PNG)
            client.wait_until(lambda: client.service.worker.waiting == 1)
        client.wait_until(lambda: client.service.worker.waiting == 0)
        engine.detector.gate.set()
        assert first.status() == 200
        assert client.ask("POST", "/detect", PNG).status == 200
        assert len(engine.detector.calls) == calls + 2


def test_the_service_ends_when_the_requests_under_way_are_answered(engine):
    with running(engine) as client:
        ready(client)
        begun = [hold_up(client, engine.detector), Background(client), Background(client)]
        client.wait_until(lambda: client.service.worker.waiting == 2)
        client.server.should_exit = True
        client.wait_until(lambda: not client.server.servers[0].is_serving())
        engine.detector.gate.set()
        assert [one.status() for one in begun] == [200] * 3


def test_requests_go_before_the_shapes_that_are_compiled_at_the_start(engine):
    engine.detector.gate.clear()
    with running(engine) as client:
        starting = client.ask("GET", "/healthz")
        assert (starting.status, starting.json["status"]) == (503, "starting")
        client.wait_until(lambda: len(engine.detector.entered) == 1)
        request = Background(client, "/detect?box_threshold=0.25")
        client.wait_until(lambda: client.service.worker.waiting == 1)
        engine.detector.gate.set()
        assert request.status() == 200
        assert engine.detector.calls[1]["box_threshold"] == 0.25
        ready(client)
        assert client.ask("GET", "/healthz").status == 200


def test_an_error_of_the_service_is_a_problem_without_its_words(engine, caplog):
    def fail(images, finish):
        raise RuntimeError("a secret")
        yield

    with running(engine) as client:
        ready(client)
        engine.detector.detect_each = fail
        answer = client.ask("POST", "/detect", PNG)
        assert (answer.status, answer.json["status"]) == (500, 500)
        assert b"secret" not in answer.body
        assert b'dbnet_requests_total{path="/detect",status="500"} 1.0' in client.ask("GET", "/metrics").body
        del engine.detector.detect_each
        assert client.ask("POST", "/detect", PNG).status == 200
