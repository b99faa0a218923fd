"""How the threads of OpenMP wait for each other: by sleeping soon, because a machine may have other work to do.

torch divides a layer among threads, and at its end the first to finish wait for the last. libgomp's spin meanwhile, for
milliseconds at each of hundreds of barriers; where another program has the last one's core, they take the time that it
waits for. `benchmarks/busy.py` measures both.
"""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from functools import cache

__all__ = ["Waiting", "choose_waiting", "release_team"]

OWN = {"GOMP_SPINCOUNT": "20000"}  # libgomp's, torch's on Linux; libomp and libiomp5 (macOS, Windows) keep their own waiting
OMP_PAUSE_SOFT = 1  # what was set for the thread stays
SWITCHES = ("OMP_WAIT_POLICY", *OWN, "KMP_BLOCKTIME", "KMP_LIBRARY")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the environment says about it, as `NAME=value`; whether it is maskzoo's `own`, and came too `late` for torch."""

    settings: tuple[str, ...]
    own: bool
    late: bool


@cache
def choose_waiting() -> Waiting:
    """Let threads sleep soon while they wait, in this process and in those that it starts, unless you decided otherwise.

    Any of SWITCHES in the environment stands as it is. OpenMP reads them once, when torch loads it: `import maskzoo`
    calls this, and each later call returns what was found then.
    """
    given = {name: os.environ[name] for name in SWITCHES if name in os.environ}
    if not given:
        os.environ.update(OWN)
    settings = tuple(f"{name}={value}" for name, value in (given or OWN).items())
    return Waiting(settings, own=given in ({}, OWN), late=not given and "torch" in sys.modules)


def release_team() -> bool:
    """End the OpenMP threads that compute for the calling thread; its next computation starts others.

    While a process has more of them than cores, idle ones included, libgomp's go to sleep at once at each barrier, which
    costs a network a third of its time on two cores: one thread computes, the others do not keep theirs.

    Returns:
        Whether there was an OpenMP that could be asked (version 5.0, which libgomp is).
    """
    try:
        return bool(ctypes.CDLL(None).omp_pause_resource_all(OMP_PAUSE_SOFT) == 0)
    except (OSError, AttributeError, TypeError):  # another OpenMP; TypeError: Windows needs a library's name
        return False
