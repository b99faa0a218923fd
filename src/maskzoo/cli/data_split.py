"""`maskzoo data split`: one COCO file into train, val and test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stdout, print_json, start_table

__all__ = ["split_data"]


def split_data(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON), or a folder with one.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder for train.json, val.json and test.json.")],
    val: Annotated[float, typer.Option(min=0, max=1, metavar="PART", help="Part of the images for val.")] = 0.2,
    test: Annotated[
        float, typer.Option(min=0, max=1, metavar="PART", help="Part of the images for test; 0 writes none.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(metavar="N", help="The same number gives the same division, another one another.")] = 0,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Keep images together whose names agree in what this finds, as frames of a video."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of OUT that are there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Divide a data set into train, val and test.

    Every class is shared out as evenly as it can be, and every image with its
    annotations is in exactly one file. DATA and the images stay as they are.

    Examples:
      maskzoo data split photos.json parts
      maskzoo data split photos.json parts --val 0.1 --test 0.1 --seed 7
      maskzoo data split frames.json parts --group-by '^[^_]+'
    """
    from maskzoo.datasets.split import split_dataset

    with show_progress() as on_progress:
        divided = split_dataset(
            data, out, val=val, test=test, seed=seed, group_by=group_by, force=force, on_progress=on_progress
        )
    if json:
        print_json(divided.to_dict())
        return
    parts = divided.splits
    table = start_table("class", *parts, *(f"{name} %" for name in parts))
    images = {"name": "images", **{name: part.images for name, part in parts.items()}}
    for row in [*divided.classes, images]:
        total = sum(row[name] for name in parts)
        shares = (f"{100 * row[name] / total:.0f}" if total else "-" for name in parts)
        table.add_row(row["name"], *(f"{row[name]:,}" for name in parts), *shares)
    console = open_stdout()
    console.print(table)
    console.print(f"Wrote {', '.join(str(part.file) for part in parts.values())}", soft_wrap=True)
    if divided.note:
        console.print(divided.note, soft_wrap=True)
