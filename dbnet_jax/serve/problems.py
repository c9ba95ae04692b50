"""Refusals as JSON problems (RFC 9457)."""

import http
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"


class Refusal(Exception):
    """A request that is answered by a problem.

    **Arguments:** `status`: of HTTP; `detail`: what is wrong, and what to do; `headers`: of the answer.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None):
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def busy(detail: str, seconds: int) -> Refusal:
    """The refusal of a request that may come again after so many seconds."""
    return Refusal(429, f"{detail}; try again in {seconds} s", {"Retry-After": str(seconds)})


def too_large(detail: str) -> Refusal:
    """The refusal of a body or a picture that is over a limit."""
    return Refusal(413, detail)


def as_json(status: int, detail: str) -> dict[str, object]:
    """The problem as plain values. `title` is HTTP's phrase for the status, as "about:blank" demands."""
    return {"type": "about:blank", "title": http.HTTPStatus(status).phrase, "status": status, "detail": detail}


def problem(refusal: Refusal) -> Response:
    """The answer to a refused request."""
    content = as_json(refusal.status, refusal.detail)
    return JSONResponse(content, refusal.status, refusal.headers, media_type=MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Makes every refusal of the app a problem. Any other error is one of the service, see `failed`."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_starlette)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(Refusal(422, "; ".join(map(_what_is_wrong, error.errors()))))


def _what_is_wrong(found: Mapping[str, Any]) -> str:
    place: Sequence[Any] = found["loc"]
    name = ".".join(map(str, place[1:]))
    if found["type"] == "extra_forbidden":
        return f"`{name}` (={found['input']!r}) is no option of this address"
    return f"`{name}` (={found['input']!r}): {found['msg']}"


async def _of_starlette(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = {404: "there is no such address; GET /docs lists the addresses", 405: "the address has no such method"}
    detail = what.get(error.status_code, str(error.detail))
    return problem(Refusal(error.status_code, f"{request.method} {request.url.path}: {detail}", error.headers))


def failed() -> Response:
    """The answer to a request at which the service failed."""
    return problem(Refusal(500, "the service failed at this request; its log has the reason"))
