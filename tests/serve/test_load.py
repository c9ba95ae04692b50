"""Slow clients, full queues, clients that leave, and the end of the service."""

import asyncio
import contextlib
import http.client
import logging
import socket
import threading

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")

from prometheus_client import generate_latest

from dbnet_jax.serve.bodies import BodyLimits
from dbnet_jax.serve.limits import Limits
from dbnet_jax.serve.metrics import Metrics, Observed
from tests.helpers.pictures import saved
from tests.helpers.service import fake_engine, form, running

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


@contextlib.contextmanager
def log_of_server(caplog):
    """Gives the log of a running server to `caplog` as well."""
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    yield
    logger.removeHandler(caplog.handler)


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


BODY, TYPE = form(("a", PNG))
BATCH = f"POST /detect/batch HTTP/1.1\nHost: x\nContent-Length: {len(BODY)}\nContent-Type: {TYPE['Content-Type']}"
# The head of a request that is answered at length, and what follows it.
UNREAD = {
    "pipelined": ("GET /openapi.json HTTP/1.1\nHost: x", b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000),
    "kept open": (BATCH, BODY),
    "closed": (BATCH + "\nConnection: close", BODY),
}


@pytest.mark.parametrize("name", UNREAD)
def test_the_connection_of_a_client_that_does_not_read_is_aborted(engine, monkeypatch, caplog, name):
    monkeypatch.setattr("dbnet_jax.serve.app.found_json", lambda found: {"much": "a" * 20_000_000})
    head, rest = UNREAD[name]
    with running(engine, Limits(body_seconds=0.5)) as client, log_of_server(caplog):
        ready(client)
        assert len(client.ask("POST", "/detect/batch", BODY, TYPE).body) > 20_000_000
        client.wait_until(lambda: not client.server.server_state.connections)
        with client.open(head) as lazy:
            lazy.settimeout(5)
            with contextlib.suppress(OSError):  # the service does not read on, and ends the connection
                lazy.sendall(rest)
            assert lazy.recv(1) == b"H"  # the answer has begun
            client.wait_until(lambda: not client.server.server_state.connections)
            client.wait_until(lambda: not client.server.server_state.tasks)
    assert caplog.text == ""


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


def raises(error):
    raise error
    yield


def gives(error):
    yield error


# NumPy's error for shapes that do not fit is a ValueError, as that of a bad picture is.
@pytest.mark.parametrize(("fails", "error"), [(raises, RuntimeError), (raises, ValueError), (gives, ValueError)])
@pytest.mark.parametrize("path", ["/detect", "/detect/batch"])
def test_an_error_of_the_service_is_a_problem_without_its_words(engine, caplog, path, fails, error):
    with running(engine) as client, log_of_server(caplog):
        ready(client)
        engine.detector.detect_each = lambda images, finish: fails(error("a secret"))
        answer = client.ask("POST", path, *form(("a", PNG)))
        assert (answer.status, answer.json["status"]) == (500, 500)
        assert b"secret" not in answer.body
        client.wait_until(lambda: "a secret" in caplog.text)  # it is written after the answer
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        numbers = client.ask("GET", "/metrics").body.decode()
        assert f'dbnet_requests_total{{path="{path}",status="500"}} 1.0' in numbers
        assert f'dbnet_request_seconds_count{{path="{path}"}} 1.0' in numbers
        del engine.detector.detect_each
        assert client.ask("POST", "/detect", PNG).status == 200


def test_an_error_after_the_begin_of_an_answer_does_not_count_it_twice():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    async def send(message):
        sent.append(message["type"])

    sent, metrics = [], Metrics(lambda: 0)
    observed = Observed(app, metrics, frozenset({"/detect"}))
    with pytest.raises(RuntimeError):
        asyncio.run(observed({"type": "http", "path": "/detect"}, None, send))
    assert sent == ["http.response.start"]
    counted = [line for line in generate_latest(metrics.registry).decode().split("\n") if "requests_total{" in line]
    assert counted == ['dbnet_requests_total{path="/detect",status="200"} 1.0']


def test_an_error_after_the_last_picture_ends_nothing(engine, caplog):
    detect_each = engine.detector.detect_each

    def fail_at_the_end(images, finish):
        yield from detect_each(images, finish)
        raise RuntimeError("at the end")

    with running(engine) as client:
        ready(client)
        engine.detector.detect_each = fail_at_the_end
        assert [client.ask("POST", "/detect", PNG).status for _ in range(2)] == [200, 200]
        assert client.ask("GET", "/healthz").status == 200
        assert "at the end" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_service_whose_thread_ended_is_not_healthy(engine):
    with running(engine) as client:
        ready(client)
        engine.detector.detect_each = lambda images, finish: raises(SystemExit())
        with client.open(f"{HEAD}{len(PNG)}") as request:
            request.sendall(PNG)
            client.wait_until(lambda: not client.service.worker.alive)
        answer = client.ask("GET", "/healthz")
        assert (answer.status, answer.json["status"]) == (503, "failed")
