"""A sender that leaves while its photos wait or are computed: nobody reads the answer, so its places are free at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from starlette.requests import Request

from maskzoo.errors import RequestError

__all__ = ["while_present"]

Made = TypeVar("Made")


async def while_present(request: Request, work: Awaitable[Made]) -> Made:
    """Return what `work` gives for a request whose body has been read.

    Cancels it as soon as the sender leaves, and raises RequestError (400) then.
    """
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_wait_until_gone(request))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise RequestError("the sender left before its answer was ready", 400)
        return task.result()
    finally:
        for one in (task, leaving):
            one.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await one


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
