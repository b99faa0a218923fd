"""What is seen of a job while it works: a bar on a terminal; of a training run also lines elsewhere, and TensorBoard."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from maskzoo.cli.terminal import open_stderr
from maskzoo.errors import TrainingError
from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.files import explained

if TYPE_CHECKING:
    from maskzoo.training.run_folder import Plan

__all__ = ["Display", "TensorBoard", "show_progress"]

SECONDS_BETWEEN_LINES = 30  # where standard error is no terminal
SHORT = {"rpn_class": "rpn cls", "rpn_box": "rpn box", "box_class": "cls", "box_delta": "box", "mask": "mask"}
SMOOTHING = 0.05  # share of a step in the shown loss and speed


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
                if rank == 0:
                    console.print(event.note, soft_wrap=True)
                if not event.done and not event.total:
                    return
            if progress.tasks[0].description != event.stage:
                progress.reset(task)  # the time that is left is another's
            count, rate = _format_numbers(event)
            progress.update(task, description=event.stage, completed=event.done, count=count, rate=rate, visible=True)
            progress.tasks[0].total = event.total  # update() takes None for no change

        yield show


def _format_numbers(event: ProgressEvent) -> tuple[str, str]:
    """How far, and how fast; bytes in millions."""
    million, unit = (1e6, "MB") if event.unit == "bytes" else (1, event.unit)
    numbers = [f"{number / million:.0f}" for number in (event.done, event.total) if number is not None]
    count = "/".join(numbers) + (" MB" if unit == "MB" else "")
    return count if event.done or event.total else "", f"{event.rate / million:.1f} {unit}/s" if event.rate else ""


class Display:
    """Shows the rows of a run on standard error; a process other than the first shows its notes only."""

    def __init__(self, plan: Plan, rank: int) -> None:
        self.plan, self.rank = plan, rank
        self.console = open_stderr()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        )
        live = self.console.is_terminal and rank == 0
        self.progress = Progress(*columns, console=self.console, transient=True, disable=not live)
        self.task = self.progress.add_task("Training", total=None, facts="")
        self.evaluating = self.progress.add_task("Evaluating", total=None, facts="", visible=False)
        self.smooth: dict[str, float] = {}
        self.shown = 0.0

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.progress.stop()

    def close(self, text: str) -> None:
        """Leave the terminal as it was, with a last line."""
        self.progress.stop()
        self.console.print(text, soft_wrap=True)

    def set_length(self, steps: int, done: int) -> None:
        """Say how many steps the run has, and how many are done already."""
        self.progress.update(self.task, description="Training", total=steps, completed=done)
        self.steps = steps

    def show_image(self, done: int, total: int) -> None:
        """Show how far an evaluation is."""
        self.progress.update(self.evaluating, completed=done, total=total, visible=done < total)

    def show_download(self, event: ProgressEvent) -> None:
        """Show how far a download of first weights is."""
        self.progress.update(self.task, description=event.stage, completed=event.done, total=event.total)

    def add(self, row: dict[str, Any]) -> None:
        """Take in one row of the run."""
        if row["kind"] == "note":
            self.console.print(row["text"] if self.rank == 0 else f"process {self.rank}: {row['text']}", soft_wrap=True)
        elif self.rank != 0:
            return
        elif row["kind"] == "step":
            self._add_step(row)
        elif row["kind"] == "evaluation":
            self.console.print(_describe(row, self.plan.config.training.epochs), soft_wrap=True)

    def _add_step(self, row: dict[str, Any]) -> None:
        if row.get("dropped"):
            text = f"step {row['iteration']}: the loss is not finite; dropped, its inputs are in the run's folder"
            self.console.print(text, soft_wrap=True)
        for key in ("loss", *SHORT, "images_per_second"):
            if key in row:
                before = self.smooth.get(key, row[key])
                self.smooth[key] = before + SMOOTHING * (row[key] - before)
        self.progress.update(self.task, completed=row["iteration"], facts=self._facts(row))
        now = time.monotonic()
        if self.progress.disable and now - self.shown >= SECONDS_BETWEEN_LINES:
            self.shown = now
            self.console.print(f"{row['iteration']}/{self.steps} {self._facts(row)}", soft_wrap=True)

    def _facts(self, row: dict[str, Any]) -> str:
        terms = ", ".join(f"{name} {self.smooth[key]:.3f}" for key, name in SHORT.items() if key in self.smooth)
        return (
            f"epoch {row['epoch']}/{self.plan.config.training.epochs}  loss {self.smooth.get('loss', 0):.3f} ({terms})  "
            f"lr {row['lr']:.2g}  {self.smooth['images_per_second']:.2f} images/s  {_measure_memory():.1f} GB"
        )


class TensorBoard:
    """Writes the rows of a run as TensorBoard events; needs the extra `track`."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise TrainingError("--tensorboard: tensorboard is not installed; pip install 'maskzoo[track]'") from None
        with explained(folder, TrainingError):
            self.writer = SummaryWriter(str(folder))

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.writer.close()

    def add(self, row: dict[str, Any]) -> None:
        """Write every number of a row under its kind."""
        for key, value in row.items():
            if key not in ("iteration", "epoch") and isinstance(value, float):
                self.writer.add_scalar(f"{row['kind']}/{key}", value, row["iteration"])


def _describe(row: dict[str, Any], epochs: int) -> str:
    keys = {"box": "box_ap", "mask": "mask_ap"}
    values = [f"{kind} AP {100 * row[key]:.1f}" for kind, key in keys.items() if row.get(key) is not None]
    found = ", ".join(values) or "no object to find"
    return f"epoch {row['epoch']}/{epochs}: {found}{' (best so far)' if row['best'] else ''}"


def _measure_memory() -> float:
    """Peak memory in GB: of the GPU where one is used, else of the process."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 1e9
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
