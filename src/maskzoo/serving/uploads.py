"""What is in a request: a photo as the whole body, files of a form, or JSON."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from maskzoo.errors import ImageError, RequestError, list_some
from maskzoo.serving.limits import Limits, read_body
from maskzoo.system.packages import import_extra

import_extra("python_multipart")  # Starlette misses it only when the first form is read

__all__ = ["FIELD", "decode_data_uri", "read_json", "read_photo", "read_photos"]

Model = TypeVar("Model", bound=BaseModel)

FIELD = "image"
FORM = "multipart/form-data"
MANY = "; several photos go to /v1/predict/batch"


class _InMemory(MultiPartParser):
    spool_max_size = 2**40  # the body is in memory already: no copy of it goes to disk


async def read_photo(request: Request, limits: Limits) -> bytes:
    """Return the one photo of a request. Raises RequestError: see `read_body`; 415 or 422 where there is not one."""
    kind = _read_kind(request)
    if kind == FORM:
        photos = await _read_form(request, limits)
        if len(photos) != 1:
            raise RequestError(f"the form has {len(photos)} files called {FIELD}; expected one{MANY}", 422)
        return photos[0]
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        raise RequestError(
            f"the body is {kind[:80]}; expected a photo as image/jpeg or another image type, or a form "
            f"({FORM}) with a file called {FIELD}. With curl: -F {FIELD}=@photo.jpg",
            415,
        )
    return await read_body(request, limits)


async def read_photos(request: Request, limits: Limits) -> list[bytes]:
    """Return the photos of a form, one or more. Raises RequestError as `read_photo` does."""
    if (kind := _read_kind(request)) != FORM:
        raise RequestError(f"the body is {kind[:80] or 'of no type'}; expected a form ({FORM}) of files called {FIELD}", 415)
    photos = await _read_form(request, limits)
    if not photos:
        raise RequestError(f"the form has no file called {FIELD}; expected one or more", 422)
    return photos


def _read_kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read_form(request: Request, limits: Limits) -> list[bytes]:
    body = await read_body(request, limits)

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    headers = Headers({"content-type": request.headers["content-type"]})
    try:
        form = await _InMemory(headers, stream(), max_files=limits.max_queue, max_fields=16).parse()
    except (MultiPartException, KeyError, ValueError) as error:  # KeyError: no boundary
        raise RequestError(
            f"the form cannot be read: {str(error)[:200]}; send it as {FORM} with files called {FIELD}", 422
        ) from error
    try:
        return [await one.read() for key, one in form.multi_items() if key == FIELD and isinstance(one, UploadFile)]
    finally:
        await form.close()


async def read_json(request: Request, limits: Limits, kind: type[Model]) -> Model:
    """Return the JSON of a request. Raises RequestError: see `read_body`; 415 or 422 if it is none, or not of this kind."""
    if (found := _read_kind(request)) != "application/json":  # no page of another site can send it without being allowed to
        raise RequestError(f"the body is {found[:80] or 'of no type'}; expected application/json", 415)
    try:
        return kind.model_validate_json(await read_body(request, limits))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc'])) or 'the body'}: {one['msg']}" for one in error.errors()]
        raise RequestError(f"the JSON is not as /openapi.json says: {list_some(wrong, between='; ')[:400]}", 422) from None


def decode_data_uri(text: str) -> bytes:
    """Return the bytes of a data URI in base64. Raises ImageError if it is none."""
    head, _, body = text.partition(",")
    if body and head.startswith("data:") and head.lower().endswith(";base64"):
        with suppress(ValueError):
            return base64.b64decode("".join(body.split()), validate=True)
    raise ImageError(f"image of {text[:40]!r}: expected a data URI in base64: data:image/jpeg;base64, and then the file")
