"""The app: its addresses and what they answer."""

from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Literal

import pydantic
from fastapi import Depends, FastAPI, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import HTMLResponse, JSONResponse, Response

from dbnet_jax.pages.page import render
from dbnet_jax.serve import problems
from dbnet_jax.serve.answers import DetectFormat, ReadFormat, answer_found, answer_page, found_json
from dbnet_jax.serve.bodies import BATCH_PATH, BodyLimits
from dbnet_jax.serve.engine import Engine, Found, Options, Task
from dbnet_jax.serve.forms import Upload
from dbnet_jax.serve.limits import Limits
from dbnet_jax.serve.metrics import Observed
from dbnet_jax.serve.problems import Refusal
from dbnet_jax.serve.service import Service, refusal_of

_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_ONE_PICTURE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_FORM = {
    "multipart/form-data": {
        "schema": {"type": "object", "properties": {"picture": {"type": "string", "format": "binary"}}}
    }
}
_PROBLEMS = {
    408: "The body did not come in time.",
    413: "The body, the picture or the batch is over a limit.",
    422: "An option is wrong, or the picture cannot be read.",
    429: "The queue is full; the header Retry-After has the seconds to wait.",
}


class _Options(pydantic.BaseModel):
    """Options in the query of a request."""

    model_config = pydantic.ConfigDict(extra="forbid")
    shape: Annotated[Literal["quad", "polygon"] | None, pydantic.Field(description="of the outlines")] = None
    box_threshold: Annotated[
        float | None, pydantic.Field(ge=0, le=1, description="least mean probability inside an outline")
    ] = None
    unclip_ratio: Annotated[
        float | None, pydantic.Field(gt=0, le=10, description="how far outlines grow; the larger, the wider")
    ] = None
    size: Annotated[int | None, pydantic.Field(description="of the short side in the network; one of /models")] = None

    def options(self) -> Options:
        """The options of the detector alone."""
        return Options(self.shape, self.box_threshold, self.unclip_ratio, self.size)


class _DetectOptions(_Options):
    format: DetectFormat = "json"


class _ReadOptions(_Options):
    format: ReadFormat = "json"


def make_app(engine: Engine, limits: Limits, names: Mapping[str, str | None]) -> FastAPI:
    """The service as an ASGI app.

    **Arguments:** `engine`; `limits`; `names`: of the "detector" and of the "recognizer", for /models.
    """
    service = Service(engine, limits)
    # FastAPI's pages of documentation load scripts from elsewhere: /docs is our own.
    app = FastAPI(title="dbnet_jax", docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=service.lifespan)
    app.state.service = service
    problems.add_handlers(app)
    _add_tasks(app, service)
    _add_state(app, service, names)
    _add_pages(app)
    app.add_middleware(BodyLimits, limits=limits, check_room=service.check_room)
    paths = frozenset(route.path for route in app.routes if hasattr(route, "path"))
    app.add_middleware(Observed, metrics=service.metrics, paths=paths)
    return app


def _described(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the OpenAPI document says of a request with pictures, which FastAPI does not see."""
    answers = {
        status: {"description": text, "content": {problems.MEDIA_TYPE: {"schema": {"type": "object"}}}}
        for status, text in _PROBLEMS.items()
    }
    body = {"requestBody": {"required": True, "content": content}}
    return {"responses": answers, "openapi_extra": body, "dependencies": [Depends(_check_query)]}


def _check_query(request: Request) -> None:
    """FastAPI takes the last value of an option that comes twice: a mistake would pass unseen."""
    for name in request.query_params:
        values = request.query_params.getlist(name)
        if len(values) > 1:
            raise Refusal(422, f"`{name}` (={', '.join(values)}) comes {len(values)} times; state it once")


def _add_tasks(app: FastAPI, service: Service) -> None:
    one = _described({**_ONE_PICTURE, **_FORM})

    @app.post("/detect", summary="Finds the text in a picture", **one)
    async def detect(request: Request, query: Annotated[_DetectOptions, Query()]) -> Response:
        found, name = await service.one_result(request, Task(False, query.options()))
        return answer_found(found, query.format, name)

    @app.post(BATCH_PATH, summary="Finds the text in the pictures of a form; JSON", **_described(_FORM))
    async def detect_batch(request: Request, query: Annotated[_Options, Query()]) -> Response:
        pictures = await service.pictures(request, service.limits.batch_pictures)
        results = await service.results(request, Task(False, query.options()), pictures)
        return JSONResponse({"pictures": [_of_batch(*pair) for pair in zip(pictures, results, strict=True)]})

    @app.post("/read", summary="Finds and reads the text in a picture", **one)
    async def read(request: Request, query: Annotated[_ReadOptions, Query()]) -> Response:
        if service.engine.recognizer is None:
            raise Refusal(404, "this service has no recogniser; start it with --recognizer=NAME")
        page, name = await service.one_result(request, Task(True, query.options()))
        return answer_page(page, query.format, name)


def _of_batch(picture: Upload, result: Found | BaseException) -> dict[str, object]:
    """A picture of a batch: a picture that failed has its problem, and does not fail the others."""
    if isinstance(result, Found):
        return {"name": picture.name, **found_json(result)}
    refusal = refusal_of(result)
    if not isinstance(refusal, Refusal):
        raise refusal
    return {"name": picture.name, "problem": problems.as_json(refusal.status, refusal.detail)}


def _add_state(app: FastAPI, service: Service, names: Mapping[str, str | None]) -> None:
    limits = {name: getattr(service.limits, name) for name in ("picture_bytes", "pixels", "batch_pictures")}

    @app.get("/models", summary="The weights, the defaults of the options, and the limits")
    async def models() -> dict[str, Any]:
        defaults, ratios = service.engine.describe(), service.engine.unclip_ratios
        return {**names, "defaults": defaults, "unclip_ratios": ratios, "limits": limits}

    @app.get("/healthz", summary="200 when the service is ready, 503 while it starts or when it failed")
    async def healthz() -> Response:
        status = "ready" if service.ready else "starting" if service.worker.alive else "failed"
        state = {"status": status, "waiting": service.worker.waiting}
        return JSONResponse(state, 200 if service.ready else 503)

    @app.get("/metrics", summary="Numbers for Prometheus")
    async def metrics() -> Response:
        return Response(generate_latest(service.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _add_pages(app: FastAPI) -> None:
    """The page and its files, which are read once. No other file can be asked for."""
    folder = resources.files("dbnet_jax") / "serve/page"
    for path, (file, kind) in _PAGE.items():
        response = Response((folder / file).read_bytes(), media_type=kind)
        app.add_api_route(path, _constant(response), methods=["GET", "HEAD"], include_in_schema=False)

    @app.api_route("/docs", methods=["GET", "HEAD"], include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(render("openapi.html", document=app.openapi()))


def _constant(response: Response) -> Any:
    async def respond() -> Response:
        return response

    return respond
