"""X-AnyLabeling's remote server: its two addresses, below one of their own because `/v1` here is of another form."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from maskzoo.datasets.exporters.outlines import draw_polygons
from maskzoo.inference.choice import SCORE, Choice
from maskzoo.inference.outlined import list_objects
from maskzoo.inference.prediction import Prediction
from maskzoo.serving.openapi import POSTED, Docs, describe_json
from maskzoo.serving.presence import while_present
from maskzoo.serving.service import Service
from maskzoo.serving.uploads import decode_data_uri, read_json

__all__ = ["PREFIX", "add_x_anylabeling", "make_shapes"]

PREFIX = "/x-anylabeling"
WIDGETS = (("button_run", None), ("input_conf", None), ("edit_conf", SCORE), ("button_classes_filter", None))


class _Parameters(BaseModel):
    """What the program's controls say; others are sent too and mean nothing here."""

    conf_threshold: float = Field(default=SCORE, ge=0, le=1, allow_inf_nan=False)
    filter_classes: list[str] = Field(default=[], description="Names of classes to keep; all if there is none.")


class _Question(BaseModel):
    model: str
    image: str = Field(description="A data URI.")
    params: _Parameters = _Parameters()


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str
    shape_type: str = "polygon"
    points: list[list[float]] = Field(description="x, y in pixels of the photo.")
    score: float = Field(ge=0, le=1)
    group_id: int | None = Field(default=None, description="The same for all parts of one object.")


class _Shapes(BaseModel):
    shapes: list[_Shape]
    description: str = ""


class _Answer(BaseModel):
    success: bool = True
    data: _Shapes


class _Models(BaseModel):
    success: bool = True
    data: dict[str, dict[str, Any]] = Field(description="What the program shows of each model.")


def add_x_anylabeling(app: FastAPI, guarded: Docs) -> None:
    """Add the routes."""
    app.get(f"{PREFIX}/v1/models", summary="List the models for X-AnyLabeling", response_model=_Models, responses=guarded)(
        _list_models
    )
    app.post(
        f"{PREFIX}/v1/predict",
        summary="Find the objects on one photo of X-AnyLabeling",
        response_model=_Answer,
        responses=guarded | POSTED,
        openapi_extra=describe_json(_Question),
    )(_predict)


async def _list_models(request: Request) -> _Models:
    service: Service = request.app.state.service
    widgets = [{"name": name, "value": value} for name, value in WIDGETS]
    return _Models(
        data={
            facts.name: {"display_name": facts.name, "widgets": widgets, "classes": list(facts.classes.values())}
            | {"batch_processing_mode": "default"}
            for facts in service.list_models().models
        }
    )


async def _predict(request: Request) -> Response:
    service: Service = request.app.state.service
    service.slots.check()
    asked = await read_json(request, service.slots, _Question)
    name = service.choose(asked.model)
    choice = service.choose_objects(name, asked.params.conf_threshold, asked.params.filter_classes)
    with service.slots.hold():
        return await while_present(request, _answer(request, name, decode_data_uri(asked.image), choice))


async def _answer(request: Request, name: str, content: bytes, choice: Choice) -> Response:
    service: Service = request.app.state.service
    prediction = await service.predict(name, content, choice)
    request.scope["state"]["facts"] = {"model": name, "objects": len(prediction)}
    with service.measure(name, "encode"):
        shapes = await service.run(make_shapes, prediction)
    return Response(_Answer(data=_Shapes(shapes=shapes)).model_dump_json(), media_type="application/json")


def make_shapes(prediction: Prediction) -> list[_Shape]:
    """Return the polygons of a prediction; those of one object share a group."""
    shapes = []
    for one in list_objects(prediction):
        polygons = [polygon.reshape(-1, 2).tolist() for polygon in draw_polygons(one, prediction.size)]
        group = one.number if len(polygons) > 1 else None
        name = prediction.names[one.number - 1]
        shapes += [_Shape(label=name, points=points, score=one.score or 0.0, group_id=group) for points in polygons]
    return shapes
