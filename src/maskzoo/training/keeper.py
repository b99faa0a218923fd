"""How good a run's weights are, and which of them stay."""

from __future__ import annotations

import copy
import json
from importlib.metadata import version
from pathlib import Path

import torch

from maskzoo.datasets.classes import ClassMap, match_classes
from maskzoo.errors import TrainingError
from maskzoo.evaluation.collect import collect_results
from maskzoo.evaluation.metrics import Evaluation, compute_metrics
from maskzoo.evaluation.results import Results
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.progress import OnProgress
from maskzoo.system.files import write_file
from maskzoo.system.processes import Processes
from maskzoo.training.plan import Plan
from maskzoo.training.report import write_run_report
from maskzoo.training.run_folder import RunFolder
from maskzoo.training.trainer import Metrics
from maskzoo.weights.checkpoint import write_checkpoint

__all__ = ["Keeper"]


class Keeper:
    """Measures a run's weights on its validation split, if it `measures` at all, and writes the best and the last."""

    def __init__(self, plan: Plan, folder: RunFolder, processes: Processes, on_progress: OnProgress) -> None:
        self.plan, self.folder, self.processes, self.on_progress = plan, folder, processes, on_progress
        self.measures = "val" in plan.data
        self.measured: tuple[Evaluation, Results] | None = None  # the last, in the first process
        if self.measures:
            self.annotations = plan.read("val")
            ours = ClassMap.from_classes(plan.config.classes)
            self.match = match_classes(ours, self.annotations.classes, plan.config.name, plan.data["val"])

    def evaluate(self, model: MaskRCNN) -> Metrics:
        """Box and mask AP of a copy of the model on the validation split: the same on all processes."""
        # It packs what it gets, in float64, which MPS does not have.
        backend = Eager(copy.deepcopy(model).cpu(), self.processes.device, torch.float32)
        found = collect_results(
            Predictor(backend, self.plan.config),
            self.annotations,
            Path(self.plan.data["val_images"]),
            labels=self.match.labels,
            processes=self.processes,
            on_progress=self.on_progress,
        )
        metrics: dict[str, float | None] = {}
        if found is not None:
            evaluation = compute_metrics(self.annotations, found.results)
            self.measured = evaluation, found.results
            for kind, values in (("box", evaluation.box), ("mask", evaluation.mask)):
                if values is not None:
                    metrics |= {f"{kind}_ap": values.ap, f"{kind}_ap50": values.values[1], f"{kind}_ap75": values.values[2]}
        return self.processes.broadcast(metrics)

    def keep(self, model: MaskRCNN, metrics: Metrics | None) -> None:
        """Write the best weights, or at the end (without metrics) the last."""
        config = self.plan.config
        source = config.source.model_copy(update={"weights": "", "published": None})
        provenance = {
            "trained_by": f"maskzoo {version('maskzoo')}",
            "from": str(self.plan.start.get("from") or "the model file's first weights"),
            "data": Path(self.plan.data["train"]).name,
            "data_sha256": self.plan.data["train_sha256"],
            "metrics": json.dumps(metrics),
        }
        path = self.folder.last if metrics is None else self.folder.best
        write_checkpoint(path, model.state_dict(), config.model_copy(update={"source": source}), provenance)
        if metrics is not None and self.measured is not None:
            evaluation, results = self.measured
            write_file(self.folder.predictions, results.to_json(self.annotations), TrainingError)
            numbers = json.dumps(evaluation.to_dict(self.annotations.classes), indent=1)
            write_file(self.folder.numbers, numbers.encode() + b"\n", TrainingError)
            write_run_report(self.folder)
