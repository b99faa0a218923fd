"""What a run changes while it trains, and its way into a snapshot and back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from maskzoo.config import RunSettings, Training
from maskzoo.errors import SnapshotError
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.training.loss_scale import LossScale
from maskzoo.training.schedule import make_optimizer
from maskzoo.training.snapshot import Snapshot

__all__ = ["DROPPED_IN_ROW", "Position", "State"]

DROPPED_IN_ROW = 3  # steps with a loss that is not finite before the run stops
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
        """Return the position after one more step."""
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
        """Return the position after an evaluation that found this mask AP, or None where there was nothing to find."""
        better = ap is not None and (self.best is None or ap > self.best)
        if better:
            return replace(self, evaluated=self.epoch, best=ap, best_epoch=self.epoch, stale=0)
        return replace(self, evaluated=self.epoch, stale=self.stale + 1)


class State:
    """Model, optimiser, moving average and position. It changes only between `advance` and the next forward pass.

    The forward pass itself moves running statistics of norms that learn: `tensors` gives them as they were after the
    last step, so that a snapshot taken at any moment belongs to a whole number of steps. A `conditional` state takes or
    drops a step on the device, before the host knows which.
    """

    def __init__(
        self,
        model: MaskRCNN,
        recipe: Training,
        settings: RunSettings,
        device: torch.device,
        *,
        conditional: bool = False,
    ) -> None:
        self.model, self.conditional = model, conditional
        self.optimizer = make_optimizer(model, recipe, conditional=conditional)
        self.scale = LossScale(device, enabled=settings.precision == "float16")
        self.position = Position()
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
        self.statistics = {name: buffer for name, buffer in model.named_buffers() if name.rpartition(".")[2] in STATISTICS}
        self._zero = torch.zeros((), device=device)
        self._settled = {name: buffer.clone() for name, buffer in self.statistics.items()}
        self.decay = settings.ema
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        moving = {name: tensor.detach() for name, tensor in (trained | self.statistics).items()}
        self._averaged = list(moving.values())  # the network's own memory, in the order of the average
        self.average = None if settings.ema is None else {name: tensor.clone() for name, tensor in moving.items()}
        if conditional:
            self._in_row = torch.zeros((), dtype=torch.int64, device=device)
            self._left_out = self.optimizer.found_inf = torch.zeros((), device=device)  # type: ignore[attr-defined]
            for parameter in trained.values() if recipe.momentum else ():  # else made in the first step, dropped or not
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def advance(self, finite: Tensor, overflow: Tensor, iteration: int) -> None:
        """Take the step of `iteration`, or forget it where it is not `finite`: nothing is then other than before it.

        Both are scalars, bool. A step with an `overflow` counts, but for the weights. After DROPPED_IN_ROW dropped ones
        a `conditional` state takes no more, whatever the host sends before it has read so.
        """
        if self.conditional:
            finite = finite & (self._in_row < DROPPED_IN_ROW)
            self._in_row.copy_(torch.where(finite, 0, self._in_row + 1))
            self._left_out.copy_(~finite | overflow)
        elif not finite:
            for name, buffer in self.statistics.items():
                buffer.copy_(self._settled[name])
            return
        if self.conditional or not overflow:
            self.optimizer.step()
        self.scale.update(finite, overflow)
        for name, buffer in self.statistics.items():
            if self.conditional:
                buffer.copy_(torch.where(finite, buffer, self._settled[name]))
            self._settled[name].copy_(buffer)
        if self.average is not None and self.decay is not None:
            share = 1 - min(self.decay, (1 + iteration) / (AVERAGE_DELAY + iteration))
            weight = finite * share  # of 0 changes nothing
            for average, value in zip(self.average.values(), self._averaged, strict=True):
                average.lerp_(value, weight)

    def find_largest_statistic(self) -> Tensor:
        """Return the largest running statistic, float32, a scalar: not finite as soon as one is not."""
        found = list(self.statistics.values())
        return get_total_norm(found, torch.inf) if found else self._zero

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
        return {"progress": asdict(self.position), "scaler": self.scale.describe()}

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
        self.scale.restore(snapshot.state["scaler"])
        self.position = Position(**snapshot.state["progress"])
        if self.conditional:  # one more is left even where the run was ended at the last
            self._in_row.fill_(min(self.position.dropped_in_row, DROPPED_IN_ROW - 1))


def _check(group: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    wrong = sorted(found.keys() ^ expected.keys())
    wrong += [name for name in found.keys() & expected.keys() if found[name].shape != expected[name].shape]
    if wrong:
        raise SnapshotError(
            f"the snapshot's {group} does not fit this run's: {len(wrong)} tensors differ, the first is {wrong[0]!r}; "
            "resume with the settings that the run began with"
        )
