"""Python's garbage collector, where it would walk over millions of objects of which none is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["for_good", "without_collecting"]


@contextmanager
def without_collecting() -> Iterator[None]:
    """Stop it: a large file is millions of objects, none of them garbage. Twice as fast without it."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def for_good() -> Iterator[None]:
    """Stop it while large packages are imported, and leave out for good what they hold: also when the process ends.

    A third of the time of `import torch` is the collector's (benchmarks/cold_start.py).
    """
    with without_collecting():
        yield
        gc.freeze()
