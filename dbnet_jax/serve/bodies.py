"""Reads the bodies of requests within limits, before anything else is done with them."""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dbnet_jax.serve.limits import Limits
from dbnet_jax.serve.problems import Refusal, busy, problem, too_large

BATCH_PATH = "/detect/batch"
# Boundaries and headers of a form around a picture.
_FORM_BYTES = 64 * 1024
# A client that sends on after its refusal is read for so long, because many clients read no answer before that.
_LINGER_SECONDS = 2.0
_RETRY_SECONDS = 1


class Gone(Exception):
    """The client closed the connection, or does not read."""


class BodyLimits:
    """ASGI middleware: an app behind it gets only whole bodies, which are in memory and within the limits.

    Bytes are counted as they come. Nothing is written to a disk. While a body is on its way, no thread waits for it.

    **Arguments:**

    - `app`: the app.
    - `limits`: the limits.
    - `check_room`: raises Refusal while there is no room for one more picture. It is asked before the body is read.
    """

    def __init__(self, app: ASGIApp, limits: Limits, check_room: Callable[[], None]):
        self._app, self._limits, self._check_room = app, limits, check_room
        self._requests = 0
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with contextlib.suppress(Gone):
            await self._answer(scope, receive, self._in_time(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on with its whole body, or refuses it. **Raises:** Gone."""
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        held = [0]
        self._requests += 1
        refusal = None
        try:
            body = await self._read(scope, receive, held)
            await self._app(scope, _replay(body, receive), send)
        except Refusal as error:
            refusal = error
        finally:
            self._requests -= 1
            self._held -= held[0]
        if refusal is not None:
            await _refuse(refusal, receive, send)

    def _in_time(self, send: Send) -> Send:
        """A `send` that gives a client up which does not read its answer."""

        async def sent(message: Message) -> None:
            try:
                async with asyncio.timeout(self._limits.body_seconds):
                    await send(message)
            except TimeoutError:
                raise Gone from None

        return sent

    async def _read(self, scope: Scope, receive: Receive, held: list[int]) -> bytes:
        """The whole body. **Raises:** Refusal; Gone. `held` is kept at the bytes that are in memory."""
        headers = Headers(scope=scope)
        limit = self._limits.batch_bytes if scope["path"] == BATCH_PATH else self._limits.picture_bytes
        if self._requests > self._limits.requests:
            raise busy(f"{self._limits.requests} requests are under way, no more are taken", _RETRY_SECONDS)
        self._check_room()
        if (encoding := headers.get("content-encoding", "identity")) != "identity":
            raise Refusal(415, f"Content-Encoding {encoding!r} is not taken; send the picture as it is")
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit + _FORM_BYTES:
            raise too_large(_over(limit))
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    chunk = message.get("body", b"")
                    chunks.append(chunk)
                    held[0] += len(chunk)
                    self._held += len(chunk)
                    if held[0] > limit + _FORM_BYTES:
                        raise too_large(_over(limit))
                    if self._held > self._limits.held_bytes:
                        raise busy("the pictures of other requests fill the memory", _RETRY_SECONDS)
                    more = message.get("more_body", False)
        except TimeoutError:
            seconds = f"{self._limits.body_seconds:g} s"
            raise Refusal(408, f"the body did not come within {seconds}; send a smaller picture") from None
        return b"".join(chunks)


def _over(limit: int) -> str:
    return f"the body has more than {limit:,} bytes, the limit of this address; send a smaller picture"


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body that was read, and then waits for the client's end."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


async def _refuse(refusal: Refusal, receive: Receive, send: Send) -> None:
    """Answers, and lets the client send on for a moment, so that it reads the answer. Closes the connection."""
    response = problem(refusal)
    start = {"type": "http.response.start", "status": response.status_code}
    await send(start | {"headers": [*response.raw_headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
