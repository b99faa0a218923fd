"""`maskzoo data show`: a contact sheet of annotated images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maskzoo.cli.options import FontFile, Overrides
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json
from maskzoo.errors import list_some

__all__ = ["show_data"]


def show_data(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON), or a folder of a usual layout.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture to write, .jpg or .png.")] = Path("sheet.jpg"),
    count: Annotated[
        int | None, typer.Option(min=1, max=200, metavar="N", help="How many images: 12, or 20 with --augmented.")
    ] = None,
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
    augmented: Annotated[
        str | None,
        typer.Option(metavar="RECIPE", help="As training sees them: a model, or photo, aerial, microscopy, industrial, lsj."),
    ] = None,
    overrides: Overrides = None,
    font: FontFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Draw some annotated images on one sheet, to see what a network will learn.

    Each class has its colour; crowds are striped in grey. Images that are
    missing, cannot be read or have another size than DATA says are named, and
    the exit code is 3.

    With --augmented: the first pictures of a run by a model's recipe (a name
    or .yml), or by one that has a name, augmented, resized and flipped, with
    the objects as they are then. Of fewer images than N each comes again.

    Examples:
      maskzoo data show photos.json
      maskzoo data show coco --split val --class dog --count 20 --out dogs.png
      maskzoo data show photos.json --image 139 --image 285
      maskzoo data show photos.json --augmented aerial
      maskzoo data show photos.json --augmented my.yml --set run.jitter=[0.1,2.0]
    """
    if augmented is not None:
        if name is not None:
            raise typer.BadParameter("expected no --class with --augmented: a run trains on all", param_hint="--class")
        drawn_by = {"out": out, "count": count or 20, "image": image or (), "seed": seed, "split": split, "images": images}
        _show_augmented(data, augmented, overrides or [], font, json, drawn_by)
        return
    if overrides:
        raise typer.BadParameter("expected --augmented RECIPE, whose values it changes", param_hint="--set")
    from maskzoo.datasets.draw import draw_dataset

    with show_progress() as on_progress:
        drawn = draw_dataset(
            data, out=out, count=count or 12, class_name=name, image=image or (), seed=seed, split=split, images=images,
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


def _show_augmented(
    data: Path, recipe: str, overrides: list[str], font: Path | None, json: bool, drawn_by: dict[str, Any]
) -> None:
    from maskzoo.training.draw import draw_augmented

    with show_progress() as on_progress:
        drawn = draw_augmented(data, recipe, overrides=overrides, font=font, on_progress=on_progress, **drawn_by)
    if json:
        print_json(drawn.to_dict())
    else:
        counts = f"{len(drawn.images)} pictures, {drawn.objects} objects; {drawn.lost} more left their picture or were covered"
        open_stdout().print(f"Wrote {drawn.out}: {counts}", soft_wrap=True)
    if drawn.replaced:
        open_stderr().print(list_some(drawn.replaced, 21, "\n  "), style="red", soft_wrap=True)
        raise typer.Exit(3)
