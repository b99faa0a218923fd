"""`maskzoo eval`: COCO AP and AR of a model, or of a file of results, on a data set."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box as boxes
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from maskzoo.cli.loading import load_predictor
from maskzoo.cli.outputs import make_folder, write_file
from maskzoo.cli.predict import Device, Dtype
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json
from maskzoo.errors import ConfigError, MaskzooError

if TYPE_CHECKING:
    from maskzoo.config import ModelConfig
    from maskzoo.data.annotations import AnnotationSet
    from maskzoo.data.classes import ClassMatch
    from maskzoo.evaluation.metrics import Evaluation, Metrics
    from maskzoo.evaluation.report import Comparison
    from maskzoo.evaluation.results import Results
    from maskzoo.inference.predictor import Predictor

__all__ = ["evaluate"]

NO_MODEL = "-"
SHOWN = 20  # images named that could not be run


@dataclass
class Run:
    """What happened while the images were run: how many, how long, and which could not be."""

    images: int = 0
    seconds: float = 0.0
    failed: list[dict[str, Any]] = field(default_factory=list)


def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A name from [bold]maskzoo models[/], your .yml, or a .safetensors file."),
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON).")],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights instead of the published; your own .yml needs them.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images' folder, if it is not found beside DATA.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Images computed together.")] = 1,
    device: Annotated[Device, typer.Option(help="auto is the GPU where there is one.")] = Device.auto,
    dtype: Annotated[
        Dtype, typer.Option(help="bfloat16 is faster where the hardware has it, and less exact.")
    ] = Dtype.float32,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the model file; may be given again."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run and score the first N images only.")
    ] = None,
    all_images: Annotated[
        bool, typer.Option("--all-images", help="Run images without an object too; published figures leave them out.")
    ] = False,
    from_predictions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score this COCO result file and run nothing; MODEL may be - then."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write predictions.json and metrics.json here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Measure box and mask AP on a data set.

    All that the model finds counts: its own score threshold applies. An image
    that has no object but crowds is not run, as in the published evaluation, and
    still counts as one of the data set. If images are missing or cannot be read,
    they are named, the rest is scored, and the exit code is 3.

    Examples:
      maskzoo eval mask_rcnn_r50_fpn_1x_coco annotations/instances_val2017.json
      maskzoo eval my.yml val.json --weights my.safetensors --images photos
      maskzoo eval - val.json --from-predictions found/predictions.json
    """
    from maskzoo.data.coco import read_annotations
    from maskzoo.evaluation.metrics import evaluate as score
    from maskzoo.evaluation.report import compare_with_published, to_dict
    from maskzoo.evaluation.results import read_results

    _check_call(model, weights, images, from_predictions, override)
    if from_predictions is not None:
        annotations, config, run = read_annotations(data), _read_config(model, override or ()), Run()
        match = _match(config, annotations, data)
        results = read_results(from_predictions, annotations)
        if limit is not None:
            kept = _choose_images(annotations, limit, all_images)
            annotations, results = annotations.select(kept), results.take_images(kept)
    else:
        annotations = read_annotations(data)
        if limit is not None:
            annotations = annotations.select(_choose_images(annotations, limit, all_images))
        folder = _find_folder(annotations, images)
        predictor = load_predictor(model, weights, device=device.value, dtype=dtype.value, overrides=override or ())
        config = predictor.config
        match = _match(config, annotations, data)
        results, run = _run_images(predictor, annotations, folder, match, batch, all_images)
    evaluation = score(annotations, results)
    changes = _list_changes(override or (), dtype, all_images, run)
    comparison = None if config is None else compare_with_published(config, annotations, evaluation, changes)
    name = from_predictions.name if config is None and from_predictions is not None else config.name if config else model
    printed = {
        "model": name,
        "data": str(data),
        **to_dict(evaluation, annotations),
        "published": None if comparison is None else asdict(comparison) | {"reached": comparison.reached},
        "classes_matched": match.note if match else None,
        "images_run": run.images,
        "seconds": round(run.seconds, 3),
        "failed": run.failed,
    }
    if out is not None:
        _write(out, annotations, results, printed, write_predictions=from_predictions is None)
    if json:
        print_json(printed)
    else:
        _print_tables(name, annotations, evaluation, run, match, comparison)
        if out is not None:
            open_stdout().print(f"Saved to {out}", soft_wrap=True)
    if run.failed:
        _print_failures(run)
        raise typer.Exit(3)


def _check_call(
    model: str, weights: Path | None, images: Path | None, predictions: Path | None, overrides: list[str] | None
) -> None:
    if model == NO_MODEL and predictions is None:
        raise typer.BadParameter("found -, which is no model; it stands only with --from-predictions", param_hint="MODEL")
    if predictions is not None and (weights is not None or images is not None):
        option = "--weights" if weights is not None else "--images"
        raise typer.BadParameter("nothing is run with --from-predictions; leave it out", param_hint=option)
    if model == NO_MODEL and overrides:
        raise typer.BadParameter("MODEL is -, so there is no value to change; leave it out", param_hint="--set")


def _read_config(model: str, overrides: Sequence[str]) -> ModelConfig | None:
    if model == NO_MODEL:
        return None
    if Path(model).suffix == ".safetensors":
        from maskzoo.weights.checkpoint import read_checkpoint_config

        return read_checkpoint_config(model)
    from maskzoo.zoo.table import read_row

    return read_row(model, overrides)


def _match(config: ModelConfig | None, annotations: AnnotationSet, data: Path) -> ClassMatch | None:
    if config is None:
        return None
    from maskzoo.data.classes import ClassMap, match_classes

    return match_classes(ClassMap.from_classes(config.classes), annotations.classes, config.name, str(data))


def _choose_images(annotations: AnnotationSet, limit: int | None, all_images: bool) -> Any:
    """Which images are run, bool `[I]`: those with an object that trains, or all; by ascending id, up to the limit."""
    import numpy as np

    from maskzoo.data.annotations import find_trainable

    chosen = np.ones(len(annotations), np.bool_)
    if not all_images:
        objects = annotations.image_index[find_trainable(annotations)]
        chosen = np.bincount(objects, minlength=len(annotations)) > 0
    return chosen if limit is None else chosen & (np.cumsum(chosen) <= limit)


def _find_folder(annotations: AnnotationSet, images: Path | None) -> Path:
    from maskzoo.data.annotations import find_image_folder

    if images is None:
        return find_image_folder(annotations)
    if not images.is_dir():
        raise ConfigError(f"{images}: no such folder; expected the folder of the images (--images)")
    return images


def _run_images(
    predictor: Predictor, annotations: AnnotationSet, folder: Path, match: ClassMatch | None, batch: int, all_images: bool
) -> tuple[Results, Run]:
    """Predict image by image, and keep rows only."""
    import numpy as np

    from maskzoo.errors import ImageError
    from maskzoo.evaluation.results import Results

    results, run = Results(), Run()
    labels = np.arange(len(annotations.classes)) if match is None else match.labels
    places = np.flatnonzero(_choose_images(annotations, None, all_images)).tolist()
    began = time.perf_counter()
    paths = (folder / annotations.file_name(place) for place in places)
    found = predictor.predict_each(paths, batch_size=batch)
    for place, (source, prediction) in zip(places, _track(found, len(places)), strict=True):
        try:
            if isinstance(prediction, ImageError):
                raise prediction
            height, width = annotations.sizes[place].tolist()
            results.add_prediction(place, prediction, (height, width), labels)
        except MaskzooError as error:
            text = str(error) if isinstance(error, ImageError) else f"{source}: {error}"
            run.failed.append({"image_id": int(annotations.image_ids[place]), "source": str(source), "error": text})
        run.images += 1
    run.seconds = time.perf_counter() - began
    return results, run


def _track(found: Iterator[tuple[Any, Any]], total: int) -> Iterator[tuple[Any, Any]]:
    console = open_stderr()
    columns = (
        TextColumn("Evaluating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, rate="")
        began = time.perf_counter()
        for number, item in enumerate(found, 1):
            yield item
            rate = number / (time.perf_counter() - began)
            progress.update(task, completed=number, rate=f"{rate:.1f} images/s")


def _list_changes(overrides: Sequence[str], dtype: Dtype, all_images: bool, run: Run) -> str | None:
    changes = [f"--set {override}" for override in overrides]
    changes += ["--all-images"] if all_images else []
    changes += [f"--dtype {dtype.value}"] if dtype is not Dtype.float32 else []
    changes += [f"{len(run.failed)} images could not be run"] if run.failed else []
    return f"this run differs by {', '.join(changes)}" if changes else None


def _write(
    out: Path, annotations: AnnotationSet, results: Results, metrics: dict[str, Any], write_predictions: bool
) -> None:
    from json import dumps

    make_folder(out)
    if write_predictions:
        write_file(out / "predictions.json", results.to_json(annotations))
    write_file(out / "metrics.json", dumps(metrics, indent=1, allow_nan=False).encode("ascii") + b"\n")


def _print_tables(
    name: str,
    annotations: AnnotationSet,
    evaluation: Evaluation,
    run: Run,
    match: ClassMatch | None,
    comparison: Comparison | None,
) -> None:
    console = open_stdout()
    kinds = {kind: metrics for kind, metrics in (("box", evaluation.box), ("mask", evaluation.mask)) if metrics}
    console.print(_tabulate_classes(annotations, evaluation, kinds))
    console.print()
    console.print(_tabulate_metrics(kinds))
    objects = int(evaluation.objects.sum())
    line = f"{name}: {evaluation.images:,} images, {objects:,} objects, {evaluation.detections:,} detections"
    if run.seconds:
        line += f", {run.images:,} images run in {run.seconds:.1f} s, {run.images / run.seconds:.1f} images/s"
    console.print(line, soft_wrap=True)
    for note in (match.note if match else None, comparison):
        if note is not None:
            console.print(str(note), soft_wrap=True)


def _start_table(*columns: str) -> Table:
    table = Table(box=boxes.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    return table


def _tabulate_metrics(kinds: dict[str, Metrics]) -> Table:
    """AP by IoU and area, AR by number of detections and area, in percent."""
    from maskzoo.evaluation.metrics import NAMES

    table = _start_table("percent", *kinds)
    for place, name in enumerate(NAMES):
        table.add_row(name.replace("_", " "), *(_format(metrics.values[place]) for metrics in kinds.values()))
    return table


def _tabulate_classes(annotations: AnnotationSet, evaluation: Evaluation, kinds: dict[str, Metrics]) -> Table:
    columns = [f"{kind} {name}" for kind in kinds for name in ("AP", "AP50")]
    table = _start_table("class", "objects", *columns)
    for label, name in enumerate(annotations.classes.names):
        if not evaluation.objects[label]:
            continue
        numbers = [metrics.classes[label] for metrics in kinds.values()]
        cells = [_format(value) for row in numbers for value in (row.ap, row.ap50)]
        table.add_row(name, str(evaluation.objects[label]), *cells)
    return table


def _format(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _print_failures(run: Run) -> None:
    console: Console = open_stderr()
    lines = [f"{len(run.failed)} of {run.images} images could not be run; they count as images without detections:"]
    lines += [failure["error"] for failure in run.failed[:SHOWN]]
    lines += [f"and {len(run.failed) - SHOWN} more"] if len(run.failed) > SHOWN else []
    console.print("\n  ".join(lines), style="red", soft_wrap=True)
