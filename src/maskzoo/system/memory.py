"""What this process does with memory between predictions: freed memory is kept, and oneDNN's set-ups are bounded."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["SWITCH", "KeptMemory", "bound_setups", "find_allocator", "keep_freed_memory"]

SWITCH = "MASKZOO_KEEP_MEMORY"  # 0 in the environment: the C library is never asked
# glibc's <malloc.h>
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -3, -4, -8
TOP_PAD_BYTES = 64 << 20
SPARE = 1.2  # of what images take: kept memory that grows beyond goes back
LARGE_BYTES = 16 << 20  # a block of more than this is not kept for images of changing sizes
MOST_LARGE = 65536  # blocks, glibc's own bound
SETUPS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"  # oneDNN reads it when it first computes
MOST_SETUPS = 256  # two canvases of R50-FPN and more; oneDNN's own 1,024 hold a gigabyte


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed memory for the next call.

    Feature maps of tens of megabytes go back to the kernel between layers otherwise, and come back page by page: 13 to
    21 % of a float32 inference on a CPU. It holds for the whole process, which is why it is yours to call: the memory of
    the largest image stays with the process. It is asked once, and never where MASKZOO_KEEP_MEMORY is 0.

    Returns:
        Whether it agreed: glibc on Linux only.
    """
    return os.environ.get(SWITCH) != "0" and find_allocator() == "glibc" and _ask()


class KeptMemory:
    """Bounds what a long job keeps: images of changing sizes leave holes in the heap, and it grows from image to image.

    Nothing happens unless `keep_freed_memory` agreed. The largest blocks, which leave the largest holes, go back as soon as
    they are free, from here on: 2 % of an image's time. The rest is given back after the first image, which has set the
    network up: what is there then is needed between images as well. From then on it is done again once `SPARE` times what
    images take from there on is kept. Giving all back costs the next image a twentieth of its time. `workers`: images under
    way at once.
    """

    def __init__(self, workers: int = 1) -> None:
        if _ask.cache_info().currsize:
            _set({M_MMAP_THRESHOLD: LARGE_BYTES, M_MMAP_MAX: MOST_LARGE})
        self.workers, self.images = workers, 0  # since memory was given back
        self.least: int | None = None  # that is in memory after that
        self.taken = 0  # beyond it by images, in the most that was seen

    def bound(self) -> bool:
        """Call this after each image; returns whether memory was given back."""
        if not _ask.cache_info().currsize:
            return False
        self.images += 1
        if self.least is not None:
            kept = _measure_resident() - self.least
            if self.images <= self.workers:
                self.taken = max(self.taken, kept)
            if kept <= SPARE * self.taken:
                return False
        ctypes.CDLL(None).malloc_trim(0)
        after = _measure_resident()
        self.least, self.images = after if self.least is None else min(self.least, after), 0
        return True


def bound_setups() -> int | None:
    """Let oneDNN keep at most MOST_SETUPS set-ups of convolutions; returns the bound, None where it was turned off.

    It makes one for every shape that it meets, up to a megabyte each, and photos of changing sizes make many. It holds for
    the whole process, from its first convolution on. A value of your own in the environment stands, and
    MASKZOO_KEEP_MEMORY=0 leaves it alone.
    """
    if SETUPS not in os.environ and os.environ.get(SWITCH) != "0":
        os.environ[SETUPS] = str(MOST_SETUPS)
    value = os.environ.get(SETUPS, "")
    return int(value) if value.isdecimal() else None


def find_allocator() -> str:
    """Return who hands out this process's memory: glibc, jemalloc, tcmalloc or mimalloc, or the system's library."""
    preloaded = os.environ.get("LD_PRELOAD", "")
    for name in ("jemalloc", "tcmalloc", "mimalloc"):
        if name in preloaded:
            return name
    return "glibc" if sys.platform == "linux" and _find_mallopt() is not None else "the system's C library"


@cache
def _ask() -> bool:
    # One heap for all threads: those of other threads are in pieces of 64 MB, and each goes back as soon as it is empty.
    return _set({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: (1 << 31) - 1, M_TOP_PAD: TOP_PAD_BYTES, M_ARENA_MAX: 1})


def _set(settings: Mapping[int, int]) -> bool:
    """Set some of malloc's switches; returns whether it took them all."""
    mallopt = _find_mallopt()
    return mallopt is not None and all([mallopt(option, value) == 1 for option, value in settings.items()])  # noqa: C419 - each is set


def _measure_resident() -> int:
    """The bytes of this process that are in memory; 0 where the system does not say it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _find_mallopt() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # TypeError: Windows needs a library's name
        return None
