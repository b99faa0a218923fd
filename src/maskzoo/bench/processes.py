"""Measuring in processes of their own, which take turns, A B A B: what `maskzoo bench` and `benchmarks/` share.

A process of its own has its own memory, threads and allocator. Taking turns makes whatever else the machine does affect all
contenders alike, so that their ratio holds where bare times do not.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from maskzoo.errors import BenchmarkError
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import make_folder, write_file
from maskzoo.system.machine import INSTRUCTIONS, inspect_processor

__all__ = ["describe_machine", "median_of", "run_process", "take_turns", "write_result"]

LAST_WORDS = 2000  # characters of a failed process's standard error

Contender = TypeVar("Contender")
Result = TypeVar("Result")


def run_process(
    command: Sequence[object],
    job: Mapping[str, Any] | None = None,
    *,
    threads: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a program that measures, and return the last JSON object that it printed on a line of its own.

    Args:
        command: the program and its arguments.
        job: what it reads from standard input, as JSON.
        threads: how many its libraries may use; None leaves that to them.
        environment: variables set over those of this process.

    Raises:
        BenchmarkError: it failed, or printed no such line; with the end of what it wrote to standard error.
    """
    counts = {} if threads is None else dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    done = subprocess.run(
        [str(part) for part in command],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **counts, **(environment or {})},
    )
    answer = next((line for line in reversed(done.stdout.splitlines()) if line.startswith("{")), None)
    if done.returncode == 0 and answer is not None:
        result: dict[str, Any] = json.loads(answer)
        return result
    code = done.returncode
    end = f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
    said = done.stderr.strip()[-LAST_WORDS:]
    raise BenchmarkError(
        f"its process {end}" + (f": {said}" if said else " and printed nothing; it may have run out of memory")
    )


def take_turns(
    contenders: Collection[Contender],
    rounds: int,
    measure: Callable[[Contender], Result],
    on_progress: OnProgress = say_nothing,
) -> dict[Contender, list[Result]]:
    """Measure every contender once in each round, and return the results of each. An event precedes every measurement."""
    runs: dict[Contender, list[Result]] = {contender: [] for contender in contenders}
    for number in range(rounds):
        for contender, results in runs.items():
            on_progress(ProgressEvent(str(contender), number + 1, rounds, "rounds"))
            results.append(measure(contender))
    return runs


def median_of(runs: Sequence[Mapping[str, Any]], key: str, digits: int | None = None) -> float:
    """Return the median of one figure over all runs, rounded; to a whole number without `digits`."""
    median: float = round(statistics.median(run[key] for run in runs), digits)
    return median


def describe_machine() -> dict[str, Any]:
    """Return the processor in words, its cores, and those of its instructions that decide which types are fast."""
    processor = inspect_processor()
    extensions = [flag for flag, name in INSTRUCTIONS.items() if name in processor.instructions]
    return {"processor": processor.model, "cores": os.cpu_count(), "extensions": extensions}


def write_result(path: Path, result: Any) -> None:
    """Write a result as JSON, and make its folder. Raises MaskzooError if that cannot be."""
    make_folder(path.parent)
    write_file(path, json.dumps(result, indent=1, allow_nan=False).encode("ascii") + b"\n")
