"""What a run reports while it trains: rows into its folder and to `on_row`, progress and notes for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.processes import Processes
from maskzoo.training.plan import Plan
from maskzoo.training.run_folder import RunFolder
from maskzoo.training.state import Position
from maskzoo.training.trackers import open_trackers
from maskzoo.training.trainer import Row

__all__ = ["RunEvents"]


class RunEvents:
    """Takes the rows of this process. In others than the first nothing is told but their notes, and whose they are."""

    def __init__(
        self,
        folder: RunFolder,
        plan: Plan,
        processes: Processes,
        on_row: Callable[[Row], None],
        on_progress: OnProgress,
        track: Sequence[str],
    ) -> None:
        self.folder, self.processes, self.on_row, self.on_progress = folder, processes, on_row, on_progress
        self.recipe, self.epochs, self.steps = plan.config.training, plan.config.training.epochs, 0
        self.images_per_step = plan.settings.batch * plan.settings.accumulate * processes.count
        told = {"model": plan.config.name, "epochs": self.epochs, **plan.settings.model_dump(mode="json")}
        self.trackers = open_trackers(track, folder.path, told) if processes.rank == 0 else []

    def __enter__(self) -> RunEvents:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for tracker in self.trackers:
            tracker.close()

    def go_on(self, steps_per_epoch: int, position: Position, rate: float) -> None:
        """Tell where a resumed run goes on, and by what schedule, with the learning rate `rate` after the warm-up."""
        if not position.iteration:
            note = "The run had saved no step: it begins anew"
        elif position.epoch >= self.epochs and position.evaluated >= position.epoch:
            note = f"The run is at its end: all {self.epochs} epochs are done"
        else:
            rates = [(rate * self.recipe.decay**number, epoch) for number, epoch in enumerate(self.recipe.milestones, 1)]
            schedule = ", ".join([f"learning rate {rate:.2g}", *(f"{lower:.2g} after epoch {at}" for lower, at in rates)])
            done = f"step {position.iteration} of {steps_per_epoch * self.epochs}"
            note = f"Going on after {done}, in epoch {min(position.epoch + 1, self.epochs)}/{self.epochs}; {schedule}"
        self.tell(ProgressEvent("Training", note=note))

    def begin(self, steps_per_epoch: int, iteration: int) -> None:
        """Tell how many steps the run has, and how many are done."""
        self.steps = steps_per_epoch * self.epochs
        self._tell_step(iteration // steps_per_epoch + 1, iteration)

    def report(self, row: Row) -> None:
        """Keep a row, and tell what it says."""
        if self.processes.rank == 0:
            self.folder.append(row)
        values = {f"{row['kind']}/{key}": value for key, value in row.items() if isinstance(value, float)}
        for tracker in self.trackers if values else ():
            tracker.add(values, row["iteration"])
        self.on_row(row)
        if row["kind"] == "note":
            rank = self.processes.rank
            self.on_progress(ProgressEvent("Training", note=f"process {rank}: {row['text']}" if rank else row["text"]))
        elif row["kind"] == "evaluation":
            self.tell(ProgressEvent("Training", note=_describe(row, self.epochs)))
        elif row["kind"] == "step":
            self._tell_step(row["epoch"], row["iteration"], row["images_per_second"] / self.images_per_step)

    def end(self, text: str) -> None:
        """Tell that the process ends now, and why."""
        self.tell(ProgressEvent("", note=text))

    def tell(self, event: ProgressEvent) -> None:
        """Pass an event on, in the first process."""
        if self.processes.rank == 0:
            self.on_progress(event)

    def _tell_step(self, epoch: int, iteration: int, rate: float = 0.0) -> None:
        stage = f"Training, epoch {min(epoch, self.epochs)}/{self.epochs}"
        self.tell(ProgressEvent(stage, iteration, self.steps, "steps", rate))


def _describe(row: Row, epochs: int) -> str:
    keys = {"box": "box_ap", "mask": "mask_ap"}
    values = [f"{kind} AP {100 * row[key]:.1f}" for kind, key in keys.items() if row.get(key) is not None]
    found = ", ".join(values) or "no object to find"
    return f"epoch {row['epoch']}/{epochs}: {found}{' (best so far)' if row['best'] else ''}"
