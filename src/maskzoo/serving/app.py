"""The server's routes, and their OpenAPI description."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from maskzoo.browser.page_files import KINDS, POLICY, read_page
from maskzoo.errors import ImageError, RequestError, list_some
from maskzoo.inference.choice import SCORE, Choice
from maskzoo.inference.predictor import Predictor
from maskzoo.serving.gate import PAGE, Gate, describe_problem, hash_tokens, make_problem
from maskzoo.serving.labelling.label_studio import add_label_studio
from maskzoo.serving.labelling.pictures import LabelStudio
from maskzoo.serving.labelling.x_anylabeling import add_x_anylabeling
from maskzoo.serving.limits import Limits
from maskzoo.serving.openapi import BATCH_DOCS, POSTED, PREDICT_DOCS, Docs, describe_problems
from maskzoo.serving.presence import while_present
from maskzoo.serving.schema import (
    AnswerKind,
    BatchAnswer,
    MaskKind,
    ModelList,
    PredictionAnswer,
    Status,
    draw_answer,
    make_answer,
)
from maskzoo.serving.service import FAILED, Service, fail_alone
from maskzoo.serving.uploads import Content, read_photo, read_photos
from maskzoo.system.machine import name_own_version

__all__ = ["create_app"]

Score = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False, description="Objects from this score on.")]
Classes = Annotated[list[str] | None, Query(description="Names of classes to keep, each given once more; all if left out.")]
Masks = Annotated[
    MaskKind, Query(description="rle: COCO's run lengths; polygon; png: pictures; map: the network's probabilities; none.")
]
Answer = Annotated[AnswerKind, Query(description="json, or the photo with the objects drawn on it.")]
Model = Annotated[str | None, Query(description="A name from /v1/models; the first of them if left out.")]


def create_app(
    models: Mapping[str, Predictor],
    limits: Limits | None = None,
    *,
    tokens: Iterable[str] = (),
    hosts: Iterable[str] = (),
    label_studio: LabelStudio | None = None,
    decoders: int = 2,
) -> tuple[ASGIApp, Service]:
    """Return the application for any ASGI server, and the service behind it, whose `draining` says that it will stop.

    The first of `models` is the default. Every request but those for /live and /ready needs one of `tokens`, if there are any,
    and every request the name of one of `hosts`. With `label_studio` its routes are there too. Raises ArgumentError for a
    token that is no secret, MaskzooError if a file of `label_studio` cannot be read.
    """
    service = Service(models, limits or Limits(), decoders)

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    # Recent versions report to whatever address OTEL_... in the environment names; older ones ignore `telemetry`.
    silent: Any = dict.fromkeys(("auto_configure", "tracing", "metrics", "logs"), False)
    plain: Any = {"docs_url": None, "redoc_url": None, "redirect_slashes": False}  # a redirect would name what Host says
    app = FastAPI(title="maskzoo", version=name_own_version(), lifespan=live, telemetry=silent, **plain)
    app.state.service, app.state.page = service, read_page("server")
    app.add_exception_handler(RequestError, _tell_refusal)
    app.add_exception_handler(ImageError, _tell_unreadable)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(HTTPException, _tell_missing)
    app.add_exception_handler(Exception, _tell_failure)
    hashes, names = hash_tokens(tokens), frozenset(one.lower() for one in hosts)
    refused = describe_problems(421) if names else {}
    guarded = refused | (describe_problems(401) if hashes else {})
    _add_routes(app, guarded, refused)
    add_x_anylabeling(app, guarded)
    if label_studio is not None:
        add_label_studio(app, label_studio, guarded)
    return Gate(app, service, hashes, names), service


def _add_routes(app: FastAPI, guarded: Docs, refused: Docs) -> None:
    posted = guarded | POSTED
    app.post(
        "/v1/predict",
        summary="Find the objects on one photo",
        response_model=PredictionAnswer,
        responses=PREDICT_DOCS["responses"] | posted,
        openapi_extra=PREDICT_DOCS["extra"],
    )(_predict)
    app.post(
        "/v1/predict/batch",
        summary="Find the objects on several photos",
        response_model=BatchAnswer,
        responses=posted,
        openapi_extra=BATCH_DOCS,
    )(_predict_batch)
    app.get("/v1/models", summary="List the models", response_model=ModelList, responses=guarded)(_list_models)
    app.get("/live", summary="Say that the process runs", response_model=Status, responses=refused)(_tell_live)
    busy = refused | describe_problems(503)
    app.get("/ready", summary="Say whether requests are taken", response_model=Status, responses=busy)(_tell_ready)
    app.get("/", include_in_schema=False)(_show_page)
    app.get(PAGE + "{name}", include_in_schema=False)(_show_page)
    text: Docs = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text form"}}
    app.get("/metrics", summary="Counters", response_class=Response, responses=guarded | text)(_write_metrics)


async def _show_page(request: Request, name: str = "index.html") -> Response:
    """Show the page, or a file of it: none is a secret, and where a token is needed the page asks for it itself."""
    content = request.app.state.page.get(name)
    if content is None:
        raise HTTPException(404)
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    return Response(content, media_type=KINDS[name.rpartition(".")[2]], headers=headers)


async def _predict(
    request: Request,
    model: Model = None,
    score: Score = SCORE,
    classes: Classes = None,
    masks: Masks = MaskKind.rle,
    answer: Answer = AnswerKind.json,
) -> Response:
    service: Service = request.app.state.service
    name = service.choose(model)
    choice = service.choose_objects(name, score, classes or ())
    service.slots.check()
    content = await read_photo(request, service.slots)
    with service.slots.hold():
        return await while_present(request, _answer(request, name, content, choice, masks, answer))


async def _answer(
    request: Request, name: str, content: Content, choice: Choice, masks: MaskKind, answer: AnswerKind
) -> Response:
    service: Service = request.app.state.service
    prediction = await service.predict(name, content, choice)
    request.scope["state"]["facts"] = {"model": name, "objects": len(prediction)}
    with service.measure(name, "encode"):
        if answer is not AnswerKind.json:
            return Response(await service.run(draw_answer, prediction, answer), media_type=f"image/{answer.value}")
        body = await service.run(lambda: service.to_json(make_answer(prediction, masks, request.state.id, name)))
    return Response(body, media_type="application/json")


async def _predict_batch(
    request: Request,
    model: Model = None,
    score: Score = SCORE,
    classes: Classes = None,
    masks: Masks = MaskKind.rle,
) -> Response:
    service: Service = request.app.state.service
    name = service.choose(model)
    choice = service.choose_objects(name, score, classes or ())

    async def predict(content: Content) -> bytes:
        prediction = await service.predict(name, content, choice)
        with service.measure(name, "encode"):
            return await service.run(lambda: service.to_json(make_answer(prediction, masks, request.state.id, name)))

    service.slots.check()
    photos = await read_photos(request, service.slots)
    with service.slots.hold(len(photos)):
        work = asyncio.gather(*(fail_alone(predict(one), request.state.id) for one in photos))
        results = await while_present(request, work)
        failed = sum(isinstance(one, RequestError) for one in results)
        request.scope["state"]["facts"] = {"model": name, "photos": len(photos), "failed": failed}
        told = [
            service.to_json(describe_problem(one, request.state.id)) if isinstance(one, RequestError) else one
            for one in results
        ]
        body = b'{"id":%b,"results":[%b]}' % (service.to_json(request.state.id), b",".join(told))
        return Response(body, media_type="application/json")


async def _list_models(request: Request) -> ModelList:
    service: Service = request.app.state.service
    return service.list_models()


async def _tell_live() -> Status:
    return Status(status="live")


async def _tell_ready(request: Request) -> Status:
    service: Service = request.app.state.service
    if not service.ready or service.draining:
        raise RequestError("the server is stopping; send requests to another one", 503, retry_after=5)
    return Status(status="ready")


async def _write_metrics(request: Request) -> Response:
    service: Service = request.app.state.service
    return Response(service.metrics.write(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _tell_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return make_problem(error, request.state.id)


async def _tell_unreadable(request: Request, error: Exception) -> Response:
    return make_problem(RequestError(str(error), 422), request.state.id)


async def _tell_failure(request: Request, error: Exception) -> Response:
    return make_problem(RequestError(FAILED, 500), request.state.id)


async def _tell_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [f"{one['loc'][-1]}: {one['msg']}, found {str(one.get('input'))[:80]!r}" for one in error.errors()]
    return make_problem(RequestError(list_some(found, between="; "), 422), request.state.id)


async def _tell_missing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    advice = {404: "there is nothing at this address", 405: "this address takes another method"}.get(error.status_code, "")
    text = f"{advice or error.detail}; see /openapi.json"
    return make_problem(RequestError(text, error.status_code), request.state.id, error.headers)
