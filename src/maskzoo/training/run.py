"""A whole training run: `maskzoo.train`, from a model and a data set to checkpoints whose AP is known."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from maskzoo.config import ModelConfig
from maskzoo.datasets.annotations import select_for_training
from maskzoo.datasets.class_edits import GivenClasses
from maskzoo.errors import ArgumentError
from maskzoo.model_file import dump_config, parse_config, parse_settings
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.processes import Device, Processes, join_processes
from maskzoo.training.auto_recipe.plan_training import TrainingPlan, plan_training
from maskzoo.training.events import RunEvents
from maskzoo.training.keeper import Keeper
from maskzoo.training.loader import TrainingLoader
from maskzoo.training.plan import Plan, change_plan, make_plan, refuse_change
from maskzoo.training.recipes import find_recipe
from maskzoo.training.report import write_run_report
from maskzoo.training.run_folder import RunFolder, choose_folder
from maskzoo.training.schedule import change_epochs, fit_recipe
from maskzoo.training.snapshot import read_newest_snapshot
from maskzoo.training.termination import Terminator
from maskzoo.training.trainer import Row, Trainer
from maskzoo.zoo.first_weights import make_first_weights, refuse_random
from maskzoo.zoo.rows import read_model_config, read_row

__all__ = ["TrainingRun", "train"]

AUTO = "auto"  # in place of a model: a recipe from the data
STAGES = ("stem", "res2", "res3", "res4", "res5")


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """How a run ended, and where its files are.

    `best` are COCO's numbers of the best weights, by kind and name (empty where nothing was measured), found after
    `best_epoch` epochs; `dropped` steps had a loss that is not finite, `replaced` images were damaged. `best_weights` and
    `report` are None where there is none. `stopped` says why it ended there.
    """

    folder: Path
    epochs: int
    iterations: int
    best_epoch: int
    best: Mapping[str, Any]
    dropped: int
    replaced: int
    best_weights: Path | None
    last_weights: Path
    report: Path | None
    stopped: str

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain values that `json.dumps` takes."""
        values = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        return {"run": values.pop("folder"), **values}


def train(
    model: str | Path | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    source: str | Path | None = None,
    resume: str | Path | None = None,
    val: str | Path | None = None,
    images: str | Path | None = None,
    classes: GivenClasses | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    accumulate: int | None = None,
    workers: int | None = None,
    seed: int | None = None,
    freeze_depth: int | None = None,
    patience: int | None = None,
    hours: float | None = None,
    crowds_as_objects: bool = False,
    device: Device = "auto",
    recipe: str | None = None,
    overrides: Sequence[str] = (),
    tensorboard: bool = False,
    processes: Processes | None = None,
    on_row: Callable[[Row], None] = lambda row: None,
    on_progress: OnProgress = say_nothing,
) -> TrainingRun:
    """Train a model, measure it, and keep what can be resumed exactly.

    While it runs, SIGTERM and Ctrl-C write a snapshot and end the process, if it was called in the main thread. Where
    torchrun started several processes, all call it, and all get the same run.

    Args:
        model: a zoo row's name, a model file (.yml), or, with `source`, a checkpoint (.safetensors). "auto", or left out: a
            recipe from the data, as `plan_training` gives it; other arguments are stronger than what it says.
        data: a COCO instances file, or a folder with the splits train and val.
        out: the run's folder; runs/NAME, runs/NAME-2 ... if left out.
        source: what to begin with: a zoo row's name, a .safetensors or .pdparams file, "none" for random weights; the
            model's ImageNet weights if left out.
        resume: the folder of a run that goes on as if it had not stopped, in place of `model`, `data` and `out`.
        val: the annotations of the validation split, if they are not found in `data`.
        images: the images' folder, or one with a folder for each split.
        classes: a class map (.yml, or a mapping): the data's classes renamed, merged, left out, in another order. Left
            out, the classes are those of both splits, joined by name.
        epochs: in place of the recipe's, its milestones in proportion; with `resume` more than the run had.
        batch, accumulate, workers, seed: those settings of the run; see `RunSettings`.
        freeze_depth: how many of stem, res2, res3, res4, res5 are frozen.
        patience: how many evaluations without a better mask AP the run goes on (`run.patience`).
        hours: after which it stops at the end of a step, and can be resumed; those of this call, `resume` counts anew. A
            recipe from the data has as many epochs as fit into them instead.
        crowds_as_objects: whether crowds train as objects, as in sets drawn with a brush (`run.crowds_as_objects`).
        device: "auto" is the NVIDIA or AMD GPU where there is one; or as PyTorch names it: cpu, cuda:1, mps, xpu ...
        recipe: a recipe that has a name: lsj (large-scale jitter, 100 epochs), or a preset of augmentations: photo, aerial,
            microscopy, industrial. Other arguments, and `overrides`, come after it.
        overrides: `KEY=VALUE` texts for the model file, and `run.KEY=VALUE` for the run's settings. `run.deterministic`
            stays on for the whole process.
        tensorboard: write events to the folder `tensorboard` of the run as well.
        processes: those that share the run, on their own devices; all that torchrun started if left out.
        on_row: gets every row of metrics.jsonl as it is written; in every process its own.
        on_progress: gets downloads, steps and evaluations, and in notes what a reader should know.

    Returns:
        The run's files, its best AP, and what was left out.

    Raises:
        ArgumentError: arguments that do not go together, or that a resumed run cannot take.
        TrainingError: the run cannot start as asked, or its losses were not finite.
        SnapshotError: a snapshot cannot be written, or none can be read to go on from.
        ConfigError, SourceError, AnnotationsError, WeightsError, DownloadError: of what the run begins with.
    """
    if (resume is None) == (data is None) or (resume is not None and model is not None):
        raise ArgumentError("expected either DATA, with or without a MODEL before it, or --resume RUN alone")
    if hours is not None and not 0 < hours < math.inf:
        raise ArgumentError(f"hours (--hours): found {hours:g}; expected a number above 0")
    automatic = resume is None and (model is None or str(model) == AUTO)
    shortcuts = {"batch": batch, "accumulate": accumulate, "workers": workers, "seed": seed, "patience": patience}
    named = [] if recipe is None else find_recipe(recipe)
    settings = [text.removeprefix("run.") for text in named if text.startswith("run.")]
    settings += [f"{key}={value}" for key, value in shortcuts.items() if value is not None]
    settings += ["crowds_as_objects=true"] if crowds_as_objects else []
    settings += [text.removeprefix("run.") for text in overrides if text.startswith("run.")]
    changes = [text for text in (*named, *overrides) if not text.startswith("run.")]
    with join_processes(device) if processes is None else nullcontext(processes) as processes, ExitStack() as held:
        if resume is not None:
            begun: dict[str, Any] = {"out": out, "from": source, "val": val, "images": images, "classes": classes}
            begun |= {"freeze-depth": freeze_depth, "recipe": recipe}
            for option in [f"--{name}" for name, value in begun.items() if value is not None] + [f"--set {c}" for c in changes]:
                refuse_change(option)
            folder = RunFolder(Path(resume))
            plan = change_plan(folder.read_plan(), settings, processes.count, epochs)
            if processes.rank == 0 and epochs is not None:
                folder.write_model(plan)
        else:
            assert data is not None  # checked above
            planned: TrainingPlan | None = None
            if automatic:
                like: dict[str, Any] = {"images": images, "classes": classes, "crowds_as_objects": crowds_as_objects}
                like |= {"hours": hours, "device": device, "on_progress": on_progress}
                planned = processes.broadcast(plan_training(data, **like) if processes.rank == 0 else None)
                source = planned.source if planned and source is None else source
            config = _choose_config(model, source, changes, epochs, freeze_depth, planned)
            places = {name: None if path is None else Path(path) for name, path in (("images", images), ("val", val))}
            refuse_random(config, source)
            begin: dict[str, Any] = {"source": None if source is None else str(source), "classes": classes, **places}
            chosen = parse_settings(settings, planned.settings if planned else None)
            plan = make_plan(config, chosen, data, processes=processes.count, **begin)
            plan = replace(plan, decisions=planned.list_kept(config, chosen) if planned else ())
            folder = RunFolder(processes.broadcast(choose_folder(config.name) if out is None else Path(out)))
        if processes.rank == 0:
            for note in held.enter_context(folder.own()):
                on_progress(ProgressEvent("Training", note=note))
            if resume is None:
                folder.begin(plan)
        processes.barrier()
        try:
            with RunEvents(folder, plan, processes, on_row, on_progress, tensorboard) as events:
                return _run(plan, folder, processes, events, resume is not None, None if automatic else hours)
        except Exception:
            if resume is None and processes.rank == 0:
                folder.undo()
            raise


def _choose_config(
    model: str | Path | None,
    source: str | Path | None,
    changes: list[str],
    epochs: int | None,
    freeze_depth: int | None,
    planned: TrainingPlan | None,
) -> ModelConfig:
    if epochs is not None and epochs < 1:
        raise ArgumentError(f"epochs (--epochs): found {epochs}; expected 1 or more")
    if freeze_depth is not None:
        if not 0 <= freeze_depth <= len(STAGES):
            raise ArgumentError(f"freeze_depth (--freeze-depth): found {freeze_depth}; expected 0 to {len(STAGES)}")
        changes = [*changes, f"network.backbone.frozen=[{', '.join(STAGES[:freeze_depth])}]"]
    if planned is not None:
        config = parse_config(dump_config(planned.config), "the recipe from the data", changes)
    else:
        assert model is not None  # else there is a plan
        read = read_row if source is None else read_model_config  # a checkpoint's, where training goes on from weights
        config = read(model, changes)
    return config if epochs is None else config.model_copy(update={"training": change_epochs(config.training, epochs)})


def _run(
    plan: Plan, folder: RunFolder, processes: Processes, events: RunEvents, resume: bool, hours: float | None
) -> TrainingRun:
    """Train by `plan`, in a folder that was begun; `resume` goes on from its newest snapshot."""
    if plan.settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else matrix products on a GPU are refused
        torch.use_deterministic_algorithms(True)
    trainers: list[Trainer] = []  # the one, once its state can be saved

    def save() -> None:
        for trainer in trainers:
            trainer.save()
        events.end(
            f"{'Saved; go' if trainers else 'Stopped before the first step; go'} on with: maskzoo train --resume {folder.path}"
        )

    with Terminator(save) if threading.current_thread() is threading.main_thread() else nullcontext():
        keeper = Keeper(plan, folder, processes, events.tell)
        trainer = _prepare(plan, folder, processes, events, keeper, resume)
        trainer.hours = hours
        trainers.append(trainer)
        stopped = trainer.train()
        if processes.rank == 0:
            write_run_report(folder)
    position = trainer.state.position
    return TrainingRun(
        folder.path,
        position.epoch,
        position.iteration,
        position.best_epoch,
        processes.broadcast(folder.read_best()),
        position.dropped,
        position.replaced,
        folder.best if folder.best.exists() else None,
        folder.last,
        folder.report if folder.report.exists() else None,
        stopped,
    )


def _prepare(plan: Plan, folder: RunFolder, processes: Processes, events: RunEvents, keeper: Keeper, resume: bool) -> Trainer:
    """Bring model, recipe and data together, at the beginning or where the newest snapshot is."""
    settings, config = plan.settings, plan.config
    train, dropped = select_for_training(plan.read("train"), empty_images=settings.empty_images)
    loader = TrainingLoader(
        train, Path(plan.data["train_images"]), config, settings, rank=processes.rank, processes=processes.count
    )
    snapshot = read_newest_snapshot(folder.snapshots) if resume and folder.has_snapshot() else None
    source = "none" if snapshot else plan.start.get("from")
    first = make_first_weights(config, source, seed=settings.seed, on_progress=events.tell)
    steps = loader.batches_per_epoch // settings.accumulate
    scale = settings.batch * settings.accumulate * processes.count / config.training.images_per_batch
    recipe, rates = fit_recipe(config.training, steps * config.training.epochs, scale)
    config = config.model_copy(update={"training": recipe})
    evaluate = keeper.evaluate if keeper.measures else None
    trainer = Trainer(
        first.model, config, settings, loader, folder, processes, evaluate=evaluate, report=events.report, keep=keeper.keep
    )
    if processes.rank == 0 and snapshot is None:
        folder.rewind(-1)  # of a run that was killed before its first snapshot
        notes = [
            *map(str, plan.decisions),
            *plan.notes,
            f"{len(train)} images, {len(train.ids)} objects to train on; {dropped}",
            rates,
            first.report,
        ]
        for note in [*notes, *([] if evaluate else ["no val split: nothing is measured, the last weights are kept"])]:
            events.report({"kind": "note", "iteration": 0, "text": note})
    elif processes.rank == 0 and snapshot is not None:
        folder.rewind(*(snapshot.state["progress"][key] for key in ("iteration", "evaluated")))
    if snapshot is not None:
        trainer.resume(snapshot)
    if resume:
        events.go_on(steps, trainer.state.position, config.training.learning_rate * scale)
    events.begin(steps, trainer.state.position.iteration)
    return trainer
