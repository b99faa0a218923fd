"""What FastAPI cannot know about the routes: their bodies, which are read by hand, examples, and their refusals."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from maskzoo.serving.schema import Problem
from maskzoo.serving.uploads import FIELD

__all__ = ["BATCH_DOCS", "POSTED", "PREDICT_DOCS", "Docs", "describe_json", "describe_problems"]

Docs = dict[int | str, dict[str, Any]]
WHY = {
    400: "The sender left before its request was complete, or its answer ready",
    401: "No token, or not the right one",
    404: "No model has this name",
    408: "The body arrived too slowly",
    413: "The body has too many bytes",
    415: "The body is of another type than expected, or compressed",
    421: "The Host header has a name that the server is not called by",
    422: "A parameter or the JSON is not valid, or the photo cannot be read within the limits",
    503: "Too many photos are under way; Retry-After says when to try again",
}
FILE = {"type": "string", "format": "binary"}
EXAMPLE = {
    "id": "4d2c1b7f9e0a3586",
    "model": "r50",
    "height": 480,
    "width": 640,
    "scale": [1.6666666269302368, 1.6666666269302368],
    "mask_threshold": 0.5,
    "detections": [
        {
            "label": 16,
            "name": "dog",
            "category_id": 18,
            "score": 0.98,
            "box": [12.5, 40.25, 200.0, 310.5],
            "area": 31877,
            "segmentation": {"size": [480, 640], "counts": "RWf31m>2O001O..."},
        }
    ],
}


def describe_problems(*statuses: int) -> Docs:
    """Return the OpenAPI of refusals."""
    schema = {key: value for key, value in Problem.model_json_schema().items() if key != "title"}
    return {
        status: {
            "description": WHY.get(status, HTTPStatus(status).phrase),
            "content": {"application/problem+json": {"schema": schema}},
            **({"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status == 503 else {}),
        }
        for status in statuses
    }


POSTED = describe_problems(400, 404, 408, 413, 415, 422, 503)


def describe_json(kind: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI of a body in JSON."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": kind.model_json_schema()}}}}


def _form(files: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "required": [FIELD], "properties": {FIELD: files}}}


PREDICT_DOCS: dict[str, Any] = {
    "responses": {
        200: {
            "description": "The objects, or with answer=jpeg or answer=png the photo with the objects drawn on it",
            "content": {
                "application/json": {"example": EXAMPLE},
                "image/jpeg": {"schema": FILE},
                "image/png": {"schema": FILE},
            },
        }
    },
    "extra": {
        "requestBody": {
            "required": True,
            "description": f"The photo itself, or a form with one file called {FIELD}",
            "content": {
                "multipart/form-data": _form(FILE),
                "image/*": {"schema": FILE},
                "application/octet-stream": {"schema": FILE},
            },
        }
    },
}
BATCH_DOCS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A form with files called {FIELD}",
        "content": {"multipart/form-data": _form({"type": "array", "items": FILE, "minItems": 1})},
    }
}
