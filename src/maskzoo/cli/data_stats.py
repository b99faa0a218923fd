"""`maskzoo data stats`: what a data set holds, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from maskzoo.cli.terminal import open_stdout, print_json

if TYPE_CHECKING:
    from maskzoo.datasets.statistics import Statistics

from maskzoo.cli.terminal import start_table

__all__ = ["show_statistics"]


def show_statistics(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON), or a folder of a usual layout.")],
    short_side: Annotated[int, typer.Option(min=1, metavar="PIXELS", help="The network's input: short side.")] = 800,
    long_side: Annotated[int, typer.Option(min=1, metavar="PIXELS", help="The network's input: longest side.")] = 1333,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Count and measure a data set: images, objects, classes, sizes.

    Crowds are counted apart. Hints name what will be hard to learn or to judge.

    Examples:
      maskzoo data stats photos.json
      maskzoo data stats coco --json
    """
    from maskzoo.datasets.coco_reader import read_annotations
    from maskzoo.datasets.layout import find_splits
    from maskzoo.datasets.statistics import find_hints, measure_set, to_dict

    files = find_splits(data)
    splits = {name: measure_set(read_annotations(path), short_side, long_side) for name, path in files.items()}
    hints = find_hints(splits)
    if json:
        described = {name: {"file": str(files[name]), **to_dict(numbers)} for name, numbers in splits.items()}
        print_json({"data": str(data), "input": [short_side, long_side], "splits": described, "hints": hints})
        return
    console = open_stdout()
    for table in (_tabulate_classes(splits), _tabulate_numbers(splits), _tabulate_quantiles(splits)):
        console.print(table)
        console.print()
    for hint in hints:
        console.print(f"Hint: {hint}", soft_wrap=True)


def _tabulate_numbers(splits: Mapping[str, Statistics]) -> Table:
    table = start_table("", *splits)
    rows: dict[str, Callable[[Statistics], str]] = {
        "images": lambda numbers: f"{numbers.images:,}",
        "without an object": lambda numbers: f"{numbers.empty_images:,}",
        "objects": lambda numbers: f"{numbers.objects:,}",
        "as polygons": lambda numbers: f"{numbers.polygons:,}",
        "as run lengths": lambda numbers: f"{numbers.run_lengths:,}",
        "crowds": lambda numbers: f"{numbers.crowd:,}",
        "small, below 32²": lambda numbers: f"{numbers.size_shares['small']:.1%}",
        "medium": lambda numbers: f"{numbers.size_shares['medium']:.1%}",
        "large, from 96² on": lambda numbers: f"{numbers.size_shares['large']:.1%}",
        "box below 8 px at input": lambda numbers: f"{numbers.tiny:.1%}",
        "most common size": _format_sizes,
    }
    for name, format_row in rows.items():
        table.add_row(name, *(format_row(numbers) for numbers in splits.values()))
    return table


def _format_sizes(numbers: Statistics) -> str:
    if not numbers.sizes:
        return "-"
    width, height, images = numbers.sizes[0]
    return f"{width} x {height} ({images / numbers.images:.0%})"


def _tabulate_quantiles(splits: Mapping[str, Statistics]) -> Table:
    table = start_table("quantiles", "min", "5%", "25%", "median", "75%", "95%", "max")
    for split, numbers in splits.items():
        rows = {
            "√ box area, pixels": numbers.sides,
            "  at the network's input": numbers.input_sides,
            "box width / height": numbers.aspects,
            "objects in an image": numbers.objects_per_image,
            "image width": numbers.widths,
            "image height": numbers.heights,
        }
        for name, values in rows.items():
            table.add_row(f"{split}: {name}", *(f"{value:.4g}" for value in values))
    return table


def _tabulate_classes(splits: Mapping[str, Statistics]) -> Table:
    columns = [f"{split} {what}" for split in splits for what in ("objects", "images")]
    table = start_table("class", *columns)
    counts = {split: {(one.id, one.name): one for one in numbers.classes} for split, numbers in splits.items()}
    keys = dict.fromkeys(key for known in counts.values() for key in known)
    total = {key: sum(known[key].objects for known in counts.values() if key in known) for key in keys}
    for key in sorted(keys, key=lambda key: -total[key]):
        ones = [known.get(key) for known in counts.values()]
        cells = [f"{number:,}" for one in ones for number in ((one.objects, one.images) if one else (0, 0))]
        table.add_row(key[1], *cells)
    return table
