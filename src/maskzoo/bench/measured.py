"""What a benchmark found: each setting's figures, compared with the others and with the machine."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from maskzoo.bench.settings import Setting
from maskzoo.config import ModelConfig
from maskzoo.models.build import build
from maskzoo.models.cost import count_operations
from maskzoo.system.machine import BackendFacts

__all__ = ["HEADS", "BenchmarkRun", "Measured", "compare"]

HEADS = ("", "ratio", "median", "p95", "images/s", "memory", "of peak")


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

    @property
    def seconds(self) -> float:
        """The median for one image."""
        return self.median / self.setting.batch

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


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """What was measured: the `model`'s name, its `weights`, facts of the `machine`, `rows`, and backends that are `absent`."""

    model: str
    weights: str
    machine: Mapping[str, Any]
    rows: tuple[Measured, ...]
    absent: tuple[BackendFacts, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain values that `json.dumps` takes."""
        return asdict(self) | {"rows": [{"name": str(row.setting), **asdict(row)} for row in self.rows]}


def compare(results: Mapping[Setting, Sequence[Mapping[str, Any]]], config: ModelConfig) -> tuple[Measured, ...]:
    """Sum up what the processes of each setting returned; ratios are to the first that trains, or that predicts."""
    stages = next((run["stages"] for runs in results.values() for run in runs if "stages" in run), None)
    work = None
    if stages is not None:
        with torch.device("meta"):
            model = build(config.network, len(config.classes), config.limits)
        work = count_operations(model, tuple(stages["canvas"]), stages["proposals"], stages["detections"])
    rows = [_sum_up(setting, runs, work) for setting, runs in results.items()]
    first = {row.setting.trains: row for row in reversed(rows) if row.done}
    return tuple(replace(row, ratio=row.seconds / first[row.setting.trains].seconds) if row.done else row for row in rows)


def _sum_up(setting: Setting, runs: Sequence[Mapping[str, Any]], work: int | None) -> Measured:
    last = runs[-1]
    if "refused" in last or "failed" in last:
        return Measured(setting, refused=last.get("refused"), failed=last.get("failed"))
    times = [seconds for run in runs for seconds in run["times"]]
    median, peak = statistics.median(times), runs[0].get("peak")
    return Measured(
        setting,
        calls=len(times),
        median=median,
        p95=float(np.percentile(times, 95)),
        rate=len(times) * setting.batch / sum(times),
        first=statistics.median(run["first"] for run in runs),
        loading=statistics.median(run["loading"] for run in runs),
        memory=max((run["memory"] for run in runs if run["memory"] is not None), default=None),
        gpu_memory=max((run["gpu_memory"] for run in runs if "gpu_memory" in run), default=None),
        peak=peak,
        share=work * setting.batch / median / peak if work and peak and not setting.trains else None,
        stages=runs[0].get("stages", {}).get("seconds"),
    )
