"""The numbers of an evaluation as tables on a terminal, in percent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from maskzoo.data.annotations import AnnotationSet
    from maskzoo.evaluation.metrics import Evaluation, Metrics

__all__ = ["tabulate_classes", "tabulate_metrics"]


def _start_table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    return table


def tabulate_metrics(kinds: dict[str, Metrics]) -> Table:
    """AP by IoU and area, AR by number of detections and area, in percent."""
    from maskzoo.evaluation.metrics import NAMES

    table = _start_table("percent", *kinds)
    for place, name in enumerate(NAMES):
        table.add_row(name.replace("_", " "), *(_format(metrics.values[place]) for metrics in kinds.values()))
    return table


def tabulate_classes(annotations: AnnotationSet, evaluation: Evaluation, kinds: dict[str, Metrics]) -> Table:
    columns = [f"{kind} {name}" for kind in kinds for name in ("AP", "AP50")]
    table = _start_table("class", "objects", *columns)
    for label, name in enumerate(annotations.classes.names):
        if not evaluation.objects[label]:
            continue
        numbers = [metrics.classes[label] for metrics in kinds.values()]
        cells = [_format(value) for row in numbers for value in (row.ap, row.ap50)]
        table.add_row(name, str(evaluation.objects[label]), *cells)
    return table


def _format(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
