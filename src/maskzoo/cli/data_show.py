"""`maskzoo data show`: a contact sheet of annotated images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.cli.options import FontFile
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json
from maskzoo.errors import list_some

__all__ = ["show_data"]


def show_data(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON), or a folder of a usual layout.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture to write, .jpg or .png.")] = Path("sheet.jpg"),
    count: Annotated[int, typer.Option(min=1, max=200, metavar="N", help="How many images.")] = 12,
    name: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Only images with this class, and its objects.")
    ] = None,
    image: Annotated[list[int] | None, typer.Option(metavar="ID", help="This image; may be given again.")] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same number gives the same choice of images.")] = 0,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="The split of a folder: train, val or test; else its first.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images' folder, or one with a folder for each split.")
    ] = None,
    font: FontFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Draw some annotated images on one sheet, to see what a network will learn.

    Each class has its colour; crowds are striped in grey. Images that are
    missing, cannot be read or have another size than DATA says are named, and
    the exit code is 3.

    Examples:
      maskzoo data show photos.json
      maskzoo data show coco --split val --class dog --count 20 --out dogs.png
      maskzoo data show photos.json --image 139 --image 285
    """
    from maskzoo.datasets.draw import draw_dataset

    with show_progress() as on_progress:
        drawn = draw_dataset(
            data, out=out, count=count, class_name=name, image=image or (), seed=seed, split=split, images=images,
            font=font, on_progress=on_progress,
        )  # fmt: skip
    if json:
        print_json(drawn.to_dict())
    else:
        open_stdout().print(f"Wrote {out}: {len(drawn.images)} of {drawn.total} images", soft_wrap=True)
    if drawn.failed:
        heading = f"{len(drawn.failed)} of {len(drawn.images) + len(drawn.failed)} images could not be shown:"
        reasons = [f"{path}: {reason}" for path, reason in drawn.failed.items()]
        open_stderr().print(list_some([heading, *reasons], 21, "\n  "), style="red", soft_wrap=True)
        raise typer.Exit(3)
