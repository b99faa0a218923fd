"""`maskzoo predict`: from images to pictures, COCO JSON and a table; from a video to a drawn one."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from maskzoo.cli.options import (
    BackendOption,
    Batch,
    Calibrate,
    DeviceOption,
    DtypeOption,
    FontFile,
    Model,
    Overrides,
    Weights,
    load_predictor,
)
from maskzoo.cli.predict_video import names_video, predict_one_video
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, start_table
from maskzoo.errors import ArgumentError, count_words
from maskzoo.progress import OnProgress
from maskzoo.system.collecting import for_good

if TYPE_CHECKING:
    from maskzoo.datasets.converted import ConvertedDataset
    from maskzoo.inference.folder_run import FolderRun
    from maskzoo.inference.predictor import Predictor

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
            "(.json). Or one video: a file, a camera (0), a stream (rtsp://...).",
        ),
    ],
    weights: Weights = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of a data set's or a list's images, if it is not near SOURCE."),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder for the results; of a video also the file: out.mp4.")
    ] = Path("maskzoo-predictions"),
    save: Annotated[
        str,
        typer.Option(
            metavar="KINDS",
            help="What to save, with commas: image, json, or a form: labelme, yolo, cvat, labelstudio, via, voc, coco, csv, "
            "masks, class_masks, cutouts, geojson; or none.",
        ),
    ] = "image,json",
    score: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="P", help="Draw, save and count objects from this score on. For an evaluation: 0."),
    ] = 0.5,
    classes: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Only objects of these classes: person,dog; all if left out.")
    ] = None,
    batch: Batch = 1,
    device: DeviceOption = "auto",
    backend: BackendOption = "auto",
    dtype: DtypeOption = "auto",
    calibrate: Calibrate = None,
    override: Overrides = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Images worked on at once, in threads; as many as pay if left out."),
    ] = None,
    tile: Annotated[
        str | None,
        typer.Option(metavar="PIXELS", help="For large images: predict tiles of this side, or auto, and join what they cut."),
    ] = None,
    overlap: Annotated[
        float, typer.Option(metavar="PART", help="What neighbouring tiles share, as a part of their side.")
    ] = 0.2,
    augment: Annotated[
        str | None, typer.Option(metavar="flip", help="Look at each image's mirror image too, and average: twice the time.")
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(metavar="FACTORS", help="Look at each image at other sizes too, 0.8,1.2 times the usual, and average."),
    ] = None,
    font: FontFile = None,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Of a video: predict every N-th frame only.")] = 1,
    track: Annotated[bool, typer.Option("--track", help="Of a video: follow objects, and give each its number.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Find the objects in images, save pictures and COCO JSON.

    The objects are drawn in DIR/NAME.jpg. DIR/predictions.json holds them as
    COCO results; DIR/images.json has the names of the images and categories that
    its ids refer to. Of a data set these are its own ids, of other images numbers
    in their names, or 1, 2 ...: keep images.json beside the results for maskzoo
    eval. Other forms go into DIR/FORM, to be corrected in a labelling tool, put
    on a map or cut out (docs/results.md). If some images cannot be read, the
    others' results are saved and the exit code is 3. A call that was killed goes
    on where it was when it is repeated. Started by torchrun, the processes share
    the images, and the first one merges the results. With --tile large images
    are read and predicted tile by tile, TIFF without ever being in memory as a
    whole.

    A video becomes DIR/NAME.mp4, with its sound, and DIR/NAME.jsonl, a line of
    JSON for each frame. Ctrl-C leaves both, as far as they go.

    Examples:
      maskzoo predict mask_rcnn_r50_fpn_1x_coco sample
      maskzoo predict mask_rcnn_r50_fpn_1x_coco photo.jpg
      maskzoo predict r50.safetensors clip.mp4 --out drawn.mp4 --track
      maskzoo predict r50.safetensors rtsp://camera/stream --every 5 --save json
      maskzoo predict my.yml photos --weights my.safetensors
      maskzoo predict r50.safetensors 'photos/**/*.png' --score 0 --save json
      maskzoo predict r50.safetensors photos --save labelme,cutouts
      maskzoo predict my.yml val.json --images photos --score 0 --save json
      maskzoo predict my.safetensors city.tif --tile 1024 --overlap 0.2
      maskzoo predict my.safetensors photos --augment flip --scales 0.8,1.2
      torchrun --nproc-per-node 4 -m maskzoo predict my.safetensors photos.tar
    """

    ways = _read_ways(augment, scales)

    def load(show: OnProgress, device: str = device) -> Predictor:
        from maskzoo.inference.augmented import augment as augment_predictor

        options = {"device": device, "backend": backend, "dtype": dtype}
        loaded = load_predictor(model, weights, show, calibrate=calibrate, overrides=override or (), **options)
        return augment_predictor(loaded, **ways)

    wanted: dict[str, Any] = {
        "save": save,
        "score": score,
        "classes": classes,
        "batch": batch,
        "workers": workers,
        "font": font,
    }
    if names_video(sources, out):
        if images is not None or tile is not None:
            found = f"{images}: --images belongs to a data set (.json)" if images is not None else "--tile belongs to images"
            raise ArgumentError(f"{found} as SOURCE; leave it out")
        predict_one_video(load, sources[0], out, json, every=every, track=track, **wanted)
        return
    if every > 1 or track:
        raise ArgumentError(f"{sources[0]}: --every and --track belong to one video as SOURCE; leave them out")
    with for_good():
        from maskzoo.inference.folder_run import predict_folder
        from maskzoo.system.processes import join_processes

    with join_processes(device) as processes:
        with show_progress(processes.rank) as show:
            run = predict_folder(
                lambda: load(show, device if processes.count == 1 else processes.device.type),
                sources,
                out,
                images=images,
                tile=_read_side(tile),
                overlap=overlap,
                on_progress=show,
                processes=processes,
                **wanted,
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
                saved = (kinds.get(kind, f"{kind}/") for kind in run.saved)
                open_stdout().print(f"Saved to {out}: {', '.join(saved)}", soft_wrap=True)
            for form in run.forms:
                _print_form(form)
    if run.failed:
        title = f"{len(run.failed)} of {count_words(run.images + len(run.failed), 'image')} could not be read:"
        open_stderr().print("\n  ".join([title, *(image.error for image in run.failed)]), style="red", soft_wrap=True)
        raise typer.Exit(3)


def _print_form(form: ConvertedDataset) -> None:
    """Print what one form does not hold, and what its user has to know."""
    from maskzoo.datasets.exporters.content import describe_losses

    lost = [f"lost: {', '.join(describe_losses(form.lost))}"] if form.lost else []
    for line in (*lost, *form.notes):
        open_stdout().print(f"{form.to}: {line}", soft_wrap=True)


def _read_ways(augment: str | None, scales: str | None) -> dict[str, Any]:
    if augment not in (None, "flip"):
        raise typer.BadParameter(f"found {augment!r}; expected flip", param_hint="--augment")
    try:
        factors = [float(factor) for factor in (scales or "").replace(",", " ").split()]
    except ValueError:
        raise typer.BadParameter(f"found {scales!r}; expected numbers, such as 0.8,1.2", param_hint="--scales") from None
    return {"flip": augment == "flip", "scales": factors}


def _read_side(text: str | None) -> int | Literal["auto"] | None:
    if text is None or text == "auto":
        return "auto" if text else None
    if not text.isdecimal():
        raise typer.BadParameter(f"found {text!r}; expected pixels, such as 1024, or auto", param_hint="--tile")
    return int(text)


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
