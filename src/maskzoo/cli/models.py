"""`maskzoo models`: the rows of the zoo, the facts of one, and a copy to edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from maskzoo.cli.terminal import open_stdout, print_json, start_table
from maskzoo.errors import list_some
from maskzoo.system.files import check_target, write_file

if TYPE_CHECKING:
    from maskzoo.config import ModelConfig
    from maskzoo.zoo.rows import RowSummary

__all__ = ["app"]

RESIZE_RULES = {
    "one_factor": "by one factor, cubic",
    "rounded": "each rounded to whole pixels, cubic",
    "pillow": "each rounded to whole pixels, linear as in Pillow",
    "opencv": "each rounded to whole pixels, linear as in OpenCV",
    "float": "each rounded down, linear, grey levels unrounded",
}
WIDE = 116  # columns of a terminal from which on the table shows backbone and licence as well

app = typer.Typer(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead.")]


@app.callback()
def models(context: typer.Context, json: Json = False) -> None:
    """List the published networks, show or copy one.

    Examples:
      maskzoo models
      maskzoo models show mask_rcnn_r50_fpn_1x_coco
      maskzoo models copy mask_rcnn_r50_fpn_1x_coco my.yml

    More about show and copy: maskzoo models show --help
    """
    if context.invoked_subcommand is not None:
        return
    from maskzoo.zoo.rows import list_models

    rows = list_models()
    if json:
        print_json([row.to_dict() for row in rows])
        return
    console = open_stdout()
    console.print(_tabulate(rows, console))


@app.command("show", no_args_is_help=True)
def show(
    model: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="A name from [bold]maskzoo models[/], your .yml, or a .safetensors file."),
    ],
    json: Json = False,
) -> None:
    """Show all that is known about one network.

    Structure, input, limits, training recipe, weights. With --json, the whole
    model file is there too, as "config".

    Examples:
      maskzoo models show mask_rcnn_r50_fpn_1x_coco
      maskzoo models show my.yml --json
    """
    from maskzoo.zoo.rows import read_model_config, summarize

    config = read_model_config(model)
    row = summarize(config)
    if json:
        print_json({**row.to_dict(), "config": config.model_dump(mode="json")})
        return
    console = open_stdout()
    for title, facts in _list_facts(config, row).items():
        grid = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False)
        grid.add_column(style="dim", no_wrap=True, min_width=20)
        grid.add_column(overflow="fold")
        for name, fact in facts.items():
            grid.add_row(name, fact)
        console.print(grid)
        console.print()


@app.command("copy", no_args_is_help=True)
def copy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from [bold]maskzoo models[/].")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, for example my.yml.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
) -> None:
    """Copy a published model file, to edit it.

    Your copy can be used wherever a name is accepted.

    Example:
      maskzoo models copy mask_rcnn_r50_fpn_1x_coco my.yml
    """
    from maskzoo.zoo.rows import row_text

    text = row_text(name)
    check_target(file, force=force)
    write_file(file, text.encode())
    open_stdout().print(f"Wrote {file}. Look at it: maskzoo models show {file}", soft_wrap=True)


def _tabulate(rows: list[RowSummary], console: Console) -> Table:
    wide = console.width >= WIDE
    columns: dict[str, list[str]] = {"model": [row.name for row in rows]}
    if wide:
        columns["backbone"] = [row.backbone for row in rows]
    columns |= {
        "sched.": [row.schedule for row in rows],
        "box AP": [_format(row.box_ap) for row in rows],
        "mask AP": [_format(row.mask_ap) for row in rows],
        "M par.": [_format(row.parameters and row.parameters / 1e6) for row in rows],
        "GFLOPs": [_format(row.gflops, 0) for row in rows],
    }
    if wide:
        columns["licence"] = [row.licence for row in rows]
    columns["here"] = ["yes" if row.weights else "no" for row in rows]
    table = start_table(*columns)
    table.padding = (0, 1 if wide else 0, 0, 0)
    table.caption_justify = "left"
    table.caption = (
        "AP on COCO val2017 in percent, as published; M par.: millions of parameters;\n"
        "GFLOPs: for an image of 800 x 1216; here: the weights are on this machine.\n"
        "More about one: maskzoo models show NAME"
    )
    for column in table.columns:
        if column.header in ("backbone", "licence", "here"):
            column.justify = "left"
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _format(number: float | None, digits: int = 1) -> str:
    return "-" if number is None else f"{number:.{digits}f}"


def _list_facts(config: ModelConfig, row: RowSummary) -> dict[str, dict[str, str]]:
    training, anchors = config.training, config.network.anchors
    detections, proposals = config.limits.detections, config.limits.proposals
    return {
        config.name: {
            "backbone": row.backbone,
            "heads": row.heads,
            "box AP, mask AP": f"{_format(row.box_ap)}, {_format(row.mask_ap)} (COCO val2017, as published)",
            "parameters": "-" if row.parameters is None else f"{row.parameters:,}",
            "GFLOPs": f"{_format(row.gflops)} for an image of 800 x 1216",
            "classes": f"{len(config.classes)}: {list_some(config.classes.values(), 10)}",
        },
        "Input": {
            "resized to": f"short side {config.input.short_side}, long side at most {config.input.long_side}, "
            + RESIZE_RULES[config.input.resize],
            "mean, deviation": f"{_join(config.input.mean)}; {_join(config.input.std)} (RGB, of values 0..1)"
            + ("; the network takes BGR" if config.input.order == "bgr" else ""),
            "canvas": f"padded to a multiple of {config.input.canvas_multiple}",
            "anchors": f"sides {'; '.join(_join(sizes) for sizes in anchors.sizes)} x ratios {_join(anchors.ratios)}",
        },
        "Limits": {
            "proposals": f"{proposals.before_nms} of a level before and {proposals.after_nms} after NMS at IoU "
            f"{proposals.iou:g}, {proposals.total} of an image",
            "detections": f"score above {detections.score:g}, NMS at IoU {detections.iou:g}, {detections.total} of an image",
            "mask threshold": f"{detections.mask_threshold:g}",
        },
        "Training": {
            "schedule": f"{config.schedule}: {training.epochs} epochs, learning rate x {training.decay:g} after epochs "
            + _join(training.milestones),
            "learning rate": f"{training.learning_rate:g} for {training.images_per_batch} images a batch, "
            f"warm-up of {training.warmup.iterations} iterations",
            "momentum, decay": f"{training.momentum:g}, {training.weight_decay:g}",
            "short sides": f"{_join(training.short_sides)}; long side at most {training.long_side}",
        },
        "Weights": {
            "licence": row.licence,
            "published at": config.source.weights or "-",
            "on this machine": str(row.weights) if row.weights else "no",
            "ImageNet weights": config.source.imagenet or "-",
        },
    }


def _join(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
