"""The photos in a request: the whole body, or the files of a form."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from maskzoo.errors import RequestError
from maskzoo.serving.limits import Limits, read_body

__all__ = ["FIELD", "read_photo", "read_photos"]

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
