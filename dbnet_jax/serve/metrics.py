"""Numbers for Prometheus, headers that every answer of the app has, and the answer to an error of the service."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dbnet_jax.serve.problems import failed

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_HEADERS = {
    # The page needs no more than its own files, the pictures that a person chose, and this service.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Metrics:
    """The numbers of one service.

    **Arguments:** `waiting`: returns how many pictures wait.
    """

    def __init__(self, waiting: Callable[[], int]):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter("dbnet_requests", "Answered requests.", ["path", "status"], registry=self.registry)
        self.seconds = Histogram(
            "dbnet_request_seconds", "From a request to its answer.", ["path"], buckets=_SECONDS, registry=self.registry
        )
        self.pictures = Counter(
            "dbnet_pictures", "Pictures in which text was looked for.", ["result"], registry=self.registry
        )
        self.waiting = Gauge("dbnet_waiting_pictures", "Pictures that wait for the detector.", registry=self.registry)
        self.waiting.set_function(waiting)


class Observed:
    """ASGI middleware: counts the answers, and adds the headers. An error of the app becomes an answer of status 500.

    **Arguments:** `app`; `metrics`; `paths`: those that are counted by name, so that clients cannot make up labels.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]):
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"
        began = time.monotonic()
        answered = False

        async def counted(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                MutableHeaders(scope=message).update(_HEADERS)
                self._metrics.requests.labels(path, message["status"]).inc()
                self._metrics.seconds.labels(path).observe(time.monotonic() - began)
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:  # the server logs it
            if not answered:
                await failed()(scope, receive, counted)
            raise
