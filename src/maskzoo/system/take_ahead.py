"""One step of a chain in a thread of its own, so that the steps before and after it work at the same time."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

__all__ = ["take_ahead"]

Item = TypeVar("Item")
LOOK_UP = 0.05  # seconds after which a thread that waits for room sees that nobody will make any


def take_ahead(items: Iterable[Item], most: int, *, newest: bool = False) -> Generator[Item, None, None]:
    """Yield the items, which another thread takes, at most `most` before they are needed.

    An error leaves here in its place. If the caller stops, the other thread takes no further item, and has ended then.
    `newest`: it never waits for the caller, but drops the oldest item that waits.
    """
    waiting, stopped = Queue[Future[Item] | None](most), Event()

    def put(entry: Future[Item] | None, wait: bool) -> None:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=LOOK_UP if wait else 0.0)
                return
            except Full:
                if not wait:
                    with suppress(Empty):
                        waiting.get_nowait()

    def take() -> None:
        try:
            for item in items:
                entry: Future[Item] = Future()
                entry.set_result(item)
                put(entry, wait=not newest)
                if stopped.is_set():
                    return
            put(None, wait=True)
        except BaseException as error:
            entry = Future()
            entry.set_exception(error)
            put(entry, wait=True)

    thread = Thread(target=take, name="maskzoo-ahead", daemon=True)
    thread.start()
    try:
        while (entry := waiting.get()) is not None:
            yield entry.result()
    finally:
        stopped.set()
        thread.join()
