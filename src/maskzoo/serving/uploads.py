"""What is in a request: a photo as the whole body, files of a form, or JSON."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from maskzoo.errors import ImageError, RequestError, list_some
from maskzoo.serving.limits import Slots

__all__ = ["FIELD", "Content", "decode_data_uri", "read_json", "read_photo", "read_photos"]

Content = bytes | bytearray
Model = TypeVar("Model", bound=BaseModel)

FIELD = "image"
FORM = "multipart/form-data"
OTHERS = 16  # fields of a form that are not wanted
VALUES = 1_000_000  # of JSON: each takes a hundred times its bytes in memory
MANY = "; several photos go to /v1/predict/batch"


class _Form:
    """The files called `image` of a form. Everything else in it is passed over, and of no encoding that it may name."""

    def __init__(self, most: int) -> None:
        self.files: list[bytearray] = []
        self.whole = False
        self._most, self._others = most, 0
        self._name = self._value = self._disposition = b""
        self._file: bytearray | None = None

    def on_part_begin(self) -> None:
        self._name = self._value = self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def on_headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        wanted = options.get(b"name") == FIELD.encode() and b"filename" in options
        self._file = bytearray() if wanted else None
        self._others += not wanted
        if len(self.files) + wanted > self._most or self._others > OTHERS:
            raise FormParserError(f"it has more than {self._most} files or {OTHERS} other fields")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file += memoryview(data)[start:end]  # no copy more

    def on_part_end(self) -> None:
        if self._file is not None:
            self.files.append(self._file)

    def on_end(self) -> None:
        self.whole = True


async def read_photo(request: Request, slots: Slots) -> Content:
    """Return the one photo of a request. Raises RequestError: see `Slots.receive`; 415 or 422 where there is not one."""
    kind = _read_kind(request)
    if kind == FORM:
        photos = await _read_form(request, slots)
        if len(photos) != 1:
            raise RequestError(f"the form has {len(photos)} files called {FIELD}; expected one{MANY}", 422)
        return photos[0]
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        raise RequestError(
            f"the body is {kind[:80]}; expected a photo as image/jpeg or another image type, or a form "
            f"({FORM}) with a file called {FIELD}. With curl: -F {FIELD}=@photo.jpg",
            415,
        )
    async with slots.receive(request) as body:
        return body


async def read_photos(request: Request, slots: Slots) -> list[bytearray]:
    """Return the photos of a form, one or more. Raises RequestError as `read_photo` does."""
    if (kind := _read_kind(request)) != FORM:
        raise RequestError(f"the body is {kind[:80] or 'of no type'}; expected a form ({FORM}) of files called {FIELD}", 415)
    photos = await _read_form(request, slots)
    if not photos:
        raise RequestError(f"the form has no file called {FIELD}; expected one or more", 422)
    return photos


def _read_kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read_form(request: Request, slots: Slots) -> list[bytearray]:
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary", b"")
    async with slots.receive(request) as body:  # in a thread: 32 MB take a tenth of a second
        return await asyncio.to_thread(_split_form, body, boundary, slots.limits.max_queue)


def _split_form(body: bytearray, boundary: bytes, most: int) -> list[bytearray]:
    form = _Form(most)
    calls: Any = {name: getattr(form, name) for name in dir(form) if name.startswith("on_")}
    try:
        if not boundary:
            raise FormParserError("its Content-Type has no boundary")
        parser: Any = MultipartParser(boundary, calls)  # its types know bytes alone
        parser.write(body)
        if not form.whole:
            raise FormParserError("it ends before its last boundary")
    except FormParserError as error:
        raise RequestError(
            f"the form cannot be read: {str(error)[:200]}; send it as {FORM} with files called {FIELD}", 422
        ) from error
    return form.files


async def read_json(request: Request, slots: Slots, kind: type[Model]) -> Model:
    """Return the JSON of a request. Raises RequestError: see `Slots.receive`; 415 or 422 if it is none, or not of this kind."""
    if (found := _read_kind(request)) != "application/json":  # no page of another site can send it without being allowed to
        raise RequestError(f"the body is {found[:80] or 'of no type'}; expected application/json", 415)
    try:
        async with slots.receive(request) as body:
            if sum(map(body.count, (b",", b"[", b"{"))) > VALUES:
                raise RequestError(f"the JSON has more than {VALUES:,} values; send fewer tasks at once", 413)
            return kind.model_validate_json(body)
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
