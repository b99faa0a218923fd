"""What a server takes: how large, how many at once, how slowly sent. Everything else is refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request

from maskzoo.errors import ArgumentError, RequestError

__all__ = ["Held", "Limits", "Slots", "read_body"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a server.

    At most `max_batch` photos are computed together, after at most `max_wait_ms` of waiting for each other. `max_queue` photos
    may be under way; `max_bytes` are those of a request's body, `max_pixels` those of a photo. Reading one photo may take
    `decode_seconds`. A sender has `patience_seconds`, and more for each `pace` bytes that have arrived, at a second each.
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


@dataclass(slots=True)
class Held:
    """The places of one request: how many, and the seconds that a photo of it took, if they are known."""

    slots: Slots
    number: int = 0
    seconds: float | None = None

    def add(self, number: int) -> None:
        """Take `number` more places. Raises RequestError (503) if there are not as many."""
        self.slots.take(number)
        self.number += number


class Slots:
    """Counts the photos under way; one more than `most` is refused at once, before its body is read."""

    def __init__(self, most: int) -> None:
        self.most, self.taken, self.seconds_each = most, 0, 0.1

    def take(self, number: int = 1) -> None:
        """Count `number` more photos. Raises RequestError (503, with the seconds to wait) if they are too many."""
        if self.taken + number > self.most:
            raise RequestError(
                f"{self.taken} of {self.most} photos are under way already; try again a little later",
                503,
                retry_after=1 + int(self.taken * self.seconds_each),
            )
        self.taken += number

    def give_back(self, number: int, seconds: float | None = None) -> None:
        """Count `number` photos as done; `seconds` each of them took tell the next refused caller how long to wait."""
        self.taken -= number
        if seconds is not None:
            self.seconds_each += 0.1 * (seconds - self.seconds_each)

    @contextmanager
    def hold(self) -> Iterator[Held]:
        """Take a place until the block ends, however it ends. Raises RequestError (503) if there is none."""
        held = Held(self)
        held.add(1)
        try:
            yield held
        finally:
            self.give_back(held.number, held.seconds)


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body of a request.

    Raises RequestError: 413 as soon as it is known to be too large, from the header or while it arrives; 408 if it arrives too
    slowly; 415 if it is compressed, for a small body may hide a huge one; 400 if the sender leaves.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError("the body is compressed; expected it as it is: leave out Content-Encoding", 415)
    too_large = f"expected at most {limits.max_bytes:,} bytes; make the photo smaller, or send fewer at once"
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.max_bytes:
        raise RequestError(f"the body has {int(declared):,} bytes; {too_large}", 413)
    loop, body, more = asyncio.get_running_loop(), bytearray(), True
    start = loop.time()
    while more:
        try:
            async with asyncio.timeout_at(start + limits.patience_seconds + len(body) / limits.pace):
                message = await request.receive()
        except TimeoutError:
            raise RequestError(
                f"{len(body):,} bytes arrived in {loop.time() - start:.0f} seconds; expected {limits.pace:,} bytes a second; "
                "send a smaller photo, or use a faster connection",
                408,
            ) from None
        if message["type"] == "http.disconnect":
            raise RequestError("the sender left before its request was complete", 400)
        body += message.get("body", b"")
        if len(body) > limits.max_bytes:
            raise RequestError(f"more than {limits.max_bytes:,} bytes arrived; {too_large}", 413)
        more = message.get("more_body", False)
    return bytes(body)
