"""`maskzoo eval`: COCO AP and AR of a model, or of a file of results, on a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from maskzoo.cli.options import (
    BackendName,
    BackendOption,
    Batch,
    Calibrate,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    Model,
    Overrides,
    Weights,
    load_predictor,
)
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json, tabulate_classes, tabulate_metrics
from maskzoo.errors import SourceError
from maskzoo.evaluation.job import NO_MODEL, Job, read_job, run_job
from maskzoo.inference.outputs import write_results
from maskzoo.system.files import check_folder, check_target, make_folder, write_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from maskzoo.evaluation.metrics import Evaluation
    from maskzoo.evaluation.published import Comparison
    from maskzoo.evaluation.run import Evaluated

__all__ = ["evaluate"]

SHOWN = 20  # images named that could not be run


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
    device: DeviceOption = Device.auto,
    backend: BackendOption = BackendName.auto,
    dtype: DtypeOption = Dtype.auto,
    calibrate: Calibrate = None,
    override: Overrides = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Run and score the first N images only.")] = None,
    all_images: Annotated[
        bool, typer.Option("--all-images", help="Run images without an object too; published figures leave them out.")
    ] = False,
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

    All that the model finds counts: its own score threshold applies. An image
    that has no object but crowds is not run, as in the published evaluation, and
    still counts as one of the data set. If images are missing or cannot be read,
    they are named, the rest is scored, and the exit code is 3.

    Results in a file are matched with the images by the names in the images.json
    beside it, as maskzoo predict writes it; without one, by their ids. Results that
    cannot belong to these images are refused, what is doubtful is said.

    Several GPUs or machines: torchrun --nproc-per-node 8 -m maskzoo eval ...
    The numbers are those of one process, and the first one prints them.

    Examples:
      maskzoo eval mask_rcnn_r50_fpn_1x_coco annotations/instances_val2017.json
      maskzoo eval my.safetensors my-data --page report.html
      maskzoo eval my.yml val.json --weights my.safetensors --images photos
      maskzoo predict my.yml val.json --score 0 --save json --out found
      maskzoo eval - val.json --from-predictions found/predictions.json
    """
    from maskzoo.evaluation.metrics import compute_metrics as score
    from maskzoo.evaluation.published import compare_with_published, to_dict
    from maskzoo.evaluation.run import choose_images
    from maskzoo.system.processes import join_processes

    _check_call(model, weights, images, from_predictions, override, page)
    if out is not None:
        check_folder(out)
    if page is not None:
        check_target(page)
    with join_processes(device.value) as processes:
        if from_predictions is not None:
            with show_progress(processes.rank) as show:
                job = read_job(model, data, split, override or (), from_predictions, limit, all_images, processes, show)
        else:
            options = {"batch": batch, "all_images": all_images}
            loading = {"backend": backend.value, "dtype": dtype.value, "calibrate": calibrate, "overrides": override or ()}
            loading["device"] = device.value if processes.count == 1 else processes.device.type
            with show_progress(processes.rank) as show:
                load = partial(load_predictor, model, weights, show, **loading)
                job = run_job(load, data, split, images, limit, processes, options, show)
    if job is None:
        return  # another process has it all
    evaluation = score(job.annotations, job.found.results)
    changes = _list_changes(override or (), dtype, all_images, job.found)
    comparison = None
    if job.config is not None:
        comparison = compare_with_published(job.config, job.annotations, evaluation, changes)
    provenance = job.found.results.provenance
    printed = {
        "model": job.name,
        "data": job.annotations.source,
        **to_dict(evaluation, job.annotations),
        "published": None if comparison is None else asdict(comparison) | {"reached": comparison.reached},
        "classes_matched": job.match.note if job.match else None,
        "matching": None if provenance is None else provenance.to_dict(),
        "images_run": job.found.images,
        "seconds": round(job.found.seconds, 3),
        "failed": [asdict(failure) for failure in job.found.failed],
    }
    if out is not None:
        _write(out, job, printed, choose_images(job.annotations, all_images=all_images) if from_predictions is None else None)
    if page is not None:
        _write_page(page, job, evaluation, comparison, images)
    if json:
        print_json(printed)
    else:
        _print_tables(job, evaluation, comparison)
        for path in (out, page):
            if path is not None:
                open_stdout().print(f"Saved to {path}", soft_wrap=True)
    if job.found.failed:
        _print_failures(job.found)
        raise typer.Exit(3)


def _check_call(
    model: str,
    weights: Path | None,
    images: Path | None,
    predictions: Path | None,
    overrides: list[str] | None,
    page: Path | None,
) -> None:
    if model == NO_MODEL and predictions is None:
        raise typer.BadParameter("found -, which is no model; it stands only with --from-predictions", param_hint="MODEL")
    if predictions is not None and (weights is not None or (images is not None and page is None)):
        option = "--weights" if weights is not None else "--images"
        raise typer.BadParameter("nothing is run with --from-predictions; leave it out", param_hint=option)
    if model == NO_MODEL and overrides:
        raise typer.BadParameter("MODEL is -, so there is no value to change; leave it out", param_hint="--set")
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"found {str(page)!r}; expected a name that ends in .html", param_hint="--page")


def _list_changes(overrides: Sequence[str], dtype: Dtype, all_images: bool, found: Evaluated) -> str | None:
    changes = [f"--set {override}" for override in overrides]
    changes += ["--all-images"] if all_images else []
    changes += [f"--dtype {dtype.value}"] if dtype not in (Dtype.auto, Dtype.float32) else []
    changes += [f"{len(found.failed)} images could not be run"] if found.failed else []
    return f"this run differs by {', '.join(changes)}" if changes else None


def _write(out: Path, job: Job, metrics: dict[str, Any], run: NDArray[np.bool_] | None) -> None:
    """Write the numbers and, if images were `run`, bool `[I]`, what was found on those that could be."""
    from json import dumps

    import numpy as np

    from maskzoo.datasets.coco_writer import to_coco

    make_folder(out)
    if run is not None:
        run &= ~np.isin(job.annotations.image_ids, [failure.image_id for failure in job.found.failed])
        index = to_coco(job.annotations.select(run, np.zeros(len(job.annotations.ids), np.bool_)))
        write_results(out, [job.found.results.to_json(job.annotations).decode("ascii")], [dumps(index)])
    write_file(out / "metrics.json", dumps(metrics, indent=1, allow_nan=False).encode("ascii") + b"\n")


def _write_page(page: Path, job: Job, evaluation: Evaluation, comparison: Comparison | None, images: Path | None) -> None:
    from maskzoo.datasets.annotations import find_image_folder
    from maskzoo.evaluation.analysis import analyze
    from maskzoo.reports.page import write_page
    from maskzoo.reports.pictures import make_pictures

    analysis = analyze(job.annotations, job.found.results)
    try:
        folder = find_image_folder(job.annotations, images)
        pictures = make_pictures(job.annotations, job.found.results, analysis, folder)
    except SourceError as error:  # results can be scored without the images
        open_stderr().print(f"{page}: gets no pictures: {error}", soft_wrap=True)
        pictures = []
    facts = {"Model": job.name, "Data": job.annotations.source, "Detections": f"{evaluation.detections:,}"}
    if job.found.seconds:
        facts["Speed"] = f"{job.found.images / job.found.seconds:.1f} images/s"
    if comparison is not None:
        facts["Published figures"] = str(comparison)
    if job.found.failed:
        facts["Could not be run"] = f"{len(job.found.failed)} of {job.found.images} images"
    make_folder(page.parent)
    write_page(
        page,
        title=f"{job.name} on {Path(job.annotations.source).name}",
        facts=facts,
        classes=job.annotations.classes.names,
        evaluation=evaluation,
        analysis=analysis,
        pictures=pictures,
    )


def _print_tables(job: Job, evaluation: Evaluation, comparison: Comparison | None) -> None:
    console = open_stdout()
    kinds = {kind: metrics for kind, metrics in (("box", evaluation.box), ("mask", evaluation.mask)) if metrics}
    console.print(tabulate_classes(job.annotations, evaluation, kinds))
    console.print()
    console.print(tabulate_metrics(kinds))
    objects = int(evaluation.objects.sum())
    line = f"{job.name}: {evaluation.images:,} images, {objects:,} objects, {evaluation.detections:,} detections"
    if job.found.seconds:
        seconds, rate = job.found.seconds, job.found.images / job.found.seconds
        line += f", {job.found.images:,} images run in {seconds:.1f} s, {rate:.1f} images/s"
    console.print(line, soft_wrap=True)
    for note in (job.match.note if job.match else None, comparison):
        if note is not None:
            console.print(str(note), soft_wrap=True)


def _print_failures(found: Evaluated) -> None:
    console: Console = open_stderr()
    count = len(found.failed)
    lines = [f"{count} of {found.images} images could not be run; they count as images without detections:"]
    lines += [failure.error for failure in found.failed[:SHOWN]]
    lines += [f"and {count - SHOWN} more"] if count > SHOWN else []
    console.print("\n  ".join(lines), style="red", soft_wrap=True)
