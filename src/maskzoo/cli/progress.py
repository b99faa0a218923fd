"""What is seen of a job while it works: a bar on a terminal; of a training run also lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from maskzoo.cli.terminal import open_stderr
from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.machine import read_peak_memory

__all__ = ["TrainingDisplay", "show_progress"]

SECONDS_BETWEEN_LINES = 30  # where standard error is not a terminal
SHORT = {"rpn_class": "rpn cls", "rpn_box": "rpn box", "box_class": "cls", "box_delta": "box", "mask": "mask"}
SMOOTHING = 0.05  # share of a step in the shown loss and speed
WIDE = 190  # columns that hold the five losses beside the bar


@contextmanager
def show_progress(rank: int = 0) -> Iterator[OnProgress]:
    """Show a job's events: a bar on a terminal, notes as lines of their own. Processes other than the first show nothing.

    On a narrow terminal the bar gives way, never the numbers.
    """
    console = open_stderr()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(min_width=4, max_width=20)),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, transient=True, disable=rank > 0 or not console.is_terminal) as progress:
        task = progress.add_task("", total=None, count="", rate="", visible=False)

        def show(event: ProgressEvent) -> None:
            if event.note:
                if not event.stage:  # the process ends, and the terminal stays
                    progress.stop()
                if rank == 0:
                    console.print(event.note, soft_wrap=True)
                if not event.done and not event.total:
                    return
            if progress.tasks[0].description.partition(",")[0] != event.stage.partition(",")[0]:
                progress.reset(task, completed=event.done)  # the time that is left is another's
            progress.tasks[0].total = event.total  # update() takes None for no change; before it, or all may look done
            count, rate = _format_numbers(event)
            progress.update(task, description=event.stage, completed=event.done, count=count, rate=rate, visible=True)

        yield show


def _format_numbers(event: ProgressEvent) -> tuple[str, str]:
    """How far, and how fast; bytes in millions."""
    million, unit = (1e6, "MB") if event.unit == "bytes" else (1, event.unit)
    numbers = [f"{number / million:.0f}" for number in (event.done, event.total) if number is not None]
    count = "/".join(numbers) + (" MB" if unit == "MB" else "")
    return count if event.done or event.total else "", f"{event.rate / million:.1f} {unit}/s" if event.rate else ""


class TrainingDisplay:
    """Adds to the steps of a run what its rows say: a short form beside the bar, all of it on a line every 30 seconds."""

    def __init__(self, show: OnProgress) -> None:
        self.show, self.console = show, open_stderr()
        self.smooth: dict[str, float] = {}
        self.lr = self.printed = 0.0

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in one row of the run; what follows is the event of its step."""
        for key in ("loss", *SHORT, "images_per_second"):
            if key in row:
                before = self.smooth.get(key, row[key])
                self.smooth[key] = before + SMOOTHING * (row[key] - before)
        self.lr = row.get("lr", self.lr)

    def tell(self, event: ProgressEvent) -> None:
        """Show an event."""
        if event.unit != "steps" or not self.smooth:
            self.show(event)
            return
        short = f"{event.stage}, loss {self.smooth.get('loss', 0):.3f}, lr {self.lr:.2g}"
        terms = ", ".join(f"{name} {self.smooth[key]:.3f}" for key, name in SHORT.items() if key in self.smooth)
        whole = f"{short}, {terms}, {self.smooth['images_per_second']:.2f} images/s, {_measure_memory():.1f} GB"
        self.show(replace(event, stage=whole if self.console.width >= WIDE else short))
        now = time.monotonic()
        if not self.console.is_terminal and now - self.printed >= SECONDS_BETWEEN_LINES:
            self.printed = now
            self.show(ProgressEvent("Training", note=f"{event.done}/{event.total} {whole}"))


def _measure_memory() -> float:
    """Peak memory in GB: of the GPU where one is used, else of the process."""
    import torch

    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return (gpu or read_peak_memory() or 0) / 1e9
