"""From a request with pictures to their results, by way of the worker thread."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import FastAPI, Request

from dbnet_jax.images.decode import BadPicture
from dbnet_jax.serve import problems
from dbnet_jax.serve.bodies import Gone
from dbnet_jax.serve.engine import Engine, Task, TooManyPixels
from dbnet_jax.serve.forms import Upload, uploads
from dbnet_jax.serve.limits import Limits
from dbnet_jax.serve.metrics import Metrics
from dbnet_jax.serve.problems import Refusal
from dbnet_jax.serve.worker import Full, Worker


class Service:
    """What the addresses share: the engine, its worker thread, and the numbers."""

    def __init__(self, engine: Engine, limits: Limits):
        self.engine, self.limits = engine, limits
        self.worker = Worker(engine.run, limits.waiting, engine.prepare())
        self.metrics = Metrics(lambda: self.worker.waiting)

    @property
    def ready(self) -> bool:
        """Whether the usual shapes are compiled. Requests before that are answered, some of them slowly."""
        return self.worker.prepared and self.worker.alive

    @contextlib.asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Finishes the queue at the end."""
        yield
        await asyncio.to_thread(self.worker.close)

    def check_room(self, count: int = 1) -> None:
        """**Raises:** Refusal if so many pictures would not find room."""
        try:
            self.worker.check_room(count)
        except Full:
            raise problems.busy("the queue is full", self.worker.retry_seconds) from None

    async def pictures(self, request: Request, most: int) -> list[Upload]:
        """The pictures of a request. **Raises:** Refusal."""
        # In a thread: to take a large form apart takes a moment.
        found = await asyncio.to_thread(uploads, request.headers.get("content-type"), await request.body(), most)
        limit = self.limits.picture_bytes
        if large := [one for one in found if len(one.content) > limit]:
            name, size = large[0].name, len(large[0].content)
            raise problems.too_large(f"{name}: has {size:,} bytes, more than the limit of {limit:,}; send it smaller")
        return found

    async def results(self, request: Request, task: Task, pictures: Sequence[Upload]) -> list[Any]:
        """The result of each picture, or its error. **Raises:** Refusal; Gone if the client did not wait."""
        try:
            self.engine.check(task.options)
        except ValueError as error:
            raise Refusal(422, str(error).replace("config.predict.", "")) from error
        self.check_room(len(pictures))
        futures = self.worker.submit(task, pictures)
        done = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        gone = asyncio.ensure_future(_disconnected(request))
        awaited: set[asyncio.Future[Any]] = {done, gone}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not done.done():
                for future in futures:
                    future.cancel()
                self.worker.discard_cancelled()
        if not done.done():
            raise Gone
        results = done.result()
        for one in results:
            self.metrics.pictures.labels("error" if isinstance(one, BaseException) else "ok").inc()
        return results

    async def one_result(self, request: Request, task: Task) -> tuple[Any, str]:
        """The result of a request with one picture, and the picture's name. **Raises:** Refusal."""
        (picture,) = await self.pictures(request, 1)
        (result,) = await self.results(request, task, [picture])
        if isinstance(result, BaseException):
            raise refusal_of(result)
        return result, picture.name


async def _disconnected(request: Request) -> None:
    """Returns when the client closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def refusal_of(error: BaseException) -> BaseException:
    """The answer to an error of a picture; an error of the service, also a ValueError, remains what it is."""
    if not isinstance(error, BadPicture):
        return error
    return problems.too_large(str(error)) if isinstance(error, TooManyPixels) else Refusal(422, str(error))
