"""`maskzoo predict`: from images to pictures, COCO JSON and a table."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskzoo.cli.options import (
    BackendName,
    BackendOption,
    Batch,
    Calibrate,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    FontFile,
    Model,
    Overrides,
    Weights,
    load_predictor,
)
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, start_table
from maskzoo.errors import count_words

if TYPE_CHECKING:
    from maskzoo.inference.folder_run import FolderRun

__all__ = ["predict"]

ROWS = 20  # of the table at the end
TOP = 3  # classes of an image in the table


def predict(
    model: Model,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Images, folders, quoted patterns ('photos/**/*.jpg'), @LIST.txt (a path a line), .tar files of images, "
            "or - for an image on standard input; sample is a photo that comes along. Or one data set: a COCO instances file "
            "(.json).",
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
        typer.Option(min=0, max=1, metavar="P", help="Draw, save and count objects from this score on. For an evaluation: 0."),
    ] = 0.5,
    classes: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Only objects of these classes: person,dog; all if left out.")
    ] = None,
    batch: Batch = 1,
    device: DeviceOption = Device.auto,
    backend: BackendOption = BackendName.auto,
    dtype: DtypeOption = Dtype.auto,
    calibrate: Calibrate = None,
    override: Overrides = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Images worked on at once, in threads; as many as pay if left out."),
    ] = None,
    font: FontFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Find the objects in images, save pictures and COCO JSON.

    The objects are drawn in DIR/NAME.jpg. DIR/predictions.json holds them as
    COCO results; DIR/images.json has the names of the images and categories that
    its ids refer to. Of a data set these are its own ids, of other images numbers
    in their names, or 1, 2 ...: keep images.json beside the results for maskzoo
    eval. If some images cannot be read, the others' results are saved and the
    exit code is 3. A call that was killed goes on where it was when it is
    repeated. Started by torchrun, the processes share the images, and the first
    one merges the results.

    Examples:
      maskzoo predict mask_rcnn_r50_fpn_1x_coco sample
      maskzoo predict mask_rcnn_r50_fpn_1x_coco photo.jpg
      maskzoo predict my.yml photos --weights my.safetensors
      maskzoo predict r50.safetensors 'photos/**/*.png' --score 0 --save json
      maskzoo predict my.yml val.json --images photos --score 0 --save json
      torchrun --nproc-per-node 4 -m maskzoo predict my.safetensors photos.tar
    """
    from maskzoo.inference.folder_run import predict_folder
    from maskzoo.system.processes import join_processes

    with join_processes(device.value) as processes:
        with show_progress(processes.rank) as show:
            run = predict_folder(
                lambda: load_predictor(
                    model,
                    weights,
                    show,
                    device=device.value if processes.count == 1 else processes.device.type,
                    backend=backend.value,
                    dtype=dtype.value,
                    calibrate=calibrate,
                    overrides=override or (),
                ),
                sources,
                out,
                images=images,
                font=font,
                save=save,
                score=score,
                classes=classes,
                batch=batch,
                workers=workers,
                on_progress=show,
                processes=processes,
            )
        if processes.rank > 0:
            return  # the first process has it all
        if json:
            for piece in run.to_json():
                sys.stdout.write(piece)
            sys.stdout.write("\n")
        else:
            _print_table(run, score, timed=batch == 1 and run.workers == 1)
            if run.saved and run.images:
                kinds = {"image": "a picture of each image", "json": "predictions.json (COCO results), images.json"}
                open_stdout().print(f"Saved to {out}: {', '.join(kinds[kind] for kind in run.saved)}", soft_wrap=True)
    if run.failed:
        title = f"{len(run.failed)} of {count_words(run.images + len(run.failed), 'image')} could not be read:"
        open_stderr().print("\n  ".join([title, *(image.error for image in run.failed)]), style="red", soft_wrap=True)
        raise typer.Exit(3)


def _print_table(run: FolderRun, score: float, timed: bool) -> None:
    console = open_stdout()
    # Of images computed together one waits for another: no time of its own.
    table = start_table("image", "size", "objects", "classes", *(["seconds"] if timed else []))
    table.columns[3].justify, table.columns[3].no_wrap = "left", False
    for result in islice(run.results(), ROWS):
        counts: Counter[str] = result.count_classes()
        names = [f"{count} {name}" for name, count in counts.most_common(TOP)]
        classes = ", ".join([*names, "..."] if len(counts) > TOP else names)
        name, size = _shorten(result.source, console.width // 3), f"{result.width} x {result.height}"
        table.add_row(name, size, str(counts.total()), classes, *([f"{result.seconds:.2f}"] if timed else []))
    if run.images:
        console.print(table)
    if run.images > ROWS:
        console.print(f"and {run.images - ROWS} more")
    rate = f", {run.images / run.seconds:.1f} images/s" if run.images and run.seconds else ""
    found = f"{count_words(run.images, 'image')}, {count_words(run.objects, 'object')} with a score from {score:g}"
    console.print(f"{found}, {run.seconds:.1f} s{rate}")


def _shorten(name: str, width: int) -> str:
    """Keep the end of a long path: there stands the file's name."""
    return name if len(name) <= width else "\N{HORIZONTAL ELLIPSIS}" + name[1 - width :]
