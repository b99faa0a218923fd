"""What `maskzoo bench` measured as one HTML page: bars of the time for an image, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskzoo.bench.runner import HEADS, Measured
from maskzoo.html import page_frame

__all__ = ["render_page"]

COLOURS = ("#8a8f98", "#3b6fb6", "#8fb4e3", "#d98a2b", "#c2452d", "#edc087", "#7b4fa3", "#3f9a6b", "#a9c94f")


def render_page(result: Mapping[str, Any], rows: Sequence[Measured]) -> str:
    """Return the page of a bench result (what bench.json holds) and its rows."""
    machine = result["machine"]
    where = f"{machine['model']}, {machine['usable']} CPUs, torch {machine['torch']}"
    done = [row for row in rows if row.done]
    longest = max((row.median / row.setting.batch for row in done), default=1.0)
    staged = [(str(row.setting), row.stages) for row in done if row.stages]
    most = max((sum(stages.values()) for _, stages in staged), default=1.0)
    return page_frame.render_page(
        "bench/bench.html",
        title=result["model"],
        where=", ".join([where, *machine["gpus"]]),
        weights=result["weights"],
        heads=HEADS,
        rows=[row.cells() for row in done],
        bars=[
            {"name": str(row.setting), "time": f"{seconds * 1000:,.0f} ms", "share": 100 * seconds / longest}
            for row, seconds in ((row, row.median / row.setting.batch) for row in done)
        ],
        key=list(zip(staged[0][1], COLOURS, strict=True)) if staged else [],
        stages=[
            {
                "name": name,
                "pieces": [
                    {"title": f"{stage}: {seconds * 1000:,.0f} ms", "share": 100 * seconds / most, "colour": colour}
                    for (stage, seconds), colour in zip(stages.items(), COLOURS, strict=True)
                ],
            }
            for name, stages in staged
        ],
        left_out=[
            *(f"{row.setting}: {row.refused or row.failed}" for row in rows if not row.done),
            *(f"{backend['name']} is absent: {backend['remedy']}" for backend in result["absent"]),
        ],
    )
