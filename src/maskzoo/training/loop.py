"""The training loop: steps, snapshots, evaluations; the same on one process and on many."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from maskzoo.config import ModelConfig, RunSettings
from maskzoo.data.loader import TrainingBatch, TrainingLoader
from maskzoo.errors import TrainingError
from maskzoo.files import write_file
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.processes import Processes
from maskzoo.structures import GroundTruth, ImageBatch, Losses
from maskzoo.training.objective import Objective
from maskzoo.training.run_folder import RunFolder
from maskzoo.training.sampling import shuffle_by
from maskzoo.training.schedule import learning_rate
from maskzoo.training.snapshot import Snapshot, write_snapshot
from maskzoo.training.state import Progress, State

__all__ = ["Metrics", "Row", "Trainer"]

Row = Mapping[str, Any]
Metrics = Mapping[str, float | None]  # of an evaluation; mask_ap decides which weights are the best
TERMS = tuple(field.name for field in dataclasses.fields(Losses))
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DROPPED_IN_ROW = 3  # steps with a loss that is not finite before the run stops
SMALLEST_SCALE = 1.0  # of float16's losses: below it the gradients themselves are not finite


@dataclass(frozen=True, slots=True)
class _Step:
    """What the batches of one step gave: means over them and over all processes."""

    terms: dict[str, float]
    finite: bool
    overflow: bool
    replaced: int


class Trainer:
    """Trains `model` in place by the recipe of `config`, from where its state is to the last epoch.

    `folder` gets the snapshots (of process 0) and the inputs of steps that were dropped. `evaluate` is called on every
    process with a copy of the model after each `evaluate_every` epochs and returns the same metrics on all; `report`
    gets every row of this process: {"kind": "step" | "evaluation" | "note" | "snapshot", ...}. `keep` is called on
    process 0 with a copy of the model and its metrics whenever an evaluation is the best so far, and at the end with
    None for the last.
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
    ) -> None:
        self.config, self.settings, self.loader, self.folder = config, settings, loader, folder
        self.processes, self.evaluate, self.keep = processes, evaluate, keep
        self.device = processes.device
        self.report = report
        self.model = model.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.state = State(model, config.training, settings, self.device)
        objective = Objective(model, config.training, len(config.classes))
        self.objective: torch.nn.Module = objective
        if processes.count > 1:
            places = [self.device] if self.device.type == "cuda" else None
            # Of a 1x1 convolution two orders of memory are the same one, and torch takes them for different.
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
            # torch 2.13 has another name for it; older ones do not know that name.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            self.objective = DistributedDataParallel(objective, places, broadcast_buffers=False)
        self.lock = threading.RLock()  # held while the state changes; who holds it may take a snapshot
        self.steps_per_epoch = loader.batches_per_epoch // settings.accumulate
        self.images_per_step = settings.batch * settings.accumulate * processes.count
        self.scale = self.images_per_step / config.training.images_per_batch
        self._saved: Progress | None = None

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot."""
        self.state.restore(snapshot)
        for note in snapshot.notes:
            self.report({"kind": "note", "text": note})

    def train(self) -> None:
        """Train to the end. Raises TrainingError when three steps in a row have no finite loss."""
        last = self.config.training.epochs
        while True:
            progress = self.state.progress
            if progress.step == 0 and progress.epoch > progress.evaluated and self._is_due(progress.epoch):
                self._evaluate()
                self.save()
            if self.state.progress.epoch >= last or self._is_stale():
                break
            self._train_epoch(progress.epoch, progress.step)
            self.save()
        if self.processes.rank == 0:
            self.keep(self.state.averaged(), None)

    def save(self) -> None:
        """Write a snapshot of the last whole step; may be called from any thread."""
        with self.lock:
            progress = self.state.progress
            if self.processes.rank or progress == self._saved:
                return
            state = self.state.describe() | {"processes": self.processes.count}
            path = write_snapshot(self.folder.snapshots, progress.iteration, self.state.tensors(), state)
            self._saved = progress
            self.report({"kind": "snapshot", "iteration": progress.iteration, "file": path.name})

    def _is_due(self, epoch: int) -> bool:
        if self.evaluate is None or epoch == 0:
            return False
        return epoch % self.settings.evaluate_every == 0 or epoch >= self.config.training.epochs

    def _is_stale(self) -> bool:
        patience, progress = self.settings.patience, self.state.progress
        if patience is None or progress.stale < patience:
            return False
        text = f"no better mask AP in {progress.stale} evaluations: stopped after {progress.epoch} epochs"
        self.report({"kind": "note", "text": text})
        return True

    def _train_epoch(self, epoch: int, step: int) -> None:
        size = self.settings.accumulate
        batches = self.loader.epoch(epoch, step * size)
        with contextlib.closing(batches):  # its workers end with it
            while group := list(islice(batches, size)):
                self._take_step(group)
                if self.state.progress.iteration % self.settings.snapshot_every == 0:
                    self.save()

    def _take_step(self, batches: Sequence[TrainingBatch]) -> None:
        began, progress = time.perf_counter(), self.state.progress
        rate = learning_rate(self.config.training, progress.iteration, self.steps_per_epoch, self.scale)
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        step = self._run(batches)
        dropped = not step.finite
        with self.lock:
            if dropped:
                self.state.drop()
            else:
                self.state.apply()
            self.state.optimizer.zero_grad(set_to_none=True)
            self.state.progress = progress.after_step(self.steps_per_epoch, dropped=dropped, replaced=step.replaced)
        self._report_step(step, rate, time.perf_counter() - began, progress.epoch, batches)
        if self.state.progress.dropped_in_row >= DROPPED_IN_ROW:
            self._stop(batches)

    def _run(self, batches: Sequence[TrainingBatch]) -> _Step:
        """Forward and backward of all batches of a step: gradients are there, nothing has changed yet."""
        sums = torch.zeros(len(TERMS) + 1, dtype=torch.float64)
        replaced = 0
        for number, batch in enumerate(batches, 1):
            with self._wait_for(number == len(batches)):
                losses = self._compute(batch)
                self.state.scaler.scale(losses.total / len(batches)).backward()
            terms = torch.stack([getattr(losses, term).detach().double() for term in TERMS]).cpu()
            if not bool(terms.isfinite().all()):
                self._dump(batch, losses)
            sums[:-1] += terms / len(batches)
            replaced += len(batch.replaced)
        sums[-1] = replaced * self.processes.count
        mean = self.processes.all_reduce_mean(sums).tolist()
        norm = self._bound_gradients()
        finite = all(math.isfinite(value) for value in mean)
        overflow = finite and not math.isfinite(norm)
        if overflow and not self._may_rescale():
            self._dump(batches[-1], None)
            finite, overflow = False, False
        return _Step(dict(zip(TERMS, mean, strict=False)), finite, overflow, round(mean[-1]))

    def _wait_for(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """Gradients of all processes are averaged with the last batch of a step only."""
        if last or not isinstance(self.objective, DistributedDataParallel):
            return contextlib.nullcontext()
        return self.objective.no_sync()

    def _compute(self, batch: TrainingBatch) -> Losses:
        precision = self.settings.precision
        shuffles = [shuffle_by(torch.Generator().manual_seed(seed)) for seed in batch.seeds]
        with torch.autocast(self.device.type, PRECISIONS[precision], enabled=precision != "float32"):
            losses: Losses = self.objective(*_move(batch, self.device), shuffles)
        return losses

    def _bound_gradients(self) -> float:
        """Return the norm of all gradients, the same on all processes; clip them where the settings say so."""
        self.state.scaler.unscale_(self.state.optimizer)
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), self.settings.clip_norm, norm)
        return float(norm)

    def _may_rescale(self) -> bool:
        """Whether gradients that are not finite may be float16's range only: the scaler skips the step and halves."""
        return self.state.scaler.is_enabled() and self.state.scaler.get_scale() > SMALLEST_SCALE

    def _report_step(
        self, step: _Step, rate: float, seconds: float, epoch: int, batches: Sequence[TrainingBatch]
    ) -> None:
        progress = self.state.progress
        for batch in batches:
            for one in batch.replaced:
                self.report({"kind": "note", "iteration": progress.iteration, "text": str(one)})
        loss = sum(step.terms.values())
        row: dict[str, Any] = {"kind": "step", "iteration": progress.iteration, "epoch": epoch + 1, "lr": rate}
        if step.finite:
            row |= {"loss": loss, **step.terms}
        else:
            row |= {"dropped": True, "in_row": progress.dropped_in_row}
        if step.overflow:
            row["overflow"] = True
        self.report(row | {"images_per_second": self.images_per_step / seconds})

    def _evaluate(self) -> None:
        assert self.evaluate is not None  # _is_due says so
        model = self.state.averaged()
        statistics = {name: tensor.cpu() for name, tensor in model.named_buffers() if name in self.state.statistics}
        # Each process has seen other images, and all must measure one model.
        model.load_state_dict(self.processes.broadcast(statistics), strict=False)
        metrics = self.evaluate(model)
        progress = self.state.progress.after_evaluation(metrics.get("mask_ap"))
        best = progress.best_epoch == progress.epoch
        row = {"kind": "evaluation", "iteration": progress.iteration, "epoch": progress.epoch, **metrics}
        self.report(row | {"best": best})
        if best and self.processes.rank == 0:
            self.keep(model, metrics)
        with self.lock:  # only now: a snapshot of a run that ends meanwhile must have it measured again, and kept
            self.state.progress = progress

    def _dump(self, batch: TrainingBatch, losses: Losses | None) -> None:
        """Write the inputs of a batch whose loss or gradient is not finite, for a look at them."""
        terms = {} if losses is None else {term: str(float(getattr(losses, term).detach())) for term in TERMS}
        tensors = {
            "pixels": batch.images.pixels.contiguous(),
            "sizes": batch.images.sizes,
            **{name: getattr(batch.truth, name) for name in ("boxes", "labels", "valid")},
        }
        metadata = {"image_ids": json.dumps(batch.image_ids), "seeds": json.dumps(batch.seeds), "losses": json.dumps(terms)}
        name = f"nonfinite-{self.state.progress.iteration:08d}-process{self.processes.rank}.safetensors"
        write_file(self.folder.path / name, save(tensors, metadata), TrainingError)

    def _stop(self, batches: Sequence[TrainingBatch]) -> None:
        files = sorted(path.name for path in self.folder.path.glob("nonfinite-*.safetensors"))
        ids = sorted({number for batch in batches for number in batch.image_ids})
        raise TrainingError(
            f"{self.folder.path / files[-1] if files else self.folder.path}: the loss was not finite in {DROPPED_IN_ROW} "
            f"steps in a row, the last with images {ids}; expected finite losses. The inputs are in that file and "
            f"{len(files) - 1} more, the weights are those before. Check the data (maskzoo data check), or train with a "
            "lower training.learning_rate or run.clip_norm=10, from the last snapshot with --resume"
        )


def _move(batch: TrainingBatch, device: torch.device) -> tuple[ImageBatch, GroundTruth]:
    if device.type == "cpu":
        return batch.images, batch.truth
    images = ImageBatch(*(_to(tensor, device) for tensor in (batch.images.pixels, batch.images.sizes)))
    truth = batch.truth
    boxes, labels, crowd, valid = (
        _to(tensor, device) for tensor in (truth.boxes, truth.labels, truth.crowd, truth.valid)
    )
    return images, GroundTruth(boxes, labels, crowd, valid, truth.outlines)


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device, non_blocking=True)
