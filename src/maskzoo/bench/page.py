"""What a benchmark found as one HTML page: bars of the time for an image, and where it goes."""

from __future__ import annotations

from maskzoo.bench.measured import HEADS, BenchmarkRun
from maskzoo.html import page_frame

__all__ = ["render_page"]

COLOURS = ("#8a8f98", "#3b6fb6", "#8fb4e3", "#d98a2b", "#c2452d", "#edc087", "#7b4fa3", "#3f9a6b", "#a9c94f")


def render_page(run: BenchmarkRun) -> str:
    """Return the page of a benchmark."""
    machine = run.machine
    done = [row for row in run.rows if row.done]
    staged = [row for row in done if row.stages]
    return page_frame.render_page(
        "bench/bench.html",
        title=run.model,
        where=", ".join([machine["model"], f"{machine['usable']} CPUs", f"torch {machine['torch']}", *machine["gpus"]]),
        weights=run.weights,
        heads=HEADS,
        done=done,
        longest=max((row.seconds for row in done), default=1.0),
        staged=staged,
        most=max((sum((row.stages or {}).values()) for row in staged), default=1.0),
        colours=dict(zip(staged[0].stages or {}, COLOURS, strict=True)) if staged else {},
        left_out=[
            *(f"{row.setting}: {row.refused or row.failed}" for row in run.rows if not row.done),
            *(f"{backend.name} is absent: {backend.remedy}" for backend in run.absent),
        ],
    )
