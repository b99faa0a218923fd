"""What a person and what a script gets to see: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from maskzoo.faults import make_printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskzoo.datasets.annotations import AnnotationSet
    from maskzoo.evaluation.common_classes import LeftOut
    from maskzoo.evaluation.metrics import Evaluation, Metrics

__all__ = ["open_stderr", "open_stdout", "print_error", "print_json", "start_table", "tabulate_classes", "tabulate_metrics"]


LEAST_WIDTH = 80  # of what is printed: a narrower terminal wraps whole lines, where a table would cut its numbers
PIPE_WIDTH = 120  # a file or a pipe has no width: room enough for every column of every table


def open_stdout() -> Console:
    """Return the console of the results. Colours only on a terminal, none where NO_COLOR is set."""
    console = _open(sys.stdout.isatty(), stderr=False)
    console.width = max(console.width, LEAST_WIDTH)
    return console


def open_stderr() -> Console:
    """Return the console of progress and complaints."""
    return _open(sys.stderr.isatty(), stderr=True)


def _open(terminal: bool, stderr: bool) -> Console:
    told = os.environ.get("COLUMNS")
    width = None if (terminal or told is not None) and told != "0" else PIPE_WIDTH  # 0: a terminal that does not know
    return _Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


class _Console(Console):
    """Shows a terminal no control character of any text: names and messages come from files that are not trusted."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(_clean(text), **options)

    def render(self, renderable: Any, options: Any = None) -> Any:
        return super().render(_clean_text(renderable) if isinstance(renderable, Text) else renderable, options)


def _clean(text: str) -> str:
    return "\n".join(make_printable(line) for line in text.split("\n"))


def _clean_text(text: Text) -> Text:
    if _clean(text.plain) == text.plain:
        return text
    return Text(_clean(text.plain), style=text.style, justify=text.justify, overflow=text.overflow, no_wrap=text.no_wrap)


def print_error(error: Exception) -> None:
    """Print one block; long lines are left to the terminal to wrap, so that a path can be copied."""
    open_stderr().print(Text.assemble(("Error: ", "bold red"), _clean(str(error))), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one line of ASCII JSON; a number that is not finite would be no JSON and raises ValueError."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")


def start_table(*columns: str) -> Table:
    """Return an empty table: the first column left, the others, numbers, right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    return table


def tabulate_metrics(kinds: dict[str, Metrics]) -> Table:
    """AP by IoU and area, AR by number of detections and area, in percent."""
    from maskzoo.evaluation.metrics import NAMES

    table = start_table("percent", *kinds)
    for place, name in enumerate(NAMES):
        table.add_row(name.replace("_", " "), *(_format(metrics.values[place]) for metrics in kinds.values()))
    return table


def tabulate_classes(annotations: AnnotationSet, evaluation: Evaluation, left_out: Sequence[LeftOut] = ()) -> Table:
    """AP of each class that has objects, in percent; then the classes that do not count."""
    kinds = evaluation.kinds
    columns = [f"{kind} {name}" for kind in kinds for name in ("AP", "AP50")]
    table = start_table("class", "objects", *columns)
    for label, name in enumerate(annotations.classes.names):
        if not evaluation.objects[label]:
            continue
        numbers = [metrics.classes[label] for metrics in kinds.values()]
        cells = [_format(value) for row in numbers for value in (row.ap, row.ap50)]
        table.add_row(name, str(evaluation.objects[label]), *cells)
    for one in left_out:
        table.add_row(one.name, str(one.objects), *["left out"] * len(columns))
    return table


def _format(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
