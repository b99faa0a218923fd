"""What a server takes: how large, how many at once, how slowly sent. Everything else is refused at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from starlette.requests import Request

from maskzoo.errors import ArgumentError, RequestError

__all__ = ["Limits", "Slots"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a server.

    At most `max_batch` photos are computed together, after at most `max_wait_ms` of waiting for each other. `max_queue` photos
    may be under way; `max_bytes` are those of a request's body, `max_pixels` those of a photo. Reading one photo may take
    `decode_seconds`. A sender has `patience_seconds`, and one more for each `pace` bytes that have arrived, but never more than
    `patience_seconds` ahead: what has come fast buys no pause.
    """

    max_batch: int = 8
    max_wait_ms: float = 5.0
    max_queue: int = 64
    max_pixels: int = 50_000_000
    max_bytes: int = 32_000_000
    decode_seconds: float = 10.0
    patience_seconds: float = 10.0
    pace: int = 32_000

    def __post_init__(self) -> None:
        for name in ("max_batch", "max_queue", "max_pixels", "max_bytes", "pace"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("max_wait_ms", "decode_seconds", "patience_seconds"):
            if not 0 <= getattr(self, name) <= 3_600_000:
                raise ArgumentError(f"{name} is {getattr(self, name)}; expected 0 or more, and at most an hour")


class Slots:
    """Counts the photos under way, and the bytes of the bodies that are still arriving; what is too much is refused."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.taken, self.arriving, self.seconds = limits, 0, 0, 0.1

    def check(self, number: int = 1) -> None:
        """Raise RequestError (503, with the seconds to wait) if there are no places for `number` more photos."""
        if self.taken + number > self.limits.max_queue:
            raise self._refuse(f"{self.taken} of {self.limits.max_queue} photos are under way already")

    @contextmanager
    def hold(self, number: int = 1) -> Iterator[None]:
        """Take `number` places until the block ends, however it ends. Raises as `check` does.

        Places are taken in turn, so the seconds of a block are about those after which there will be room again.
        """
        self.check(number)
        self.taken += number
        start = time.perf_counter()
        try:
            yield
            self.seconds += 0.1 * (time.perf_counter() - start - self.seconds)
        finally:
            self.taken -= number

    def _refuse(self, found: str) -> RequestError:
        return RequestError(f"{found}; try again a little later", 503, retry_after=1 + int(self.seconds))

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytearray]:
        """Yield the body of a request; its bytes are counted as arriving until the block ends.

        Raises RequestError: 413 as soon as it is known to be too large, from the header or while it arrives; 408 if it arrives
        too slowly; 415 if it is compressed, for a small body may hide a huge one; 400 if the sender leaves; 503 if all bodies
        that are arriving take more memory than those of `max_queue` photos may.
        """
        most = self.limits.max_bytes
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestError("the body is compressed; expected it as it is: leave out Content-Encoding", 415)
        too_large = f"expected at most {most:,} bytes; make the photo smaller, or send fewer at once"
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > most:
            raise RequestError(f"the body has {int(declared):,} bytes; {too_large}", 413)
        body, more = bytearray(), True
        clock = asyncio.get_running_loop().time
        due = clock() + self.limits.patience_seconds
        try:
            while more:
                part, more = await self._read_part(request, due, len(body))
                due = min(due + len(part) / self.limits.pace, clock() + self.limits.patience_seconds)
                self.arriving += len(part)
                body += part
                if len(body) > most:
                    raise RequestError(f"more than {most:,} bytes arrived; {too_large}", 413)
                if self.arriving > self.limits.max_queue * most:
                    raise self._refuse(f"{self.arriving:,} bytes of requests are arriving already")
            yield body
        finally:
            self.arriving -= len(body)

    async def _read_part(self, request: Request, due: float, read: int) -> tuple[bytes, bool]:
        """Return the next bytes of a body, and whether more will come. Raises RequestError if none come until `due`."""
        try:
            async with asyncio.timeout_at(due):
                message = await request.receive()
        except TimeoutError:
            raise RequestError(
                f"{read:,} bytes arrived, and then too few; expected {self.limits.pace:,} bytes a second and no pause of "
                f"{self.limits.patience_seconds:g} seconds; send a smaller photo, or use a faster connection",
                408,
            ) from None
        if message["type"] == "http.disconnect":
            raise RequestError("the sender left before its request was complete", 400)
        return message.get("body", b""), message.get("more_body", False)
