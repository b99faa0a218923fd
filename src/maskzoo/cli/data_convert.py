"""`maskzoo data convert`: other formats of data sets to COCO instances files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json, start_table
from maskzoo.errors import list_some

__all__ = ["Format", "convert_data"]

Format = Literal[  # of what is read, in the order of FORMATS, which takes too long to import here
    "auto", "yolo", "labelme", "supervisely", "datumaro", "fiftyone", "cvat", "via", "labelstudio", "isat", "labelbox",
    "cityscapes", "panoptic", "voc", "voc_xml", "masks", "coco", "predictions",
]  # fmt: skip
Boxes = Literal["masks", "crowds", "skip"]
Pictures = Literal["link", "copy", "none"]
Target = Literal[
    "coco", "yolo", "labelme", "voc", "via", "cvat", "labelstudio", "masks", "class_masks", "cutouts", "geojson", "csv"
]
Parts = Literal["one", "each"]


def convert_data(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A data set's folder or file, or a folder of predictions.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write, or a folder.")],
    kind: Annotated[Format, typer.Option("--from", help="What SOURCE is; auto looks at its files.")] = "auto",
    to: Annotated[Target, typer.Option(help="What OUT is.")] = "coco",
    classes: Annotated[
        str | None,
        typer.Option(metavar="NAMES|FILE", help="In order: cat,dog or a text file; or a map (.yml) of new names to old."),
    ] = None,
    boxes: Annotated[
        Boxes | None,
        typer.Option(
            help="What a box without an outline becomes: a rectangular object, a region that training leaves out, or nothing."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The images' folder, if they are not near the labels."),
    ] = None,
    pictures: Annotated[
        Pictures | None,
        typer.Option(help="What stands beside the labels of yolo, labelme, voc and masks: links, copies or no pictures."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The COCO file that was predicted, if no images.json lies beside.")
    ] = None,
    score: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="P", help="Leave out predictions below this score.")
    ] = None,
    parts: Annotated[
        Parts | None,
        typer.Option(help="What the separate parts of one number in a mask picture are: one object, or each an object."),
    ] = None,
    threshold: Annotated[
        int | None, typer.Option(metavar="GREY", help="Take what is above this grey of a mask picture for objects.")
    ] = None,
    class_attribute: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The attribute that is an object's class, where there are several (VIA)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of OUT that are there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Convert a data set, or what a model found, from one format to another.

    SOURCE stays as it is, and the images stay where they are. Outlines of masks
    are exact, holes too, or have an IoU of 0.99 at least where a labelling tool
    wants polygons. Whatever cannot be converted is left out, counted and named;
    the exit code is 3 then. What the format of OUT does not hold is counted.

    Examples:
      maskzoo data convert fruits/data.yaml fruits/annotations
      maskzoo data convert labelled_photos photos.json --from labelme
      maskzoo data convert VOCdevkit voc
      maskzoo data convert PennFudanPed people.json --classes person
      maskzoo data convert val.json yolo --to yolo --images photos
      maskzoo data convert found proposals --to labelme --score 0.5
    """
    from maskzoo.datasets.exporters.content import describe_losses
    from maskzoo.datasets.importers.convert import convert_dataset

    given = None if kind == "auto" else kind
    with show_progress() as on_progress:
        made = convert_dataset(
            source,
            out,
            format=given,
            to=to,
            classes=classes,
            boxes=boxes,
            images=images,
            pictures=pictures,
            data=data,
            score=score,
            parts=parts,
            threshold=threshold,
            class_attribute=class_attribute,
            force=force,
            on_progress=on_progress,
        )
    console = open_stdout()
    if json:
        print_json(made.to_dict())
    else:
        table = start_table("file", "images", "without objects", "objects", "left out")
        for split in made.splits.values():
            numbers = (split.images, split.empty_images, split.objects, len(split.skipped))
            table.add_row(str(split.file), *(f"{number:,}" for number in numbers))
        console.print(table)
        noun = "class" if len(made.classes) == 1 else "classes"
        written = "" if made.to == "coco" else f" to {made.to}"
        console.print(f"From {made.format}{written}, {len(made.classes)} {noun}: {list_some(made.classes)}", soft_wrap=True)
        if made.lost:
            console.print(f"lost: {', '.join(describe_losses(made.lost))}", soft_wrap=True)
        for note in made.notes:
            console.print(note, soft_wrap=True)
    if made.skipped:
        count = f"{len(made.skipped)} {'row' if len(made.skipped) == 1 else 'rows'} of the input left out:"
        lines = list_some([count, *map(str, made.skipped)], 21, "\n  ")
        open_stderr().print(lines + (" (--json lists all)" if len(made.skipped) > 20 else ""), style="red", soft_wrap=True)
        raise typer.Exit(3)
