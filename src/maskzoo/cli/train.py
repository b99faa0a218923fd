"""`maskzoo train`: from a data set to a checkpoint with a known AP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskzoo.cli.options import Classes, DeviceOption
from maskzoo.cli.progress import TrainingDisplay, show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json

if TYPE_CHECKING:
    from maskzoo.training.run import TrainingRun

__all__ = ["train"]


def train(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A name from [bold]maskzoo models[/], your .yml, or the file of --from; left out or auto: a recipe from DATA.",
        ),
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
            "--from", metavar="WEIGHTS", help="Begin with a zoo row's name, a run, a .safetensors or .pdparams file, or none."
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with this run, exactly, or for more --epochs.")
    ] = None,
    val: Annotated[Path | None, typer.Option(metavar="FILE", help="The validation split, if not found in DATA.")] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images' folder, or one with a folder for each split.")
    ] = None,
    classes: Classes = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Instead of the recipe's, milestones in proportion; more with --resume."),
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
    patience: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after N evaluations without a better mask AP.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(metavar="H", help="Stop after H hours; a recipe from DATA has epochs for H instead.")
    ] = None,
    crowds_as_objects: Annotated[
        bool, typer.Option("--crowds-as-objects", help="Learn crowds as objects, in sets drawn with a brush.")
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="lsj, or a preset of augmentations: photo, aerial, microscopy, industrial."),
    ] = None,
    device: DeviceOption = "auto",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write RUN/tensorboard too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end instead of a table.")] = False,
) -> None:
    """Train a model, measure it, and keep what can be resumed exactly.

    Without MODEL network, sizes, anchors, epochs and settings follow from DATA
    and the machine; each value is printed with its reason, and stands with it in
    RUN/model.yml. Options given here are stronger.

    The learning rate follows the images of a step (batch x accumulate x
    processes). RUN gets best.safetensors (by mask AP on the val split),
    last.safetensors, metrics.jsonl, report.html and the two newest snapshots.
    SIGTERM and Ctrl-C save first. Several GPUs or machines:
    torchrun --nproc-per-node 8 -m maskzoo train ...

    A preset is a list of augmentations (training.augmentation in the model
    file); lsj is large-scale jitter on 1024 x 1024 for 100 epochs. --set comes
    after it. See it first: maskzoo data show DATA --augmented NAME

    Settings of the run (--set run.KEY=VALUE): batch, accumulate, workers, seed,
    precision (float32, bfloat16, float16), clip_norm, ema, patience (evaluations
    without a better mask AP before it stops), evaluate_every (epochs),
    snapshot_every (steps), deterministic, empty_images, crowds_as_objects,
    damaged_images (replace, stop), group_by_aspect, jitter ([0.1, 2.0] is
    large-scale jitter), copy_paste, repeat_rare (share of images below which a
    class is rare, and its images come more often).

    Examples:
      maskzoo train my-data --hours 2
      maskzoo train my.yml my-data --from mask_rcnn_r50_fpn_1x_coco --epochs 24
      maskzoo train my.yml my-data --set run.precision=bfloat16 --batch 2
      maskzoo train my.yml my-data --recipe aerial
      maskzoo train --resume runs/my
    """
    import maskzoo
    from maskzoo.system.processes import join_processes
    from maskzoo.zoo.rows import find_row

    alone = model if data is None and resume is None else None
    if alone is not None:
        if find_row(alone) or Path(alone).suffix in (".yml", ".yaml", ".safetensors"):
            raise typer.BadParameter(f"found the model {alone} alone; expected DATA behind it", param_hint="DATA")
        model, data = None, Path(alone)
    if (resume is None) == (data is None):
        raise typer.BadParameter("expected DATA, with or without a MODEL before it, or --resume RUN alone", param_hint="DATA")
    maskzoo.keep_freed_memory()  # this process does nothing else
    with join_processes(device) as processes, show_progress(processes.rank) as show:
        display = TrainingDisplay(show)
        run = maskzoo.train(
            model,
            data,
            out,
            source=source,
            resume=resume,
            val=val,
            images=images,
            classes=classes,
            epochs=epochs,
            batch=batch,
            accumulate=accumulate,
            workers=workers,
            seed=seed,
            freeze_depth=freeze_depth,
            patience=patience,
            hours=hours,
            crowds_as_objects=crowds_as_objects,
            recipe=recipe,
            device=device,
            overrides=override or (),
            tensorboard=tensorboard,
            processes=processes,
            on_row=display.add,
            on_progress=display.tell,
        )
        if processes.rank > 0:
            return  # the first one prints
    if json:
        print_json(run.to_dict())
        return
    if run.dropped or run.replaced:
        counts = f"{run.dropped} steps dropped (loss not finite), {run.replaced} damaged images replaced"
        open_stderr().print(counts)
    lines = [f"best: {_describe_best(run)}: {run.best_weights}"] if run.best else []
    lines.insert(0, f"stopped: {run.stopped}")
    lines += [f"last: {run.last_weights}", *([f"report: {run.report}"] if run.report else [])]
    for line in lines:
        open_stdout().print(line, soft_wrap=True)  # a path stays whole


def _describe_best(run: TrainingRun) -> str:
    values = {kind: run.best.get(kind) for kind in ("box", "mask")}
    found = [f"{kind} AP {100 * one['AP']:.1f}" for kind, one in values.items() if one and one["AP"] is not None]
    return f"{', '.join(found) or 'no object to find'} after {run.best_epoch} of {run.epochs} epochs"
