"""How a long job tells what it is doing: one kind of event for every verb, in Python and on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["OnProgress", "ProgressEvent", "say_nothing"]


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """One moment of a job. `stage` names what is being done ("Predicting"), `done` of `total` (None: unknown) in `unit`.

    `rate` is in units a second, over all processes; 0 where it is not known yet. `note` is a line that a reader should
    see whatever happens to the bar; most events have none. An event without a stage says that the process ends now.
    """

    stage: str
    done: int = 0
    total: int | None = None
    unit: str = "images"
    rate: float = 0.0
    note: str = ""


OnProgress = Callable[[ProgressEvent], None]


def say_nothing(event: ProgressEvent) -> None:
    """Take an event and do nothing: the default of every job."""
