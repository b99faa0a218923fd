"""`maskzoo verify`: a model beside the library that it came from, on the same photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maskzoo.cli.options import Model, Overrides, Weights
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stdout, print_json
from maskzoo.errors import count_words, list_some

if TYPE_CHECKING:
    from rich.console import Console

    from maskzoo.zoo.counterparts.verify import Comparison

__all__ = ["verify"]

DIFFERS = 3  # the exit code


def verify(
    model: Model,
    photos: Annotated[list[str], typer.Argument(metavar="PHOTOS", help="Photos, folders of them, or patterns in quotes.")],
    against: Annotated[
        Literal["torchvision", "detectron2", "mmdetection"],
        typer.Option("--against", help="The library to run beside maskzoo."),
    ],
    python: Annotated[
        Path | None,
        typer.Option("--python", metavar="FILE", help="The Python in which it is installed, as [bold]venv/bin/python[/]."),
    ] = None,
    weights: Weights = None,
    override: Overrides = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Compare a model with another library's, on your photos.

    The model is written as the library's own file, loaded there, and run in a
    process of its own; both predict the same photos. The exit code is 3 if boxes
    differ by more than 0.05 pixels, scores by more than 0.001, masks by an IoU
    below 0.99 and more than 2 pixels, or if only one of both finds an object.

    Examples:
      maskzoo verify mine.safetensors photos --against torchvision
      maskzoo verify mine.safetensors photos --against detectron2 \\
        --python ~/d2/bin/python
    """
    from maskzoo.zoo.counterparts.verify import verify as compare

    with show_progress() as show:
        found = compare(model, photos, against, python=python, weights=weights, overrides=override or (), on_progress=show)
    if json:
        print_json(found.to_dict())
    else:
        _print(found, open_stdout())
    if found.faults:
        raise typer.Exit(DIFFERS)


def _print(found: Comparison, console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("photo", overflow="fold")
    for column in ("maskzoo", found.library, "in both", "box, pixels", "score", "least mask IoU"):
        table.add_column(column, justify="right")
    for row in found.photos:
        numbers = (f"{row.box_error:.2g}", f"{row.score_error:.2g}", f"{row.least_mask_iou:.4f}")
        table.add_row(row.photo, str(row.ours), str(row.theirs), str(row.matched), *numbers)
    console.print(table)
    console.print("Beside " + ", ".join(f"{name} {version}" for name, version in found.versions.items()), soft_wrap=True)
    for note in found.notes:
        console.print(f"Note: {note}", soft_wrap=True, markup=False)
    for difference in found.differences:
        console.print(f"Another rule: {difference}", soft_wrap=True, markup=False)
    if found.faults:
        console.print("  differs: " + list_some(found.faults, 10, "\n  differs: "), soft_wrap=True, markup=False)
    ending = f"They differ in {count_words(len(found.faults), 'place')}." if found.faults else "They give the same."
    console.print(ending)
