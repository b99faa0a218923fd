"""Several images at once: each worker reads, predicts and encodes images of its own, and results leave in order.

A network on one thread does more for each core than one network on all of them: the steps between its layers, reading
and drawing keep one core busy, whatever the others do. Pillow, OpenCV and torch release Python's lock while they work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["map_in_order"]

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
        raise ValueError(f"workers is {workers}; expected 1 or more")
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
