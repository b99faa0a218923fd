"""`maskzoo models`: the rows of the zoo, the facts of one, and a copy to edit."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from maskzoo.cli.terminal import open_stdout, print_json
from maskzoo.errors import MaskzooError

if TYPE_CHECKING:
    from maskzoo.config import ModelConfig
    from maskzoo.zoo.table import RowSummary

__all__ = ["app"]

WIDE = 116  # columns of a terminal from which on the table shows backbone and licence as well

app = typer.Typer(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead.")]


@app.callback()
def list_models(context: typer.Context, json: Json = False) -> None:
    """List the published networks, show or copy one.

    Examples:
      maskzoo models
      maskzoo models show mask_rcnn_r50_fpn_1x_coco
      maskzoo models copy mask_rcnn_r50_fpn_1x_coco my.yml
    """
    if context.invoked_subcommand is not None:
        return
    from maskzoo.zoo import table

    rows = [table.summarize(table.read_row(name)) for name in table.names()]
    if json:
        print_json([_to_json(row) for row in rows])
        return
    console = open_stdout()
    console.print(_tabulate(rows, console))


@app.command("show", no_args_is_help=True)
def show(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="A name from [bold]maskzoo models[/], your .yml, or a .safetensors file."
        ),
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
    from maskzoo.zoo import table

    config = _read_config(model)
    row = table.summarize(config)
    if json:
        print_json({**_to_json(row), "config": config.model_dump(mode="json")})
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
    from maskzoo.zoo import table

    text = table.row_text(name)
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise MaskzooError(f"{file}: exists already; expected a new file; choose another or pass --force") from None
    except OSError as error:
        raise MaskzooError(f"{file}: cannot be written: {error}; choose another place") from error
    open_stdout().print(f"Wrote {file}. Look at it: maskzoo models show {file}", soft_wrap=True)


def _read_config(model: str) -> ModelConfig:
    if Path(model).suffix == ".safetensors":
        from maskzoo.weights.checkpoint import read_checkpoint_config  # imports torch

        return read_checkpoint_config(model)
    from maskzoo.zoo.table import read_row

    return read_row(model)


def _to_json(row: RowSummary) -> dict[str, Any]:
    return {key: os.fspath(value) if isinstance(value, Path) else value for key, value in asdict(row).items()}


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
    table = Table(
        *columns,
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if wide else 0, 0, 0),
        caption="AP on COCO val2017 in percent, as published; M par.: millions of parameters;\n"
        "GFLOPs: for an image of 800 x 1216; here: the weights are on this machine.\n"
        "More about one: maskzoo models show NAME",
        caption_justify="left",
    )
    for column in table.columns:
        column.no_wrap = True
        if column.header not in ("model", "backbone", "licence", "here"):
            column.justify = "right"
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _format(number: float | None, digits: int = 1) -> str:
    return "-" if number is None else f"{number:.{digits}f}"


def _list_facts(config: ModelConfig, row: RowSummary) -> dict[str, dict[str, str]]:
    training, anchors = config.training, config.network.anchors
    names = list(config.classes.values())
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    detections, proposals = config.limits.detections, config.limits.proposals
    return {
        config.name: {
            "backbone": row.backbone,
            "heads": row.heads,
            "box AP, mask AP": f"{_format(row.box_ap)}, {_format(row.mask_ap)} (COCO val2017, as published)",
            "parameters": "-" if row.parameters is None else f"{row.parameters:,}",
            "GFLOPs": f"{_format(row.gflops)} for an image of 800 x 1216",
            "classes": f"{len(names)}: {shown}",
        },
        "Input": {
            "resized to": f"short side {config.input.short_side}, long side at most {config.input.long_side}, "
            + ("by one factor" if config.input.resize == "one_factor" else "each rounded to whole pixels"),
            "mean, deviation": f"{_join(config.input.mean)}; {_join(config.input.std)} (RGB, of values 0..1)",
            "canvas": f"padded to a multiple of {config.input.canvas_multiple}",
            "anchors": f"sides {'; '.join(_join(sizes) for sizes in anchors.sizes)} x ratios {_join(anchors.ratios)}",
        },
        "Limits": {
            "proposals": f"{proposals.before_nms} of a level before and {proposals.after_nms} after NMS at IoU "
            f"{proposals.iou:g}, {proposals.total} of an image",
            "detections": f"score above {detections.score:g}, NMS at IoU {detections.iou:g}, "
            f"{detections.total} of an image",
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
