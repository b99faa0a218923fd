"""`maskzoo data pick`: the photos that are worth labelling next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.cli.options import DeviceOption, Model, Overrides, Weights, load_predictor
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json, start_table
from maskzoo.errors import count_words, list_some

__all__ = ["pick_data"]

ROWS = 20  # of the table


def pick_data(
    model: Model,
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Images, folders, quoted patterns, @LIST.txt (a path a line).")
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, metavar="N", help="How many photos.")] = 50,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of a list's images, if they do not lie beside the list.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The list to write, a path a line.")] = Path("pick.txt"),
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="Show them on an HTML page, with the reasons.")] = None,
    weights: Weights = None,
    device: DeviceOption = "auto",
    override: Overrides = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Pick the photos that are worth labelling next.

    Those of which the model is unsure come first: the mean doubt of a photo's
    five most doubtful objects, 1 at a score of a half and 0 at 0 and 1. Then
    always the one with the most doubt times distance to the nearest photo picked
    before, by the backbone's features. Of photos that are nearly the same one is
    considered. @FILE names the photos to other verbs. If some images cannot be
    read, the exit code is 3.

    Examples:
      maskzoo data pick runs/mine photos -n 50
      maskzoo data pick my.safetensors 'new/**/*.jpg' -n 20 --page pick.html
      maskzoo predict my.safetensors @pick.txt --save labelme
    """
    from maskzoo.picking.page import write_pick_page
    from maskzoo.picking.pick import pick_images

    with show_progress() as show:
        predictor = load_predictor(
            model, weights, show, device=device, backend="eager", overrides=override or ()
        )  # fmt: skip
        found = pick_images(predictor, sources, count, images=images, out=out, on_progress=show)
        if page is not None:
            write_pick_page(page, found, predictor, on_progress=show)
    if json:
        print_json(found.to_dict())
    else:
        table = start_table("photo", "doubt", "distance", "doubtful objects")
        table.columns[3].justify, table.columns[3].no_wrap = "left", False
        for one in found.picked[:ROWS]:
            distance = "" if one.nearest is None else f"{one.distance:.2f}"
            table.add_row(one.path.name, f"{one.doubt:.2f}", distance, one.list_doubtful())
        console = open_stdout()
        console.print(table)
        more = f", the first {ROWS} of them above" if len(found.picked) > ROWS else ""
        left = f"; left out: {len(found.duplicates)} nearly the same as another" if found.duplicates else ""
        console.print(f"Picked {len(found.picked)} of {count_words(found.images, 'image')}{more}{left}", soft_wrap=True)
        console.print(f"Wrote {out}{'' if page is None else f' and {page}'}; other verbs take it as @{out}", soft_wrap=True)
    if found.failed:
        heading = f"{len(found.failed)} of {count_words(found.images, 'image')} could not be read:"
        open_stderr().print(list_some([heading, *found.failed.values()], 21, "\n  "), style="red", soft_wrap=True)
        raise typer.Exit(3)
