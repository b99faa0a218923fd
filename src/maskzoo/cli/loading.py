"""Load a model while a terminal shows what takes the time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from maskzoo.cli.terminal import open_stderr

if TYPE_CHECKING:
    from maskzoo.inference.predictor import Predictor

__all__ = ["load_predictor"]


def load_predictor(model: str, weights: Path | None, **options: Any) -> Predictor:
    """Return the predictor of `maskzoo.load`, with a spinner meanwhile, and freed memory kept for speed."""
    console = open_stderr()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"Loading {model}", total=None)

        def show(done: int, total: int | None) -> None:
            size = f"{done / 1e6:.0f} MB" if total is None else f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
            progress.update(task, completed=done, total=total, description=f"Fetching weights, {size}")

        from maskzoo.inference.memory import keep_freed_memory
        from maskzoo.zoo.load import load  # here, so that the spinner turns while torch is imported

        keep_freed_memory()  # this process does nothing else
        return load(model, weights, progress=show, **options)
