"""What is seen of a job while it works: a bar on a terminal; of a training run also lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rich.progress import BarColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from maskzoo.cli.terminal import open_stderr
from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.machine import read_peak_memory

__all__ = ["TrainingDisplay", "show_progress"]

SECONDS_BETWEEN_LINES = 30  # where standard error is not a terminal
SHORT = {"rpn_class": "rpn cls", "rpn_box": "rpn box", "box_class": "cls", "box_delta": "box", "mask": "mask"}
SMOOTHING = 0.05  # share of a step in the shown loss
RECENT = 100  # steps whose time says how long the others take
BESIDE = 45  # columns that bar, count, time and the gaps between them want
BAR = 4  # columns of it, at least
NARROW = 60  # columns of a terminal that has no room for a bar
CLOCK = 8  # columns of the time that is left, where rich reckons it


@contextmanager
def show_progress(rank: int = 0) -> Iterator[OnProgress]:
    """Show a job's events: a bar on a terminal, notes as lines of their own. Processes other than the first show nothing.

    On a narrow terminal the bar gives way, never the numbers.
    """
    console = open_stderr()
    bar = BarColumn(bar_width=None, table_column=Column(min_width=BAR, max_width=20))
    columns = (
        TextColumn("{task.description}"),
        *([bar] if console.width >= NARROW else []),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[rate]}"),
        _TimeLeft(compact=True, table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, transient=True, disable=rank > 0 or not console.is_terminal) as progress:
        kind = ""
        task = progress.add_task("", total=None, count="", rate="", left="", visible=False)

        def show(event: ProgressEvent) -> None:
            nonlocal kind
            if event.note:
                if not event.stage:  # the process ends, and the terminal stays
                    progress.stop()
                if rank == 0:
                    console.print(event.note, soft_wrap=True)
                if not event.done and not event.total:
                    return
            if kind != (kind := _name_kind(event)):
                progress.reset(task, completed=event.done)  # the time that is left is another's
            progress.tasks[0].total = event.total  # update() takes None for no change; before it, or all may look done
            count, rate = _format_numbers(event)
            left = _format_time_left(event)
            beside = [count, rate, left or " " * CLOCK, *([" " * BAR] if console.width >= NARROW else [])]
            stage = _shorten(event.stage, console.width - sum(len(text) + 1 for text in beside))
            progress.update(task, description=stage, completed=event.done, count=count, rate=rate, left=left, visible=True)

        yield show


def _shorten(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 0)] + "\N{HORIZONTAL ELLIPSIS}"


def _name_kind(event: ProgressEvent) -> str:
    """What is being done, whatever else the stage says."""
    return event.unit if event.unit == "steps" else event.stage.partition(",")[0]


class _TimeLeft(TimeRemainingColumn):
    """The time that is left by the job's own rate where it has one, which steps longer than rich's memory have too."""

    def render(self, task: Task) -> Text:
        left = task.fields["left"]
        return Text(left, style="progress.remaining") if left else super().render(task)


def _format_time_left(event: ProgressEvent) -> str:
    """As 0:12:34; "" where it cannot be told."""
    known = event.rate > 0 and event.total is not None
    return str(timedelta(seconds=round((event.total - event.done) / event.rate))) if known and event.total else ""


def _format_numbers(event: ProgressEvent) -> tuple[str, str]:
    """How far, and how fast; bytes in millions. The speed of steps is told in images, by the stage."""
    million, unit = (1e6, "MB") if event.unit == "bytes" else (1, event.unit)
    numbers = [f"{number / million:.0f}" for number in (event.done, event.total) if number is not None]
    count = "/".join(numbers) + (" MB" if unit == "MB" else "")
    return (
        count if event.done or event.total else "",
        f"{event.rate / million:.1f} {unit}/s" if event.rate and unit != "steps" else "",
    )


class TrainingDisplay:
    """Adds to the steps of a run what its rows say: as much as fits beside the bar, all of it on a line every 30 seconds."""

    def __init__(self, show: OnProgress) -> None:
        self.show, self.console = show, open_stderr()
        self.smooth: dict[str, float] = {}
        self.row: Mapping[str, Any] = {}
        self.printed = 0.0
        self.times: deque[float] = deque(maxlen=RECENT)  # seconds from a step to the next, waiting for images included
        self.before: tuple[int, float] | None = None  # the last step, and when it was; None: something else came between

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in one row of the run; what follows is the event of its step."""
        for key in ("loss", *SHORT):
            if key in row:
                before = self.smooth.get(key, row[key])
                self.smooth[key] = before + SMOOTHING * (row[key] - before)
        self.row = row if row["kind"] == "step" else self.row

    def tell(self, event: ProgressEvent) -> None:
        """Show an event."""
        if event.unit != "steps" or not (self.row and event.rate):
            self.before = (event.done, time.monotonic()) if event.unit == "steps" else None if event.done else self.before
            self.show(event)
            return
        images = self.row["images_per_second"] / event.rate  # of a step
        event = replace(event, rate=self._measure_rate(event))
        loss = f"{event.stage}, loss {self.smooth['loss']:.3f}" if self.smooth else event.stage
        speed, rate = f"{images * event.rate:.2f} images/s", f"lr {self.row['lr']:.2g}"
        terms = ", ".join(f"{name} {self.smooth[key]:.3f}" for key, name in SHORT.items() if key in self.smooth)
        whole = ", ".join(filter(None, [loss, rate, terms, speed, f"{_measure_memory():.1f} GB"]))
        forms = [whole, f"{loss}, {rate}, {speed}", f"{loss}, {speed}", f"{loss}, {speed}".removeprefix("Training, ")]
        if self.console.width < NARROW + BAR:
            forms.append(loss.rpartition(", ")[2])
        room = self.console.width - BESIDE
        self.show(replace(event, stage=next((form for form in forms if len(form) <= room), forms[-1])))
        now = time.monotonic()
        bare = not self.console.is_terminal or self.console.is_dumb_terminal  # which gets no bar
        if bare and now - self.printed >= SECONDS_BETWEEN_LINES:
            self.printed = now
            self.show(ProgressEvent("Training", note=f"{event.done}/{event.total} {whole}, {_format_time_left(event)} left"))

    def _measure_rate(self, event: ProgressEvent) -> float:
        """Steps a second by the clock; at first what the step says of itself."""
        now = time.monotonic()
        if self.before is not None and event.done > self.before[0]:
            self.times.append((now - self.before[1]) / (event.done - self.before[0]))
        self.before = event.done, now
        return len(self.times) / sum(self.times) if sum(self.times) else event.rate


def _measure_memory() -> float:
    """Peak memory in GB: of the GPU where one is used, else of the process."""
    import torch

    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return (gpu or read_peak_memory() or 0) / 1e9
