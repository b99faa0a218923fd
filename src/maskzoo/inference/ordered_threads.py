"""Several images at once: each worker reads, predicts and encodes images of its own, and results leave in order.

A network on one thread does more for each core than one network on all of them: the steps between its layers, reading
and drawing keep one core busy, whatever the others do. Pillow, OpenCV and torch release Python's lock while they work.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

from maskzoo.errors import ArgumentError, MaskzooError

__all__ = ["check_threads", "map_in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2  # items under way or waiting to be taken, for each worker: a slow image does not stop the others at once


def map_in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield `work(item)` of each item in the order of `items`, `workers` of them at once.

    torch's threads are shared out among the workers. At most `AHEAD` items a worker are taken before their results are.
    An error leaves here in its place; then, or if the caller stops, nothing more begins, and what is under way ends.
    With one worker all happens in the caller's thread, and no item is taken before it is needed.
    """
    if workers < 1:
        raise ArgumentError(f"workers is {workers}; expected 1 or more")
    if workers == 1:
        yield from map(work, items)
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "maskzoo", torch.set_num_threads, (max(1, threads // workers),))
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        torch.set_num_threads(threads)  # a worker's number became the default of later threads


def check_threads(*, torch_alone: bool) -> None:
    """Raise MaskzooError in a process that was forked from one whose several threads have loaded or run a network.

    A fork copies one thread; OpenMP and the runtimes would wait for the others for ever, also in a network that is loaded
    afresh. torch on one thread (a DataLoader's worker) waits for nobody; `torch_alone` says that nothing else computes.
    """
    if torch_alone and torch.get_num_threads() == 1:
        return
    if (first := _find_first()) != os.getpid():
        raise MaskzooError(
            f"process {os.getpid()} was forked from {first}, which had loaded or run a network, and torch's threads do not "
            "survive a fork: the prediction would never end. Start processes by multiprocessing's 'spawn' (a predictor can "
            "be pickled), or load in the child only; with backend eager, torch.set_num_threads(1) in the child serves too"
        )


@cache
def _find_first() -> int:
    """The process that asked first: a forked one inherits the answer."""
    return os.getpid()
