"""`maskzoo compare`: two models on the same images, and how sure the difference is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.cli.options import Batch, DeviceOption
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stdout, print_json, start_table

__all__ = ["compare"]

WHAT = "A run's folder, a COCO result file (.json), or a model."


def compare(
    first: Annotated[str, typer.Argument(metavar="FIRST", help=WHAT)],
    second: Annotated[str, typer.Argument(metavar="SECOND", help=WHAT)],
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="What to measure on; left out, what two runs measured themselves.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="The split of a folder; else val, or test, or train.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images' folder, or one with a folder for each split.")
    ] = None,
    batch: Batch = 1,
    device: DeviceOption = "auto",
    resamples: Annotated[int, typer.Option(min=10, metavar="N", help="How often images are drawn again.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of these draws.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Compare two models on the same images, with a confidence interval.

    95 % of differences lie in the interval when images are drawn again
    (bootstrap). If it holds 0, these images do not show which is better.

    Examples:
      maskzoo compare runs/mine runs/mine-2
      maskzoo compare old.safetensors new.safetensors my-data
      maskzoo compare old/predictions.json new/predictions.json val.json
    """
    import maskzoo

    with show_progress() as show:
        compared = maskzoo.compare(
            first,
            second,
            data,
            split=split,
            images=images,
            batch=batch,
            device=device,
            resamples=resamples,
            seed=seed,
            on_progress=show,
        )
    if json:
        print_json(compared.to_dict())
        return
    console = open_stdout()
    table = start_table(f"{compared.kind}, percent", "first", "second", "difference", "95 % interval")
    for name, one in compared.measures.items():
        interval = "-" if one.lower is None or one.upper is None else f"{100 * one.lower:+.1f} to {100 * one.upper:+.1f}"
        table.add_row(name.replace("_", " "), *map(_format, (one.first, one.second)), _format(one.difference, "+"), interval)
    console.print(table)
    classes = start_table("AP by class, percent", "first", "second", "difference")
    for row in sorted(compared.classes, key=lambda row: row.difference or 0):
        classes.add_row(row.name, *map(_format, (row.first, row.second)), _format(row.difference, "+"))
    console.print()
    console.print(classes)
    console.print()
    console.print(str(compared), soft_wrap=True)


def _format(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{100 * value:{sign}.1f}"
