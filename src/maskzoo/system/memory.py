"""What this process does with memory between predictions: freed memory is kept, and oneDNN's set-ups are bounded."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

__all__ = ["SWITCH", "bound_setups", "find_allocator", "keep_freed_memory"]

SWITCH = "MASKZOO_KEEP_MEMORY"  # 0 in the environment: the C library is never asked
# glibc's <malloc.h>
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
TOP_PAD_BYTES = 64 << 20
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
    mallopt = _find_mallopt()
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, (1 << 31) - 1), (M_TOP_PAD, TOP_PAD_BYTES))
    answers = [mallopt(option, value) for option, value in settings] if mallopt is not None else [0]
    return all(answer == 1 for answer in answers)


def _find_mallopt() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # TypeError: Windows needs a library's name
        return None
