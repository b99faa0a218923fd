"""`maskzoo train`: from a data set to a checkpoint with a known AP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskzoo.cli.options import Device
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json
from maskzoo.errors import TrainingError
from maskzoo.system.files import check_folder, choose_name

if TYPE_CHECKING:
    from maskzoo.system.processes import Processes
    from maskzoo.training.run import Outcome
    from maskzoo.training.run_folder import Plan, RunFolder

__all__ = ["train"]

STAGES = ("stem", "res2", "res3", "res4", "res5")
RESUMABLE = ("workers", "snapshot_every")  # settings that change nothing in the result


def train(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A name from [bold]maskzoo models[/], or your .yml file.")
    ] = None,
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="A COCO instances file, or a folder with train and val.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The run's folder; runs/MODEL, runs/MODEL-2 ... if left out.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the model file, or of the run: run.ema=0.999."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="WEIGHTS", help="Begin with a zoo row's name, a .safetensors or .pdparams file, or none."
        ),
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with this run, exactly.")] = None,
    val: Annotated[Path | None, typer.Option(metavar="FILE", help="The validation split, if not found in DATA.")] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images' folder, or one with a folder for each split.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Instead of the recipe's; milestones in proportion.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, metavar="N", help="Images of a step in each process (1).")] = None,
    accumulate: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Batches whose gradients are added up (1).")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=0, metavar="N", help="Processes that read images (2).")] = None,
    seed: Annotated[int | None, typer.Option(min=0, metavar="N", help="Of order, augmentation and samples (0).")] = None,
    freeze_depth: Annotated[
        int | None, typer.Option(min=0, max=5, metavar="N", help="Freeze the first N of stem, res2, res3, res4, res5.")
    ] = None,
    device: Annotated[Device, typer.Option(help="auto is the GPU where there is one.")] = Device.auto,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write RUN/tensorboard too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end instead of a table.")] = False,
) -> None:
    """Train a model, measure it, and keep what can be resumed exactly.

    The learning rate follows the images of a step (batch x accumulate x processes).
    RUN gets best.safetensors (by mask AP on the val split), last.safetensors,
    metrics.jsonl, report.html and the two newest snapshots. SIGTERM and Ctrl-C save
    first. Several GPUs or machines: torchrun --nproc-per-node 8 -m maskzoo train ...

    Settings of the run (--set run.KEY=VALUE): batch, accumulate, workers, seed,
    precision (float32, bfloat16, float16), clip_norm, ema, patience (evaluations
    without a better mask AP before it stops), evaluate_every (epochs),
    snapshot_every (steps), deterministic, empty_images, damaged_images (replace,
    stop), group_by_aspect, jitter ([0.1, 2.0] is large-scale jitter), copy_paste.

    Examples:
      maskzoo train mask_rcnn_r50_fpn_1x_coco my-data --from mask_rcnn_r50_fpn_1x_coco --epochs 24
      maskzoo train my.yml my-data --set run.precision=bfloat16 --batch 2
      maskzoo train --resume runs/my
    """
    from maskzoo.system.memory import keep_freed_memory
    from maskzoo.system.processes import join_processes
    from maskzoo.training.run_folder import RunFolder

    if (resume is None) == (model is None or data is None):
        raise typer.BadParameter("expected either MODEL and DATA, or --resume RUN alone", param_hint="MODEL DATA")
    keep_freed_memory()  # this process does nothing else
    shortcuts = {"batch": batch, "accumulate": accumulate, "workers": workers, "seed": seed}
    settings = [f"{key}={value}" for key, value in shortcuts.items() if value is not None]
    settings += [text.removeprefix("run.") for text in override or () if text.startswith("run.")]
    changes = [text for text in override or () if not text.startswith("run.")]
    with join_processes(device.value) as processes:
        if resume is not None:
            others = {"--out": out, "--from": source, "--val": val, "--images": images, "--epochs": epochs}
            _refuse([name for name, value in others.items() if value is not None] + [f"--set {c}" for c in changes])
            plan = _resume(resume, settings, freeze_depth, processes)
            folder = RunFolder(resume)
        else:
            assert model is not None and data is not None  # checked above
            plan = _begin(model, data, changes, settings, epochs, freeze_depth, source, val, images, processes)
            folder = RunFolder(processes.broadcast(out or _choose_folder(plan.config.name)))
            if processes.rank == 0:
                folder.begin(plan)
        processes.barrier()
        outcome = _run(plan, folder, processes, resume is not None, tensorboard)
        if processes.rank == 0:
            _print(folder, outcome, json)


def _refuse(options: list[str]) -> None:
    if options:
        raise typer.BadParameter(
            f"{options[0]} cannot change with --resume; a resumed run keeps what it began with", param_hint=options[0]
        )


def _resume(resume: Path, settings: list[str], freeze_depth: int | None, processes: Processes) -> Plan:
    import dataclasses

    from maskzoo.model_file import parse_settings
    from maskzoo.training.run import check_resumed
    from maskzoo.training.run_folder import RunFolder

    _refuse(["--freeze-depth"] if freeze_depth is not None else [])
    _refuse([f"--set run.{text}" for text in settings if text.partition("=")[0] not in RESUMABLE])
    plan = RunFolder(resume).read_plan()
    check_resumed(plan, processes.count)
    return dataclasses.replace(plan, settings=parse_settings(settings, plan.settings))


def _begin(
    model: str,
    data: Path,
    changes: list[str],
    settings: list[str],
    epochs: int | None,
    freeze_depth: int | None,
    source: str | None,
    val: Path | None,
    images: Path | None,
    processes: Processes,
) -> Plan:
    from maskzoo.model_file import parse_settings
    from maskzoo.training.run import make_plan
    from maskzoo.training.schedule import change_epochs
    from maskzoo.zoo.rows import read_row

    if freeze_depth is not None:
        changes = [*changes, f"network.backbone.frozen=[{', '.join(STAGES[:freeze_depth])}]"]
    config = read_row(model, changes)
    if epochs is not None:
        config = config.model_copy(update={"training": change_epochs(config.training, epochs)})
    run = parse_settings(settings)
    return make_plan(config, run, data, images=images, val=val, source=source, processes=processes.count)


def _choose_folder(name: str) -> Path:
    runs = Path("runs")
    check_folder(runs, TrainingError)
    return choose_name(runs, name, "", os.path.lexists)[0]


def _run(plan: Plan, folder: RunFolder, processes: Processes, resume: bool, tensorboard: bool) -> Outcome:
    import contextlib

    from maskzoo.cli.progress import Display, TensorBoard
    from maskzoo.training.run import run_training
    from maskzoo.training.termination import Terminator

    saves: list[Any] = []
    with contextlib.ExitStack() as stack:
        listeners: list[Any] = [stack.enter_context(Display(plan, processes.rank))]
        if tensorboard and processes.rank == 0:
            listeners.append(stack.enter_context(TensorBoard(folder.path / "tensorboard")))

        def report(row: Any) -> None:
            for listener in listeners:
                listener.add(row)

        def save() -> None:
            for trainer in saves:
                trainer.save()
            listeners[0].close(f"Saved; go on with: maskzoo train --resume {folder.path}")

        def begin(trainer: Any) -> None:
            saves.append(trainer)
            listeners[0].set_length(trainer.steps_per_epoch * plan.config.training.epochs, trainer.state.progress.iteration)

        stack.enter_context(Terminator(save))
        return run_training(
            plan,
            folder,
            processes,
            resume=resume,
            report=report,
            started=begin,
            on_image=listeners[0].show_image,
            on_progress=listeners[0].show_download,
        )


def _print(folder: RunFolder, outcome: Outcome, json: bool) -> None:
    from dataclasses import asdict

    if json:
        print_json({"run": str(folder.path), **asdict(outcome)})
        return
    console = open_stdout()
    if outcome.dropped or outcome.replaced:
        counts = f"{outcome.dropped} steps dropped (loss not finite), {outcome.replaced} damaged images replaced"
        open_stderr().print(counts)
    lines = [f"best after {outcome.best_epoch} epochs: {folder.best}"] if outcome.best else []
    lines.append(f"last: {folder.last}")
    if folder.report.exists():
        lines.append(f"report: {folder.report}")
    for line in lines:
        console.print(line, soft_wrap=True)  # a path stays whole
