"""Label Studio's machine learning backend: the addresses that it asks, at the root of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from maskzoo.datasets.exporters.label_studio_regions import draw_rectangle, draw_region
from maskzoo.errors import ConfigError, ImageError, RequestError, SourceError
from maskzoo.inference.outlined import list_objects
from maskzoo.inference.prediction import Prediction
from maskzoo.serving.labelling.controls import Controls, read_controls
from maskzoo.serving.labelling.pictures import LabelStudio, Pictures
from maskzoo.serving.openapi import POSTED, Docs, describe_json
from maskzoo.serving.presence import while_present
from maskzoo.serving.service import Service, fail_alone
from maskzoo.serving.uploads import read_json

__all__ = ["add_label_studio", "make_results"]


class _Setup(BaseModel):
    schema_: str = Field(alias="schema", description="The project's labelling interface, XML.")


class _Task(BaseModel):
    data: dict[str, Any] = Field(description="The field that the interface names has the picture.")


class _Question(BaseModel):
    tasks: list[_Task] = Field(max_length=10_000)
    label_config: str = Field(description="The project's labelling interface, XML.")


class _Health(BaseModel):
    status: str = "UP"
    model_class: str


class _Version(BaseModel):
    model_version: str
    note: str | None = Field(default=None, description="What the model and the interface do not share.")


class _Predicted(BaseModel):
    """The regions of one task, or the error that says why there are none."""

    model_version: str
    result: list[dict[str, Any]] | None = None
    score: float | None = Field(default=None, description="The mean of the objects' scores.")
    error: str | None = None


class _Answer(BaseModel):
    results: list[_Predicted] = Field(description="One for each task, in their order.")
    left_out: int = Field(description="Objects of classes that the interface does not have, and such without a pixel.")
    failed: int = Field(description="Tasks that have an error.")
    note: str | None = Field(default=None, description="What the model and the interface do not share.")


class _Heard(BaseModel):
    status: str = "ignored"


class _Event(BaseModel):
    action: str


class _Backend:
    """The routes, and where they find pictures."""

    def __init__(self, service: Service, settings: LabelStudio) -> None:
        self._service, self._score = service, settings.score
        self._pictures = Pictures.open(settings, service.limits.max_bytes)
        self._name = service.choose(None)

    async def tell_health(self) -> _Health:
        return _Health(model_class=self._name)

    async def set_up(self, request: Request) -> _Version:
        asked = await read_json(request, self._service.slots, _Setup)
        return _Version(model_version=self._name, note=(await self._read_controls(asked.schema_)).note)

    async def hear(self, request: Request) -> _Heard:
        """Answer an event: nothing is trained here."""
        await read_json(request, self._service.slots, _Event)
        return _Heard()

    async def predict(self, request: Request) -> Response:
        service = self._service
        service.slots.check()
        asked = await read_json(request, service.slots, _Question)
        together = max(1, min(len(asked.tasks), service.limits.max_batch, service.limits.max_queue))
        with service.slots.hold(together):
            controls = await self._read_controls(asked.label_config)
            answer = await while_present(request, self._predict_all(asked.tasks, controls, together, request.state.id))
        facts = {"model": self._name, "photos": len(asked.tasks), "left_out": answer.left_out, "failed": answer.failed}
        request.scope["state"]["facts"] = facts | ({"note": controls.note} if controls.note else {})
        return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")

    async def _read_controls(self, text: str) -> Controls:
        try:
            return await self._service.run(read_controls, text, self._service.models[self._name].config.classes, self._name)
        except (ConfigError, SourceError) as error:
            raise RequestError(str(error), 422) from error

    async def _predict_all(self, tasks: Sequence[_Task], controls: Controls, together: int, request_id: str) -> _Answer:
        """Predict as many tasks at once as there are places for; others wait."""
        results: list[_Predicted] = []
        left_out = failed = 0
        for start in range(0, len(tasks), together):
            some = tasks[start : start + together]
            for found in await asyncio.gather(*(fail_alone(self._predict_one(one, controls), request_id) for one in some)):
                if isinstance(found, RequestError):
                    failed += 1
                    results.append(_Predicted(model_version=self._name, error=str(found)))
                else:
                    left_out += found[1]
                    results.append(found[0])
        return _Answer(results=results, left_out=left_out, failed=failed, note=controls.note)

    async def _predict_one(self, task: _Task, controls: Controls) -> tuple[_Predicted, int]:
        """Return what a task gets, and how many objects were left out. Raises ImageError if its picture cannot be read."""
        service, named = self._service, task.data.get(controls.field)
        if not isinstance(named, str):
            raise ImageError(f"the task has no picture in its field {controls.field!r}, which the interface shows")
        content = await self._pictures.read(named)
        prediction = await service.predict(self._name, content, service.choose_objects(self._name, self._score, ()))
        with service.measure(self._name, "encode"):
            rows = await service.run(make_results, prediction, controls)
        score = sum(row["score"] for row in rows) / len(rows) if rows else 0.0
        return _Predicted(model_version=self._name, result=rows, score=score), len(prediction) - len(rows)


def make_results(prediction: Prediction, controls: Controls) -> list[dict[str, Any]]:
    """Return the regions of a prediction, as the labelling interface wants them; objects that it cannot hold are left out."""
    rows = []
    for one, box, name in zip(list_objects(prediction), prediction.boxes.tolist(), prediction.names, strict=True):
        kinds, size = controls.choose(name), prediction.size
        region = draw_rectangle(box, size) if kinds == ["rectangle"] else draw_region(one, size, kinds) if kinds else None
        if region is not None:
            control = controls.by_kind[region.kind]
            label = control.labels[controls.labels[name]]
            rows.append(region.to_result(str(one.number), control.name, controls.image, label, size) | {"score": one.score})
    return rows


def add_label_studio(app: FastAPI, settings: LabelStudio, guarded: Docs) -> None:
    """Add the routes. Raises MaskzooError if the token's file cannot be read."""
    backend, posted = _Backend(app.state.service, settings), guarded | POSTED
    app.get("/health", summary="Tell Label Studio that the model runs", response_model=_Health, responses=guarded)(
        backend.tell_health
    )
    for path, summary, route, question, answer in (
        ("/setup", "Hold the model against a project of Label Studio", backend.set_up, _Setup, _Version),
        ("/predict", "Predict tasks of Label Studio", backend.predict, _Question, _Answer),
        ("/webhook", "Hear an event of Label Studio", backend.hear, _Event, _Heard),
    ):
        docs: dict[str, Any] = {"response_model": answer, "responses": posted, "openapi_extra": describe_json(question)}
        app.post(path, summary=summary, response_model_exclude_none=True, **docs)(route)
