"""`maskzoo predict`: from images to pictures, COCO JSON and a table."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from maskzoo.cli.loading import (
    Backend,
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
from maskzoo.cli.outputs import join_json, write_results
from maskzoo.cli.parts import Parts
from maskzoo.cli.prediction_job import Job, Task, run_jobs
from maskzoo.cli.prediction_plan import count, find_images
from maskzoo.cli.terminal import open_stderr, open_stdout
from maskzoo.files import make_folder

if TYPE_CHECKING:
    from maskzoo.processes import Processes

__all__ = ["predict"]

SHOWN = 20  # rows of the table at the end
TOP = 3  # classes of an image in the table


def predict(
    model: Model,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Images, folders, quoted patterns ('photos/**/*.jpg'), @LIST.txt (a path a line), .tar files of images, "
            "or - for an image on standard input. Or one data set: a COCO instances file (.json).",
        ),
    ],
    weights: Weights = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of a data set's images, if it is not near SOURCE.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the results.")] = Path("maskzoo-predictions"),
    save: Annotated[
        str, typer.Option(metavar="KINDS", help="What to save: image, json, both with a comma, or none.")
    ] = "image,json",
    score: Annotated[
        float,
        typer.Option(min=0, max=1, help="Draw, save and count objects from this score on. For an evaluation: 0."),
    ] = 0.5,
    batch: Batch = 1,
    device: DeviceOption = Device.auto,
    backend: BackendOption = Backend.auto,
    dtype: DtypeOption = Dtype.auto,
    calibrate: Calibrate = None,
    override: Overrides = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Images worked on at once, in threads; as many as pay if left out."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Find the objects in images, save pictures and COCO JSON.

    The objects are drawn in DIR/NAME.jpg. DIR/predictions.json holds them as COCO
    results; DIR/images.json has the names of the images and categories that its ids
    refer to. Of a data set these are its own ids, of other images numbers in their
    names, or 1, 2 ...: keep images.json beside the results for maskzoo eval.
    If some images cannot be read, the others' results are saved and the exit code
    is 3. A call that was killed goes on where it was when it is repeated. Started by
    torchrun, the processes share the images, and the first one merges the results.

    Examples:
      maskzoo predict mask_rcnn_r50_fpn_1x_coco photo.jpg
      maskzoo predict my.yml photos --weights my.safetensors
      maskzoo predict r50.safetensors 'photos/**/*.png' --score 0 --save json
      maskzoo predict my.yml val.json --images photos --score 0 --save json
      torchrun --nproc-per-node 4 -m maskzoo predict my.safetensors photos.tar
    """
    from maskzoo.processes import join_processes

    kinds = _parse_kinds(save)
    with join_processes(device.value) as processes, ExitStack() as stack:
        plan = find_images(sources, images, out if kinds else None, processes)
        place = device.value if processes.count == 1 else processes.device.type
        silent = processes.rank > 0
        predictor = load_predictor(
            model,
            weights,
            silent=silent,
            device=place,
            backend=backend.value,
            dtype=dtype.value,
            calibrate=calibrate,
            overrides=override or (),
        )
        numbers = plan.number_classes(predictor.config)
        for note in (f"Running on {predictor.describe_backend()}", numbers.note):
            if note is not None and not silent:
                open_stderr().print(note, soft_wrap=True)
        folder = out if kinds else _make_scratch(processes, stack)
        make_folder(folder)
        jobs = plan.make_jobs(folder)
        if workers is None:
            workers = predictor.backend.choose_workers()
        workers = min(workers, -(-len(jobs) // (batch * processes.count)))
        task = Task(predictor, kinds, score, batch, json, numbers.categories)
        parts = run_jobs(task, jobs, folder, workers, processes)
        if parts is None:
            return  # the first process has it all
        if "json" in kinds:
            rows = (row for _, record in parts.read() for row in record.get("coco", ()))
            write_results(out, join_json(rows), _index(jobs, parts, numbers.classes, "image" in kinds))
        summary = _summarize(jobs, parts)
        if json:
            _print_json(predictor.config.name, jobs, parts, summary)
        else:
            _print_table(summary, score, timed=batch == 1 and workers == 1)
            if kinds and summary.images:
                open_stdout().print(f"Saved to {out}: {_name_outputs(kinds)}", soft_wrap=True)
        parts.remove()
    if summary.failed:
        title = f"{len(summary.failed)} of {count(len(jobs), 'image')} could not be read:"
        errors = [failure["error"] for failure in summary.failed]
        open_stderr().print("\n  ".join([title, *errors]), style="red", soft_wrap=True)
        raise typer.Exit(3)


@dataclass
class Summary:
    """What is told at the end: counts, the first images with their records, and every image that could not be read."""

    images: int = 0
    objects: int = 0
    seconds: float = 0.0
    shown: list[tuple[Job, dict[str, Any]]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)


def _summarize(jobs: Sequence[Job], parts: Parts) -> Summary:
    summary = Summary()
    for number, record in parts.read():
        summary.seconds += record["seconds"]
        if "error" in record:
            summary.failed.append({"source": jobs[number].name, "error": record["error"]})
            continue
        summary.images += 1
        summary.objects += sum(record["names"].values())
        if len(summary.shown) < SHOWN:
            summary.shown.append((jobs[number], record))
    return summary


def _make_scratch(processes: Processes, stack: ExitStack) -> Path:
    """Make a folder for the part files of a call that saves nothing; it goes when the call ends."""
    name = stack.enter_context(tempfile.TemporaryDirectory(prefix="maskzoo-")) if processes.rank == 0 else ""
    return Path(processes.broadcast(name))


def _parse_kinds(save: str) -> frozenset[str]:
    kinds = frozenset(kind.strip() for kind in save.split(","))
    if kinds == {"none"}:
        return frozenset()
    if not kinds <= {"image", "json"}:
        raise typer.BadParameter(f"found {save!r}; expected image, json, image,json or none", param_hint="--save")
    return kinds


def _print_json(model: str, jobs: Sequence[Job], parts: Parts, summary: Summary) -> None:
    """Print one line of JSON, image by image: all of them need not fit into memory."""
    images = (
        {
            "source": jobs[number].name,
            "image_id": jobs[number].image_id,
            "height": record["height"],
            "width": record["width"],
            "detections": record["detections"],
        }
        for number, record in parts.read()
        if "error" not in record
    )
    sys.stdout.write(f'{{"model": {dumps(model)}, "images": ')
    for piece in join_json(images):
        sys.stdout.write(piece)
    sys.stdout.write(f', "failed": {dumps(summary.failed)}}}\n')


def _index(jobs: Sequence[Job], parts: Parts, classes: dict[int, str], pictures: bool) -> Iterator[str]:
    """Describe the images as a COCO data set without annotations, so that COCO tools can load the results over it."""
    images = (
        {"id": job.image_id, "file_name": job.name, "width": record["width"], "height": record["height"]}
        | ({"picture": job.picture.name} if pictures else {})
        for job, record in ((jobs[number], record) for number, record in parts.read())
        if "error" not in record
    )
    categories = [{"id": number, "name": name} for number, name in classes.items()]
    yield '{"info": {}, "images": '
    yield from join_json(images)
    yield f', "annotations": [], "categories": {dumps(categories)}}}'


def _name_outputs(kinds: frozenset[str]) -> str:
    return ", ".join(
        (["a picture of each image"] if "image" in kinds else [])
        + (["predictions.json (COCO results)", "images.json"] if "json" in kinds else [])
    )


def _print_table(summary: Summary, score: float, timed: bool) -> None:
    console = open_stdout()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("image", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("objects", justify="right", no_wrap=True)
    table.add_column("classes")
    if timed:  # of images computed together, one waits for another
        table.add_column("seconds", justify="right", no_wrap=True)
    for job, record in summary.shown:
        counts = Counter(record["names"])
        names = [f"{count} {name}" for name, count in counts.most_common(TOP)]
        classes = ", ".join([*names, "..."] if len(counts) > TOP else names)
        name, size = _shorten(job.name, console.width // 3), f"{record['width']} x {record['height']}"
        table.add_row(name, size, str(counts.total()), classes, *([f"{record['seconds']:.2f}"] if timed else []))
    if summary.shown:
        console.print(table)
    if summary.images > SHOWN:
        console.print(f"and {summary.images - SHOWN} more")
    rate = f", {summary.images / summary.seconds:.1f} images/s" if summary.images and summary.seconds else ""
    console.print(
        f"{count(summary.images, 'image')}, {count(summary.objects, 'object')} with a score from {score:g}, "
        f"{summary.seconds:.1f} s{rate}"
    )


def _shorten(name: str, width: int) -> str:
    """Keep the end of a long path: there stands the file's name."""
    return name if len(name) <= width else "\N{HORIZONTAL ELLIPSIS}" + name[1 - width :]
