"""`maskzoo eval`: COCO AP and AR of a model, or of a file of results, on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskzoo.cli.options import (
    BackendOption,
    Batch,
    Calibrate,
    Classes,
    DeviceOption,
    DtypeOption,
    Model,
    Overrides,
    Weights,
)
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json, tabulate_classes, tabulate_metrics
from maskzoo.errors import list_some
from maskzoo.progress import ProgressEvent

if TYPE_CHECKING:
    from maskzoo.evaluation.job import EvaluationRun

__all__ = ["evaluate"]

NO_MODEL = "-"


def evaluate(
    model: Model,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON), or a folder of a usual layout.")],
    weights: Weights = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images' folder, or one with a folder for each split.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="The split of a folder; else val, or test, or train.")
    ] = None,
    batch: Batch = 1,
    device: DeviceOption = "auto",
    backend: BackendOption = "auto",
    dtype: DtypeOption = "auto",
    calibrate: Calibrate = None,
    override: Overrides = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run and score the first N images only.")] = None,
    all_images: Annotated[
        bool, typer.Option("--all-images", help="Run images without an object too; published figures leave them out.")
    ] = False,
    crowds_as_objects: Annotated[
        bool, typer.Option("--crowds-as-objects", help="Score crowds as objects, in sets drawn with a brush.")
    ] = False,
    classes: Classes = None,
    from_predictions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score this COCO result file and run nothing; MODEL may be - then."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write predictions.json, images.json and metrics.json here.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with curves, confusion and pictures (.html).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Measure box and mask AP on a data set.

    All that the model finds counts: its own score threshold applies. Classes are
    matched by name; those count that the model and DATA both have. An image
    that has no object but crowds is not run, as in the published evaluation, and
    still counts as one of the data set. If images are missing or cannot be read,
    they are named, the rest is scored, and the exit code is 3.

    Results in a file are matched with the images by the names in the images.json
    beside it, as maskzoo predict writes it; without one, by their ids. Results
    that cannot belong to these images are refused, what is doubtful is said.

    Several GPUs or machines: torchrun --nproc-per-node 8 -m maskzoo eval ...
    The numbers are those of one process, and the first one prints them.

    Examples:
      maskzoo eval mask_rcnn_r50_fpn_1x_coco annotations/instances_val2017.json
      maskzoo eval my.safetensors my-data --page report.html
      maskzoo eval my.yml val.json --weights my.safetensors --images photos
      maskzoo predict my.yml val.json --score 0 --save json --out found
      maskzoo eval - val.json --from-predictions found/predictions.json
    """
    import maskzoo
    from maskzoo.system.processes import join_processes

    with join_processes(device) as processes, show_progress(processes.rank) as show:
        show(ProgressEvent("Loading"))  # while torch is imported
        maskzoo.keep_freed_memory()  # this process does nothing else
        if page is not None:
            from maskzoo.reports.page import check_page

            check_page(page)
        run = maskzoo.evaluate(
            None if model == NO_MODEL else model,
            data,
            weights=weights,
            predictions=from_predictions,
            split=split,
            images=None if from_predictions and page else images,  # of which only the page has need then
            batch=batch,
            device=device,
            backend=backend,
            dtype=dtype,
            calibrate=calibrate,
            overrides=override or (),
            limit=limit,
            all_images=all_images,
            crowds_as_objects=crowds_as_objects,
            classes=classes,
            out=out,
            processes=processes,
            on_progress=show,
        )
        if processes.rank > 0:
            return  # the first one prints
        if page is not None:
            maskzoo.write_report(page, run, images=images, on_progress=show)
    if json:
        print_json(run.to_dict())
    else:
        _print_tables(run)
        for path in (out, page):
            if path is not None:
                open_stdout().print(f"Saved to {path}", soft_wrap=True)
    if run.failed:
        title = f"{len(run.failed)} of {run.images} images could not be run; they count as images without detections:"
        failures = list_some([failure.error for failure in run.failed], 20, "\n  ")
        open_stderr().print(f"{title}\n  {failures}", style="red", soft_wrap=True)
        raise typer.Exit(3)


def _print_tables(run: EvaluationRun) -> None:
    console, evaluation = open_stdout(), run.evaluation
    console.print(tabulate_classes(run.annotations, evaluation, run.left_out))
    console.print()
    console.print(tabulate_metrics(evaluation.kinds))
    objects = int(evaluation.objects.sum())
    line = f"{run.model}: {evaluation.images:,} images, {objects:,} objects, {evaluation.detections:,} detections"
    if run.results is not None and run.results.left_out:
        line += f", {run.results.left_out:,} of other classes left out"
    if run.seconds:
        line += f", {run.images:,} images run in {run.seconds:.1f} s, {run.images / run.seconds:.1f} images/s"
    console.print(line, soft_wrap=True)
    for note in (run.match.note if run.match else None, run.comparison):
        if note is not None:
            console.print(str(note), soft_wrap=True)
