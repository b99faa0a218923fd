"""`maskzoo predict`: from images to pictures, COCO JSON and a table."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
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
from maskzoo.cli.outputs import encode_picture, make_folder, name_pictures, number_images, write_file, write_json
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json
from maskzoo.errors import ImageError, SourceError

if TYPE_CHECKING:
    from maskzoo.inference.predictor import Predictor
    from maskzoo.inference.result import Prediction

__all__ = ["predict"]

STDIN = "-"
SHOWN = 20  # rows of the table at the end
TOP = 3  # classes of an image in the table


@dataclass(frozen=True)
class Job:
    """One image: its name, what the predictor reads, its COCO id and where its picture goes."""

    name: str
    source: Path | bytes
    image_id: int
    picture: Path


@dataclass(frozen=True)
class Found:
    """What was found in one image; `detections` (for --json) and `coco` (rows) stay empty where nobody asked."""

    job: Job
    height: int
    width: int
    names: Counter[str]
    seconds: float
    detections: list[dict[str, Any]]
    coco: list[dict[str, Any]]


def predict(
    model: Model,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Images, folders, quoted patterns ('photos/**/*.jpg'), or - for an image on standard input.",
        ),
    ],
    weights: Weights = None,
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
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Find the objects in images, save pictures and COCO JSON.

    The objects are drawn in DIR/NAME.jpg. DIR/predictions.json holds them as COCO
    results; DIR/images.json has the image ids and categories that these refer to.
    If some images cannot be read, the others' results are saved and the exit code
    is 3.

    Examples:
      maskzoo predict mask_rcnn_r50_fpn_1x_coco photo.jpg
      maskzoo predict my.yml photos --weights my.safetensors
      maskzoo predict r50.safetensors 'photos/**/*.png' --score 0 --save json
    """
    from maskzoo.data.images import read_image

    kinds = _parse_kinds(save)
    jobs = _plan(sources, out)
    predictor = load_predictor(
        model,
        weights,
        device=device.value,
        backend=backend.value,
        dtype=dtype.value,
        calibrate=calibrate,
        overrides=override or (),
    )
    if kinds:
        make_folder(out)
    found: list[Found] = []
    failed: list[dict[str, str]] = []
    for job, result, seconds in _track(predictor, jobs, batch):
        if isinstance(result, ImageError):
            failed.append({"source": job.name, "error": str(result)})
            continue
        result = result[result.scores >= score]
        detections = result.to_dict()["detections"] if json else []
        coco = result.to_coco(job.image_id) if "json" in kinds else []
        found.append(Found(job, *result.size, Counter(result.names), seconds, detections, coco))
        if "image" in kinds:
            write_file(job.picture, encode_picture(result.draw(read_image(job.source))))
    if "json" in kinds:
        write_json(out / "predictions.json", [row for image in found for row in image.coco])
        write_json(out / "images.json", _index(found, predictor.config.classes, "image" in kinds))
    if json:
        print_json({"model": predictor.config.name, "images": [_to_json(image) for image in found], "failed": failed})
    else:
        _print_table(found, score, batch)
        if kinds and found:
            open_stdout().print(f"Saved to {out}: {_name_outputs(kinds)}", soft_wrap=True)
    if failed:
        title = f"{len(failed)} of {_count(len(jobs), 'image')} could not be read:"
        errors = [failure["error"] for failure in failed]
        open_stderr().print("\n  ".join([title, *errors]), style="red", soft_wrap=True)
        raise typer.Exit(3)


def _parse_kinds(save: str) -> frozenset[str]:
    kinds = frozenset(kind.strip() for kind in save.split(","))
    if kinds == {"none"}:
        return frozenset()
    if not kinds <= {"image", "json"}:
        raise typer.BadParameter(f"found {save!r}; expected image, json, image,json or none", param_hint="--save")
    return kinds


def _plan(sources: Sequence[str], out: Path) -> list[Job]:
    """Say for every image what is read and where its picture goes. Standard input, if named, comes first."""
    from maskzoo.data.images import find_images

    named: list[tuple[str, Path | bytes]] = []
    if STDIN in sources:
        if sys.stdin.isatty():
            raise SourceError("-: standard input is a terminal; expected the bytes of an image, as in < photo.jpg")
        named.append((STDIN, sys.stdin.buffer.read()))
    named += [(str(path), path) for path in find_images([source for source in sources if source != STDIN])]
    files = ["stdin" if name == STDIN else name for name, _ in named]
    numbered = zip(named, number_images(files), name_pictures(files, out), strict=True)
    return [Job(name, source, image_id, picture) for (name, source), image_id, picture in numbered]


def _track(predictor: Predictor, jobs: list[Job], batch: int) -> Iterator[tuple[Job, Prediction | ImageError, float]]:
    """Yield each image's result and the seconds spent waiting for it, while a progress bar moves on a terminal."""
    console = open_stderr()
    columns = (
        TextColumn("Predicting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(jobs), rate="")
        results = iter(predictor.predict_each([job.source for job in jobs], batch_size=batch))
        waited = 0.0
        for number, job in enumerate(jobs, 1):
            began = time.perf_counter()
            _, result = next(results)
            seconds = time.perf_counter() - began
            yield job, result, seconds
            waited += seconds
            progress.update(task, completed=number, rate=f"{number / waited:.1f} images/s")


def _to_json(image: Found) -> dict[str, Any]:
    return {
        "source": image.job.name,
        "image_id": image.job.image_id,
        "height": image.height,
        "width": image.width,
        "detections": image.detections,
    }


def _index(found: list[Found], classes: dict[int, str], pictures: bool) -> dict[str, Any]:
    """Describe the images as a COCO data set without annotations, so that COCO tools can load the results over it."""
    images = [
        {"id": image.job.image_id, "file_name": image.job.name, "width": image.width, "height": image.height}
        | ({"picture": image.job.picture.name} if pictures else {})
        for image in found
    ]
    categories = [{"id": number, "name": name} for number, name in classes.items()]
    return {"info": {}, "images": images, "annotations": [], "categories": categories}


def _name_outputs(kinds: frozenset[str]) -> str:
    return ", ".join(
        (["a picture of each image"] if "image" in kinds else [])
        + (["predictions.json (COCO results)", "images.json"] if "json" in kinds else [])
    )


def _print_table(found: list[Found], score: float, batch: int) -> None:
    console = open_stdout()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("image", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("objects", justify="right", no_wrap=True)
    table.add_column("classes")
    timed = batch == 1  # of a batch, the first image waits for all
    if timed:
        table.add_column("seconds", justify="right", no_wrap=True)
    for image in found[:SHOWN]:
        names = [f"{count} {name}" for name, count in image.names.most_common(TOP)]
        classes = ", ".join([*names, "..."] if len(image.names) > TOP else names)
        name, size = _shorten(image.job.name, console.width // 3), f"{image.width} x {image.height}"
        table.add_row(name, size, str(image.names.total()), classes, *([f"{image.seconds:.2f}"] if timed else []))
    if found:
        console.print(table)
    if len(found) > SHOWN:
        console.print(f"and {len(found) - SHOWN} more")
    objects, seconds = sum(image.names.total() for image in found), sum(image.seconds for image in found)
    rate = f", {len(found) / seconds:.1f} images/s" if found and seconds else ""
    console.print(
        f"{_count(len(found), 'image')}, {_count(objects, 'object')} with a score from {score:g}, {seconds:.1f} s{rate}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shorten(name: str, width: int) -> str:
    """Keep the end of a long path: there stands the file's name."""
    return name if len(name) <= width else "\N{HORIZONTAL ELLIPSIS}" + name[1 - width :]
