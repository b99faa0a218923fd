"""`maskzoo data stats`: what a data set holds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stdout, print_json, start_table

if TYPE_CHECKING:
    from maskzoo.datasets.statistics import SplitStatistics

__all__ = ["show_statistics"]


def show_statistics(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON), or a folder of a usual layout.")],
    short_side: Annotated[int, typer.Option(min=1, metavar="PIXELS", help="The network's input: short side.")] = 800,
    long_side: Annotated[int, typer.Option(min=1, metavar="PIXELS", help="The network's input: longest side.")] = 1333,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Count and measure a data set: images, objects, classes, sizes.

    Crowds are counted separately. Hints name what will be hard to learn or to
    judge.

    Examples:
      maskzoo data stats photos.json
      maskzoo data stats coco --json
    """
    from maskzoo.datasets.statistics import dataset_statistics

    with show_progress() as on_progress:
        found = dataset_statistics(data, short_side=short_side, long_side=long_side, on_progress=on_progress)
    if json:
        print_json(found.to_dict())
        return
    console = open_stdout()
    for table in (_tabulate_classes(found.splits), _tabulate_numbers(found.splits), _tabulate_quantiles(found.splits)):
        console.print(table)
        console.print()
    for hint in found.hints:
        console.print(f"Hint: {hint}", soft_wrap=True)


def _tabulate_numbers(splits: Mapping[str, SplitStatistics]) -> Table:
    table = start_table("", *splits)
    columns = [_list_numbers(numbers) for numbers in splits.values()]
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    return table


def _list_numbers(numbers: SplitStatistics) -> dict[str, str]:
    width, height, images = numbers.sizes[0] if numbers.sizes else (0, 0, 0)
    return {
        "images": f"{numbers.images:,}",
        "without an object": f"{numbers.empty_images:,}",
        "objects": f"{numbers.objects:,}",
        "as polygons": f"{numbers.polygons:,}",
        "as run lengths": f"{numbers.run_lengths:,}",
        "crowds": f"{numbers.crowd:,}",
        "small, below 32²": f"{numbers.size_shares['small']:.1%}",
        "medium": f"{numbers.size_shares['medium']:.1%}",
        "large, from 96² on": f"{numbers.size_shares['large']:.1%}",
        "box below 8 px at input": f"{numbers.tiny:.1%}",
        "most common size": f"{width} x {height} ({images / numbers.images:.0%})" if images else "-",
    }


def _tabulate_quantiles(splits: Mapping[str, SplitStatistics]) -> Table:
    from maskzoo.datasets.statistics import QUANTILES

    table = start_table("quantiles", *QUANTILES)
    for split, numbers in splits.items():
        rows = {
            "√ box area, pixels": numbers.sides,
            "  at the network's input": numbers.input_sides,
            "box width / height": numbers.aspects,
            "objects in an image": numbers.objects_per_image,
            "image width": numbers.widths,
            "image height": numbers.heights,
        }
        table.add_row(split)
        for name, values in rows.items():
            table.add_row(f"  {name}", *(f"{value:.4g}" for value in values))
    return table


def _tabulate_classes(splits: Mapping[str, SplitStatistics]) -> Table:
    columns = [f"{split}\n{what}" for split in splits for what in ("objects", "images")]
    table = start_table("class", *columns)
    counts = {split: {(one.id, one.name): one for one in numbers.classes} for split, numbers in splits.items()}
    keys = dict.fromkeys(key for known in counts.values() for key in known)
    total = {key: sum(known[key].objects for known in counts.values() if key in known) for key in keys}
    for key in sorted(keys, key=lambda key: -total[key]):
        ones = [known.get(key) for known in counts.values()]
        cells = [f"{number:,}" for one in ones for number in ((one.objects, one.images) if one else (0, 0))]
        table.add_row(key[1], *cells)
    return table
