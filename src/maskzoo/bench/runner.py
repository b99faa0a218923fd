"""Running all settings in turn, A B C A B C, so that a machine's moods fall on all of them alike, and summing up."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maskzoo.bench.settings import Setting
from maskzoo.config import ModelConfig
from maskzoo.models.build import build
from maskzoo.models.cost import count_operations

__all__ = ["HEADS", "Measured", "Plan", "run_settings", "to_dict"]

LAST_WORDS = 2000  # characters of a failed process's standard error

HEADS = ("", "ratio", "median", "p95", "images/s", "memory", "of peak")


@dataclass(frozen=True, slots=True)
class Plan:
    """What all settings share: the `model` as `maskzoo.load` takes it, its images, seconds for a setting, rounds."""

    model: str
    weights: Path | None
    overrides: Sequence[str]
    images: Sequence[Path]
    device: str
    seconds: float
    rounds: int
    home: Path | None = None  # where files are kept that only this measurement wants


@dataclass(frozen=True, slots=True)
class Measured:
    """A setting's figures: seconds of a call, images a second, bytes; or why it was `refused` or how it `failed`.

    `share` is of the machine's measured peak of this dtype, `ratio` of the first setting's time for an image.
    """

    setting: Setting
    refused: str | None = None
    failed: str | None = None
    calls: int = 0
    median: float = 0.0
    p95: float = 0.0
    rate: float = 0.0
    ratio: float | None = None
    first: float = 0.0
    loading: float = 0.0
    memory: int | None = None
    gpu_memory: int | None = None
    peak: float | None = None
    share: float | None = None
    stages: dict[str, float] | None = None

    @property
    def done(self) -> bool:
        return self.refused is None and self.failed is None

    def cells(self) -> list[str]:
        """Return the row of a table whose columns are `HEADS`."""
        memory = self.memory if self.gpu_memory is None else self.gpu_memory
        return [
            str(self.setting),
            f"{self.ratio:.2f}",
            f"{self.median * 1000:,.0f} ms",
            f"{self.p95 * 1000:,.0f} ms",
            f"{self.rate:.2f}",
            "-" if memory is None else f"{memory / 1e6:,.0f} MB",
            "-" if self.share is None else f"{self.share:.0%}",
        ]


def run_settings(
    settings: Sequence[Setting], plan: Plan, config: ModelConfig, folder: Path, report: Callable[[Setting, int], None]
) -> list[Measured]:
    """Measure every setting `plan.rounds` times in processes of their own. `report` is told before each.

    What is refused or fails in one round is not run again. `folder` takes the processes' results.
    """
    results: dict[Setting, list[dict[str, Any]]] = {setting: [] for setting in settings}
    for number in range(plan.rounds):
        for setting in settings:
            done = results[setting]
            if not any("refused" in one or "failed" in one for one in done):
                report(setting, number)
                done.append(_run_worker(setting, plan, folder, details=number == 0))
    return _compare(results, config)


def to_dict(measured: Measured) -> dict[str, Any]:
    """Return a row of the JSON."""
    return {"name": str(measured.setting), **asdict(measured)}


def _run_worker(setting: Setting, plan: Plan, folder: Path, *, details: bool) -> dict[str, Any]:
    file = folder / "result.json"
    file.unlink(missing_ok=True)
    job = {
        **asdict(setting),
        "model": plan.model,
        "weights": None if plan.weights is None else str(plan.weights),
        "overrides": list(plan.overrides),
        "images": [str(image) for image in plan.images],
        "device": plan.device,
        "seconds": plan.seconds / plan.rounds,
        "details": details,
        "result": str(file),
    }
    environment = os.environ | {"OMP_NUM_THREADS": str(setting.threads), "MKL_NUM_THREADS": str(setting.threads)}
    if plan.home is not None:
        environment["MASKZOO_HOME"] = str(plan.home)
    done = subprocess.run(
        [sys.executable, "-m", "maskzoo.bench.worker"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode != 0 or not file.is_file():
        words = done.stderr.strip()[-LAST_WORDS:]
        return {"failed": f"its process ended with {done.returncode}: {words or 'without a word, perhaps for want of memory'}"}
    result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return result


def _compare(results: dict[Setting, list[dict[str, Any]]], config: ModelConfig) -> list[Measured]:
    stages = next((run["stages"] for runs in results.values() for run in runs if "stages" in run), None)
    work = None
    if stages is not None:
        canvas = (stages["canvas"][0], stages["canvas"][1])
        with torch.device("meta"):
            model = build(config.network, len(config.classes), config.limits)
        work = count_operations(model, canvas, stages["proposals"], stages["detections"])
    rows = [_sum_up(setting, runs, work) for setting, runs in results.items()]
    return [_relate(row, rows) for row in rows]


def _sum_up(setting: Setting, runs: list[dict[str, Any]], work: int | None) -> Measured:
    last = runs[-1]
    if "refused" in last or "failed" in last:
        return Measured(setting, refused=last.get("refused"), failed=last.get("failed"))
    times = [seconds for run in runs for seconds in run["times"]]
    rate = len(times) * setting.batch / sum(times)
    peak = runs[0].get("peak")
    counted = work is not None and peak is not None and setting.backend != "training"
    return Measured(
        setting,
        calls=len(times),
        median=statistics.median(times),
        p95=float(np.percentile(times, 95)),
        rate=rate,
        first=statistics.median(run["first"] for run in runs),
        loading=statistics.median(run["loading"] for run in runs),
        memory=max((run["memory"] for run in runs if run["memory"] is not None), default=None),
        gpu_memory=max((run["gpu_memory"] for run in runs if "gpu_memory" in run), default=None),
        peak=peak,
        share=work * setting.batch / statistics.median(times) / peak if counted and work and peak else None,
        stages=runs[0].get("stages", {}).get("seconds"),
    )


def _relate(row: Measured, rows: Sequence[Measured]) -> Measured:
    """Add the ratio to the first row that ran, of those that train or of those that predict."""
    if not row.done:
        return row
    training = row.setting.backend == "training"
    first = next(one for one in rows if one.done and (one.setting.backend == "training") == training)
    return replace(row, ratio=row.median / row.setting.batch / (first.median / first.setting.batch))
