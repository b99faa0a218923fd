"""Processes of `maskzoo` that start at once: a server that has imported it forks them, clean of all that pytest runs."""

import contextlib
import ctypes
import itertools
import multiprocessing
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["maskzoo.cli", "maskzoo.training.run", "maskzoo.exporting.onnx", "onnxscript"])


def _leave_little_memory():
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20),) * 2)


def _disturb_clock():
    turn, tell = itertools.count(), time.time
    time.time = lambda: tell() + (-1) ** next(turn) * 86400


def _close_shared_memory():
    if ctypes.CDLL(None).unshare(0x20000) == 0:  # CLONE_NEWNS: mounts of its own
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=4k", "none", "/dev/shm"], check=True)


MACHINES = {
    "512 MB of memory left": _leave_little_memory,
    "a clock that jumps by a day": _disturb_clock,
    "no /dev/shm": _close_shared_memory,
}


def _run(words, log, environment, machine):
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for handle in (1, 2):
        os.dup2(output, handle)
    for name, value in (environment | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}).items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    import torch

    from maskzoo.cli import main

    torch.set_num_threads(1)
    MACHINES.get(machine, int)()
    main([str(word) for word in words])


def start_verb(log: Path, *words: object, machine: str = "", **environment: str | None) -> multiprocessing.Process:
    """Start `maskzoo WORDS`, on one of `MACHINES` if it is named; what it says is added to the file `log`."""
    environment = {"MASKZOO_HOME": os.environ.get("MASKZOO_HOME"), "MASKZOO_OFFLINE": "1"} | environment
    process = _context.Process(target=_run, args=(words, log, environment, machine))
    process.start()
    return process


def start_ranks(log: Path, count: int, *words: object) -> list[multiprocessing.Process]:
    """Start `maskzoo WORDS` in so many processes that share the job, as torchrun would."""
    if count == 1:
        return [start_verb(log, *words)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    return [start_verb(log, *words, RANK=str(rank), LOCAL_RANK=str(rank), **common) for rank in range(count)]


def wait(processes: list[multiprocessing.Process], seconds: float) -> bool:
    """Wait so long for all to end, and say whether they have."""
    end = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    return all(process.exitcode is not None for process in processes)


def send(processes: list[multiprocessing.Process], number: signal.Signals) -> None:
    """Send all that live a signal."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            if process.exitcode is None:
                os.kill(process.pid, number)


def end_all(processes: list[multiprocessing.Process]) -> None:
    send(processes, signal.SIGKILL)
    for process in processes:
        process.join()


def find_children(parent: int) -> list[int]:
    """The processes that a process has started, by number. Linux."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            state, above = stat.read_text().rpartition(")")[2].split()[:2]
            if int(above) == parent and state not in "ZX":
                found.append(int(stat.parent.name))
    return sorted(found)
