"""What a run changes while it trains, and its way into a snapshot and back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from maskzoo.config import RunSettings, Training
from maskzoo.errors import SnapshotError
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.training.schedule import make_optimizer
from maskzoo.training.snapshot import Snapshot

__all__ = ["Position", "State"]

AVERAGE_DELAY = 10  # iterations over which the moving average's decay grows: a young average must not keep its start
STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is: `epoch` epochs are done and `step` steps of the next; `iteration` steps in all.

    `evaluated` is the epoch of the last evaluation, `best` the best mask AP so far, after `best_epoch` epochs, `stale`
    the evaluations since. `dropped` steps had a loss that was not finite, `dropped_in_row` of them just now; `replaced`
    images were damaged.
    """

    epoch: int = 0
    step: int = 0
    iteration: int = 0
    evaluated: int = 0
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    dropped: int = 0
    dropped_in_row: int = 0
    replaced: int = 0

    def after_step(self, steps_per_epoch: int, *, dropped: bool, replaced: int) -> Position:
        """Return the progress after one more step."""
        step = self.step + 1
        return replace(
            self,
            epoch=self.epoch + step // steps_per_epoch,
            step=step % steps_per_epoch,
            iteration=self.iteration + 1,
            dropped=self.dropped + dropped,
            dropped_in_row=self.dropped_in_row + 1 if dropped else 0,
            replaced=self.replaced + replaced,
        )

    def after_evaluation(self, ap: float | None) -> Position:
        """Return the progress after an evaluation that found this mask AP, or None where there was nothing to find."""
        better = ap is not None and (self.best is None or ap > self.best)
        if better:
            return replace(self, evaluated=self.epoch, best=ap, best_epoch=self.epoch, stale=0)
        return replace(self, evaluated=self.epoch, stale=self.stale + 1)


class State:
    """Model, optimiser, moving average and progress. It changes only between `apply` or `drop` and the next forward pass.

    The forward pass itself moves running statistics of norms that learn: `tensors` gives them as they were after the
    last step, so that a snapshot taken at any moment belongs to a whole number of steps.
    """

    def __init__(self, model: MaskRCNN, recipe: Training, settings: RunSettings, device: torch.device) -> None:
        self.model = model
        self.optimizer = make_optimizer(model, recipe)
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        self.progress = Position()
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
        self.statistics = {name: buffer for name, buffer in model.named_buffers() if name.rpartition(".")[2] in STATISTICS}
        self._settled = {name: buffer.clone() for name, buffer in self.statistics.items()}
        self.decay = settings.ema
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        moving = {name: tensor.detach() for name, tensor in (trained | self.statistics).items()}
        self._averaged = list(moving.values())  # the network's own memory, in the order of the average
        self.average = None if settings.ema is None else {name: tensor.clone() for name, tensor in moving.items()}

    def apply(self) -> None:
        """Take the optimiser's step and settle what the forward pass moved."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        for name, buffer in self.statistics.items():
            self._settled[name].copy_(buffer)
        if self.average is not None and self.decay is not None:
            iteration = self.progress.iteration
            share = 1 - min(self.decay, (1 + iteration) / (AVERAGE_DELAY + iteration))
            average = get_ema_multi_avg_fn(1 - share)
            average(list(self.average.values()), self._averaged, self.progress.iteration)

    def drop(self) -> None:
        """Forget the step: weights are untouched, running statistics go back."""
        for name, buffer in self.statistics.items():
            buffer.copy_(self._settled[name])

    def averaged(self) -> MaskRCNN:
        """Return a copy of the model with the moving average's weights, or its own where none is kept."""
        model = copy.deepcopy(self.model)
        if self.average is not None:
            model.load_state_dict(self.average, strict=False)
        return model

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors that a snapshot holds, by name."""
        found = {f"model.{name}": tensor for name, tensor in (self.model.state_dict() | self._settled).items()}
        for parameter, values in self.optimizer.state.items():
            if values.get("momentum_buffer") is not None:
                found[f"momentum.{self.names[parameter]}"] = values["momentum_buffer"]
        return found | {f"average.{name}": tensor for name, tensor in (self.average or {}).items()}

    def describe(self) -> dict[str, Any]:
        """Return the rest of a snapshot, as JSON values."""
        return {"progress": asdict(self.progress), "scaler": self.scaler.state_dict()}

    def restore(self, snapshot: Snapshot) -> None:
        """Become what `snapshot` holds. Raises SnapshotError if it belongs to another network or other settings."""
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "momentum": {}, "average": {}}
        for name, tensor in snapshot.tensors.items():
            group, _, rest = name.partition(".")
            groups.setdefault(group, {})[rest] = tensor
        expected = {"model": self.model.state_dict(), "average": self.average or {}}
        for group, tensors in expected.items():
            _check(group, groups[group], tensors)
        self.model.load_state_dict(groups["model"])
        for name, buffer in self.statistics.items():
            self._settled[name].copy_(buffer)
        for name, tensor in (self.average or {}).items():
            tensor.copy_(groups["average"][name])
        for parameter, name in self.names.items():
            if name in groups["momentum"]:
                buffer = torch.empty_like(parameter).copy_(groups["momentum"][name])
                self.optimizer.state[parameter]["momentum_buffer"] = buffer
        self.scaler.load_state_dict(snapshot.state["scaler"])
        self.progress = Position(**snapshot.state["progress"])


def _check(group: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    wrong = sorted(found.keys() ^ expected.keys())
    wrong += [name for name in found.keys() & expected.keys() if found[name].shape != expected[name].shape]
    if wrong:
        raise SnapshotError(
            f"the snapshot's {group} does not fit this run's: {len(wrong)} tensors differ, the first is {wrong[0]!r}; "
            "resume with the settings that the run began with"
        )
