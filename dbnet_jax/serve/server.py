"""The HTTP server that runs the app."""

import asyncio
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

# From the connection, or from an answer, to the end of the next request's headers.
HEAD_SECONDS = 10.0
# For the requests that are under way when the server is told to stop.
_LAST_SECONDS = 60


class _Protocol(H11Protocol):
    """Closes a connection whose client sends no request, its headers too slowly, or does not read its answers.

    uvicorn waits for ever: an answer is one write, which returns at once, and a closed connection remains until all is
    sent. `answer_seconds`: until all that was written is sent.
    """

    answer_seconds: float
    _timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # With any byte that the client's side does not take, the transport pauses the writing.
        transport.set_write_buffer_limits(high=0)
        self._restart()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._timer, self._unread_timer):
            if timer:
                timer.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(self.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_timer:
            self._unread_timer.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._restart()

    def _restart(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.timeout_keep_alive_handler()


def make_server(app: FastAPI) -> uvicorn.Server:
    """A server for an app of `make_app`. It logs failures alone: no request and no picture."""

    class Protocol(_Protocol):
        answer_seconds = app.state.service.limits.body_seconds

    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    return uvicorn.Server(config)
