"""A whole training run: from a model file and a data set to checkpoints whose AP is known."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.config import ModelConfig, RunSettings
from maskzoo.datasets.annotations import AnnotationSet, find_image_folder, select_for_training
from maskzoo.datasets.classes import ClassMap, match_classes
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.layout import find_splits
from maskzoo.errors import TrainingError
from maskzoo.evaluation.metrics import Evaluation
from maskzoo.evaluation.metrics import compute_metrics as score
from maskzoo.evaluation.published import to_dict
from maskzoo.evaluation.run import Evaluated, evaluate_model
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.progress import OnProgress, say_nothing
from maskzoo.system.files import hash_file, write_file
from maskzoo.system.processes import Processes
from maskzoo.training.loader import TrainingLoader
from maskzoo.training.report import write_report
from maskzoo.training.run_folder import Plan, RunFolder
from maskzoo.training.schedule import fit_recipe
from maskzoo.training.snapshot import read_newest_snapshot
from maskzoo.training.trainer import Metrics, Row, Trainer
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.first_weights import make_first_weights

__all__ = ["Outcome", "check_resumed", "make_plan", "run_training"]

Report = Callable[[Row], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: `best` AP (COCO's box and mask values by name, or empty), and the steps and epochs it took."""

    epochs: int
    iterations: int
    best_epoch: int
    best: Mapping[str, Any]
    dropped: int
    replaced: int


@dataclass(frozen=True, slots=True)
class _Validation:
    annotations: AnnotationSet
    folder: Path
    labels: NDArray[np.int64]


def make_plan(
    config: ModelConfig,
    settings: RunSettings,
    data: str | Path,
    *,
    images: Path | None = None,
    val: Path | None = None,
    val_images: Path | None = None,
    source: str | None = None,
    processes: int = 1,
) -> Plan:
    """Find the splits of `data` and their images, and make the model's classes those of the data set.

    Raises SourceError where something is not found, AnnotationsError with every fault of an annotation file.
    """
    splits = find_splits(data)
    if "train" not in splits:
        raise TrainingError(f"{data}: found {', '.join(splits)}; expected a train split; give its annotation file as DATA")
    val = splits.get("val") if val is None else val
    places = {"train": str(splits["train"].absolute())}
    train = read_annotations(splits["train"])
    places["train_images"] = str(find_image_folder(train, images, "train").absolute())
    places["train_sha256"] = hash_file(splits["train"])
    if val is not None:
        places["val"] = str(val.absolute())
        places["val_images"] = str(find_image_folder(read_annotations(val), val_images or images, "val").absolute())
        places["val_sha256"] = hash_file(val)
    classes = train.classes.to_classes()
    if classes != dict(config.classes):
        config = config.model_copy(update={"classes": classes})
    return Plan(config, settings, places, {"from": source}, processes)


def check_resumed(plan: Plan, processes: int) -> None:
    """Raise TrainingError if a run cannot go on exactly: other data, or another number of processes."""
    if processes != plan.processes:
        raise TrainingError(
            f"the run was begun with {plan.processes} processes, found {processes}; resume it with as many "
            "(torchrun --nproc-per-node), or it would not be the same run"
        )
    for split in ("train", "val"):
        if split in plan.data and hash_file(Path(plan.data[split])) != plan.data[f"{split}_sha256"]:
            raise TrainingError(
                f"{plan.data[split]}: is not the file that the run was begun with (its SHA-256 has changed); "
                "put the old one back, or start a new run with --from"
            )


def run_training(
    plan: Plan,
    folder: RunFolder,
    processes: Processes,
    *,
    resume: bool = False,
    report: Report = lambda row: None,
    started: Callable[[Trainer], None] = lambda trainer: None,
    on_image: Callable[[int, int], None] | None = None,
    on_progress: OnProgress = say_nothing,
) -> Outcome:
    """Train by `plan`, in a folder that was begun; `resume` goes on from its newest snapshot.

    Call it in every process. `report` gets every row as it is written; `started` gets the trainer before its first
    step; `on_image` is told images done and in all while an evaluation runs, `on_progress` of a download.
    """
    settings, config = plan.settings, plan.config
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else matrix products on a GPU are refused
        torch.use_deterministic_algorithms(True)
    train, dropped = select_for_training(read_annotations(plan.data["train"]), empty_images=settings.empty_images)
    loader = TrainingLoader(
        train, Path(plan.data["train_images"]), config, settings, rank=processes.rank, processes=processes.count
    )
    validation = _read_validation(plan)
    snapshot = read_newest_snapshot(folder.snapshots) if resume and folder.has_snapshot() else None
    start = "none" if snapshot else plan.start.get("from")
    first = make_first_weights(config, start, seed=settings.seed, on_progress=on_progress)
    steps = loader.batches_per_epoch // settings.accumulate * config.training.epochs
    scale = settings.batch * settings.accumulate * processes.count / config.training.images_per_batch
    recipe, rates = fit_recipe(config.training, steps, scale)
    config = config.model_copy(update={"training": recipe})
    run = _Run(plan, folder, processes, validation, report, on_image)
    trainer = Trainer(
        first.model,
        config,
        settings,
        loader,
        folder,
        processes,
        evaluate=run.evaluate if validation is not None else None,
        report=run.report,
        keep=run.keep,
    )
    if processes.rank == 0:
        if snapshot is None:
            folder.rewind(-1)  # of a run that was killed before its first snapshot
            notes = [f"{len(train)} images, {len(train.ids)} objects to train on; {dropped}", rates, str(first.report)]
            notes += [] if validation else ["no val split: nothing is measured, the last weights are kept"]
            for note in notes:
                run.report({"kind": "note", "iteration": 0, "text": note})
        else:
            folder.rewind(*(snapshot.state["progress"][key] for key in ("iteration", "evaluated")))
    if snapshot is not None:
        trainer.resume(snapshot)
    started(trainer)
    trainer.train()
    if processes.rank == 0:
        write_report(folder)
    progress = trainer.state.progress
    return Outcome(
        progress.epoch, progress.iteration, progress.best_epoch, run.find_best(), progress.dropped, progress.replaced
    )


def _read_validation(plan: Plan) -> _Validation | None:
    if "val" not in plan.data:
        return None
    annotations = read_annotations(plan.data["val"])
    ours = ClassMap.from_classes(plan.config.classes)
    match = match_classes(ours, annotations.classes, plan.config.name, plan.data["val"])
    return _Validation(annotations, Path(plan.data["val_images"]), match.labels)


class _Run:
    """What happens around the loop: rows into the folder, evaluations, the checkpoints that stay."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        processes: Processes,
        validation: _Validation | None,
        listener: Report,
        on_image: Callable[[int, int], None] | None,
    ) -> None:
        self.plan, self.folder, self.processes, self.validation = plan, folder, processes, validation
        self.listener, self.on_image = listener, on_image
        self.found: Evaluated | None = None
        self.evaluation: Evaluation | None = None

    def report(self, row: Row) -> None:
        if self.processes.rank == 0:
            self.folder.append(row)
        self.listener(row)

    def evaluate(self, model: MaskRCNN) -> Metrics:
        """Box and mask AP of a copy of the model on the validation split: the same on all processes."""
        assert self.validation is not None  # the trainer asks only where there is one
        device, count = self.processes.device, self.processes.count
        predictor = Predictor(Eager(copy.deepcopy(model), device, torch.float32), self.plan.config)  # it packs what it gets
        self.found = evaluate_model(
            predictor,
            self.validation.annotations,
            self.validation.folder,
            labels=self.validation.labels,
            rank=self.processes.rank,
            processes=count,
            gather=self.processes.gather if count > 1 else None,
            on_image=self.on_image,
        )
        metrics: dict[str, float | None] = {}
        if self.found is not None:
            self.evaluation = score(self.validation.annotations, self.found.results)
            for kind, values in (("box", self.evaluation.box), ("mask", self.evaluation.mask)):
                if values is not None:
                    metrics |= {f"{kind}_ap": values.ap, f"{kind}_ap50": values.values[1], f"{kind}_ap75": values.values[2]}
        return dict(self.processes.broadcast(metrics))

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
        if metrics is not None and self.found is not None and self.validation is not None and self.evaluation is not None:
            found = self.found.results.to_json(self.validation.annotations)
            write_file(self.folder.predictions, found, TrainingError)
            numbers = to_dict(self.evaluation, self.validation.annotations)
            file = self.folder.path / "best-metrics.json"
            write_file(file, json.dumps(numbers, indent=1).encode() + b"\n", TrainingError)
            write_report(self.folder)

    def find_best(self) -> Mapping[str, Any]:
        file = self.folder.path / "best-metrics.json"
        return dict(json.loads(file.read_bytes())) if file.exists() else {}
