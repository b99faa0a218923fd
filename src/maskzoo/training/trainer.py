"""The training loop: steps, snapshots, evaluations; the same on one process and on many."""

from __future__ import annotations

import contextlib
import math
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from maskzoo.config import ModelConfig, RunSettings
from maskzoo.errors import TrainingError, list_some
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.structures import Losses
from maskzoo.system.devices import explained_operators
from maskzoo.system.processes import Processes
from maskzoo.training.loader import TrainingBatch, TrainingLoader
from maskzoo.training.objective import Objective
from maskzoo.training.run_folder import RunFolder
from maskzoo.training.schedule import learning_rate
from maskzoo.training.snapshot import Snapshot, write_snapshot
from maskzoo.training.state import DROPPED_IN_ROW, Position, State
from maskzoo.training.step_inputs import TERMS, move, write_inputs
from maskzoo.training.targets import shuffle_by

__all__ = ["Metrics", "Row", "Trainer"]

Row = Mapping[str, Any]
Metrics = Mapping[str, float | None]  # of an evaluation; mask_ap decides which weights are the best
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
FIGURES = (*TERMS, "largest_statistic")  # of each batch: a variance overflows before a loss does
BEHIND = 2  # steps: how far the host's reading may stay behind a GPU; each holds its batches until it is read


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a step ends, bool scalars, and its `figures` float64: these two, then means over batches and processes of the
    terms, of the largest running statistic and of how many images were replaced, then the terms and that statistic of each
    batch of this process. On the device."""

    finite: Tensor
    overflow: Tensor
    figures: Tensor


@dataclass(frozen=True, slots=True)
class _Step:
    """A step that was taken, and is not read yet: `figures` are the outcome's, on the host once it is `ready`."""

    figures: Tensor
    ready: torch.cuda.Event | None
    batches: Sequence[TrainingBatch]
    rate: float
    epoch: int  # from 1
    seconds: float


class Trainer:
    """Trains `model` in place by the recipe of `config`, from where its state is to the last epoch.

    `folder` gets the snapshots (of process 0) and the inputs of steps that were dropped. `evaluate` is called on every
    process with a copy of the model after each `evaluate_every` epochs and returns the same metrics on all; `report`
    gets every row of this process: {"kind": "step" | "evaluation" | "note" | "snapshot", ...}. `keep` is called on
    process 0 with a copy of the model and its metrics whenever an evaluation is the best so far, and at the end with
    None for the last.

    `behind` is after how many more steps what a step gave is read: at once on a CPU, where reading costs nothing. A GPU is
    not waited for: it decides itself whether a step counts (`State.advance`), and all that asks for the run's state
    reads the steps up to there first. In every process the same steps are read at the same place.

    `hours`, where set, ends a call of `train` after the step in which so much time has gone; a resumed run counts anew.
    """

    def __init__(
        self,
        model: MaskRCNN,
        config: ModelConfig,
        settings: RunSettings,
        loader: TrainingLoader,
        folder: RunFolder,
        processes: Processes,
        *,
        evaluate: Callable[[MaskRCNN], Metrics] | None = None,
        report: Callable[[Row], None] = lambda row: None,
        keep: Callable[[MaskRCNN, Metrics | None], None] = lambda model, metrics: None,
        behind: int | None = None,
    ) -> None:
        self.config, self.settings, self.loader, self.folder = config, settings, loader, folder
        self.processes, self.evaluate, self.keep = processes, evaluate, keep
        self.device = processes.device
        self.hours: float | None = None
        self._began = time.monotonic()
        self.exact = torch.float32 if self.device.type == "mps" else torch.float64  # of sums of losses: MPS has no float64
        self.report = report
        self.model = model.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.behind = (BEHIND if self.device.type == "cuda" else 0) if behind is None else behind
        self.state = State(model, config.training, settings, self.device, conditional=self.behind > 0)
        objective = Objective(model, config.training, len(config.classes))
        self.objective: torch.nn.Module = objective
        if processes.count > 1:
            places = [self.device] if self.device.type == "cuda" else None
            # Of a 1x1 convolution two orders of memory are the same one, and torch takes them for different.
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
            # torch 2.13 has another name for it; older ones do not know that name.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            with processes.explained():
                self.objective = DistributedDataParallel(objective, places, broadcast_buffers=False)
        self.lock = threading.RLock()  # held while the state changes; who holds it may take a snapshot
        self.steps_per_epoch = loader.batches_per_epoch // settings.accumulate
        self.images_per_step = settings.batch * settings.accumulate * processes.count
        self.scale = self.images_per_step / config.training.images_per_batch
        self._saved: Position | None = None
        self._unread: deque[_Step] = deque()
        self._last: Sequence[TrainingBatch] = ()  # of the step that was read last

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot."""
        self.state.restore(snapshot)
        for note in snapshot.notes:
            self.report({"kind": "note", "text": note})

    def train(self) -> str:
        """Train to the end, and say why it came. Raises TrainingError when three steps in a row have no finite loss."""
        self._began = time.monotonic()
        last = self.config.training.epochs
        while True:
            position = self.state.position
            if position.step == 0 and position.epoch > position.evaluated and self._is_due(position.epoch):
                self._evaluate()
                self.save()
            if stopped := self._find_reason(last):
                break
            self._train_epoch(position.epoch, position.step)
            self.save()
        if self.processes.rank == 0:
            if self.state.position.epoch < last:
                self.report({"kind": "note", "iteration": self.state.position.iteration, "text": f"Stopped: {stopped}"})
            self.keep(self.state.averaged(), None)
        return stopped

    def save(self) -> None:
        """Write a snapshot of the last whole step; may be called from any thread."""
        with self.lock:
            self._read()
            position = self.state.position
            if self.processes.rank or position == self._saved:
                return
            state = self.state.describe() | {"processes": self.processes.count}
            path = write_snapshot(self.folder.snapshots, position.iteration, self.state.tensors(), state)
            self._saved = position
            self.report({"kind": "snapshot", "iteration": position.iteration, "file": path.name})

    def _is_due(self, epoch: int) -> bool:
        if self.evaluate is None or epoch == 0:
            return False
        return epoch % self.settings.evaluate_every == 0 or epoch >= self.config.training.epochs

    def _find_reason(self, epochs: int) -> str:
        """Say why the run stops here, between two epochs or at a step where its time is over; nothing if it goes on."""
        patience, position = self.settings.patience, self.state.position
        if position.epoch >= epochs:
            return f"all {epochs} epochs are done"
        if patience is not None and position.stale >= patience:
            return f"no better mask AP in {position.stale} evaluations, after {position.epoch} epochs"
        if self._is_late():
            return f"its {self.hours:g} hours are over, in epoch {position.epoch + 1} of {epochs}"
        return ""

    def _is_late(self) -> bool:
        """Whether the time of this call is over, by the clock of the first process."""
        if self.hours is None:
            return False
        return self.processes.broadcast(time.monotonic() - self._began >= 3600 * self.hours)

    def _train_epoch(self, epoch: int, step: int) -> None:
        size = self.settings.accumulate
        batches = self.loader.epoch(epoch, step * size)
        with contextlib.closing(batches):  # its workers end with it
            while not self._is_late() and (group := list(islice(batches, size))):
                with explained_operators(self.device), self.processes.explained():
                    self._take_step(group)
                if self._find_place().iteration % self.settings.snapshot_every == 0:
                    self._catch_up()
                    self.save()
        self._catch_up()

    def _find_place(self) -> Position:
        """How far the run is, unread steps included: only what was dropped and replaced in them is not known."""
        position = self.state.position
        for _ in range(len(self._unread)):
            position = position.after_step(self.steps_per_epoch, dropped=False, replaced=0)
        return position

    def _take_step(self, batches: Sequence[TrainingBatch]) -> None:
        began, position = time.perf_counter(), self._find_place()
        rate = learning_rate(self.config.training, position.iteration, self.steps_per_epoch, self.scale)
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        outcome = self._run(batches)
        with self.lock:
            self.state.advance(outcome.finite, outcome.overflow, position.iteration)
            self.state.optimizer.zero_grad(set_to_none=True)
            figures = outcome.figures.to("cpu", non_blocking=True)
            ready = torch.cuda.current_stream(self.device).record_event() if self.device.type == "cuda" else None
            self._unread.append(_Step(figures, ready, batches, rate, position.epoch + 1, time.perf_counter() - began))
        self._catch_up(self.behind)

    def _catch_up(self, leave: int = 0) -> None:
        """Read all steps but the last so many. Raises TrainingError where the run must stop."""
        self._read(leave)
        if self.state.position.dropped_in_row >= DROPPED_IN_ROW:
            self._stop()

    def _read(self, leave: int = 0) -> None:
        with self.lock:
            while len(self._unread) > leave:
                self._take_in(self._unread.popleft())

    def _take_in(self, step: _Step) -> None:
        """Note what a step gave: its row, the inputs of what is not finite, the position."""
        if step.ready is not None:
            step.ready.synchronize()
        values = iter(step.figures.tolist())
        finite, overflow, *means, replaced = islice(values, 3 + len(FIGURES))
        own = [list(islice(values, len(FIGURES))) for _ in step.batches]
        if not finite:
            self._write_inputs(step.batches, own, all(map(math.isfinite, means)))
        position = self.state.position.after_step(self.steps_per_epoch, dropped=not finite, replaced=round(replaced))
        self.state.position, self._last = position, step.batches
        if position.dropped_in_row >= DROPPED_IN_ROW:
            self._unread.clear()  # the device has taken none of them
        self._report_step(step, dict(zip(TERMS, means, strict=False)), bool(finite), bool(overflow))

    def _write_inputs(self, batches: Sequence[TrainingBatch], own: Sequence[Sequence[float]], gradients: bool) -> None:
        """Write the batches for which a dropped step has no finite loss, and tell their images; all if it was the gradients."""
        iteration = self.state.position.iteration
        for number, (batch, figures) in enumerate(zip(batches, own, strict=True), 1):
            if gradients or not all(map(math.isfinite, figures)):
                which = f"-batch{number}" if len(batches) > 1 else ""
                name = f"nonfinite-{iteration:08d}-process{self.processes.rank}{which}.safetensors"
                write_inputs(self.folder.path / name, batch, {} if gradients else dict(zip(FIGURES, figures, strict=True)))
                ids = list_some(map(str, batch.image_ids))
                what = "a gradient" if gradients else "a loss or running statistic"
                text = f"step {iteration + 1}: {what} is not finite with images {ids}; dropped, its inputs are in {name}"
                self.report({"kind": "note", "iteration": iteration + 1, "text": text})

    def _run(self, batches: Sequence[TrainingBatch]) -> _Outcome:
        """Forward and backward of all batches of a step: gradients are there, nothing has changed yet."""
        own = []
        for number, batch in enumerate(batches, 1):
            with self._wait_for(number == len(batches)):
                losses = self._compute(batch)
                self.state.scale.multiply(losses.total / len(batches)).backward()
            figures = *(getattr(losses, term).detach() for term in TERMS), self.state.find_largest_statistic()
            own.append(torch.stack([figure.to(self.exact) for figure in figures]))
        terms = sum((figures / len(batches) for figures in own), torch.zeros_like(own[0]))
        replaced = sum(len(batch.replaced) for batch in batches) * self.processes.count
        means = self.processes.all_reduce_mean(torch.cat([terms, terms.new_full((1,), replaced)]))
        broken = ~self._bound_gradients().isfinite()
        overflow = means.isfinite().all() & broken & self.state.scale.can_fall()
        finite = means.isfinite().all() & (~broken | overflow)
        return _Outcome(finite, overflow, torch.cat([torch.stack([finite, overflow]).to(self.exact), means, *own]))

    def _wait_for(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """Gradients of all processes are averaged with the last batch of a step only."""
        if last or not isinstance(self.objective, DistributedDataParallel):
            return contextlib.nullcontext()
        return self.objective.no_sync()

    def _compute(self, batch: TrainingBatch) -> Losses:
        precision = self.settings.precision
        shuffles = [shuffle_by(torch.Generator().manual_seed(seed)) for seed in batch.seeds]
        with torch.autocast(self.device.type, PRECISIONS[precision], enabled=precision != "float32"):
            losses: Losses = self.objective(*move(batch, self.device), shuffles)
        return losses

    def _bound_gradients(self) -> Tensor:
        """Return the norm of all gradients, the same on all processes; clip them where the settings say so."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        self.state.scale.divide(gradients)
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), self.settings.clip_norm, norm)
        return norm

    def _report_step(self, step: _Step, terms: dict[str, float], finite: bool, overflow: bool) -> None:
        position = self.state.position
        for one in (one for batch in step.batches for one in batch.replaced):
            self.report({"kind": "note", "iteration": position.iteration, "text": str(one)})
        row: dict[str, Any] = {"kind": "step", "iteration": position.iteration, "epoch": step.epoch, "lr": step.rate}
        if finite:
            row |= {"loss": sum(terms.values()), **terms}
        else:
            row |= {"dropped": True, "in_row": position.dropped_in_row}
        counts = {"overflow": overflow, "lost_objects": sum(batch.lost for batch in step.batches)}  # lost ones of this process
        row |= {name: count for name, count in counts.items() if count}
        self.report(row | {"images_per_second": self.images_per_step / step.seconds})

    def _evaluate(self) -> None:
        assert self.evaluate is not None  # _is_due says so
        model = self.state.averaged()
        statistics = {name: tensor.cpu() for name, tensor in model.named_buffers() if name in self.state.statistics}
        # Each process has seen other images, and all must measure one model.
        model.load_state_dict(self.processes.broadcast(statistics), strict=False)
        metrics = self.evaluate(model)
        position = self.state.position.after_evaluation(metrics.get("mask_ap"))
        best = position.best_epoch == position.epoch
        row = {"kind": "evaluation", "iteration": position.iteration, "epoch": position.epoch, **metrics}
        self.report(row | {"best": best})
        if best and self.processes.rank == 0:
            self.keep(model, metrics)
        with self.lock:  # only now: a snapshot of a run that ends meanwhile must have it measured again, and kept
            self.state.position = position

    def _stop(self) -> None:
        files = sorted(path.name for path in self.folder.path.glob("nonfinite-*.safetensors"))
        ids = sorted({number for batch in self._last for number in batch.image_ids})
        raise TrainingError(
            f"{self.folder.path / files[-1] if files else self.folder.path}: the loss was not finite in {DROPPED_IN_ROW} "
            f"steps in a row, the last with images {ids}; expected finite losses. The inputs are in that file and "
            f"{len(files) - 1} more, the weights are those before. Check the data (maskzoo data check), or train with a "
            "lower training.learning_rate or run.clip_norm=10, from the last snapshot with --resume"
        )
