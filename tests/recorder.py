"""Runs Python as its user would, far from pytest, and records each attempt to reach an address, its children's too.

`network_recorder` sees what Python does, strace, where it works, also what libraries do by themselves.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import maskzoo

HOOK = Path(__file__).parent / "network_recorder"
SOURCE = Path(maskzoo.__file__).parent.parent
# Nothing else of the environment: what reports its use keeps quiet where it sees CI or a test.
KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP")
TRACE = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "signal=none", "-e", "trace=connect,bind,sendto,sendmsg,sendmmsg"]
INSIDE = re.compile(r'bind\(.*"(127\.0\.0\.1|::1)"')  # as in the hook


@dataclass(frozen=True)
class Recording:
    """How a command ended, what it said, whom it tried to reach, and the files that it left in its user's home."""

    code: int
    said: str
    attempts: list[str]
    left: list[Path]


@cache
def can_trace() -> bool:
    """Whether strace is there and may trace."""
    probe = [*TRACE, "-o", os.devnull, sys.executable, "-c", ""]
    if shutil.which("strace") is None:
        return False
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def record(folder: Path, *arguments: object, asked: str = "", **environment: str) -> Recording:
    """Run Python in `folder` with an empty home in it; attempts to reach `asked`, host:port, are recorded but let through."""
    home, log, trace = (folder / "recorded" / name for name in ("home", "log", "trace"))
    shutil.rmtree(home.parent, ignore_errors=True)
    home.mkdir(parents=True)
    command = [*((*TRACE, "-o", trace) if can_trace() else ()), sys.executable, *arguments]
    variables = {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "LOCALAPPDATA": str(home),
        "MASKZOO_HOME": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join((str(HOOK), str(SOURCE))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NETWORK_LOG": str(log),
        "NETWORK_ASKED": asked,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder, env=variables | environment, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    attempts = log.read_text().splitlines() if log.exists() else []
    if trace.exists():
        lines = trace.read_text().splitlines()
        attempts += [line for line in lines if "sa_family=AF_INET" in line and not INSIDE.search(line)]
    left = [path for path in home.rglob("*") if path.is_file()]
    return Recording(done.returncode, done.stdout + done.stderr, attempts, left)
