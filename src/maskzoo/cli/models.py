"""`maskzoo models`: the rows of the zoo, the facts of one, and a copy to edit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from maskzoo.cli.options import Overrides
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
WIDE = 140  # columns of a terminal from which on the tables show all
NAME_WIDTH = 48  # of the longest name
EXPLANATION = """box, mask: AP in percent, as published, on COCO val2017 (on
Cityscapes or LVIS where the name says so); M par.: millions of parameters;
GFLOPs: for an image of 800 x 1216; *: the most mask AP for a megabyte, and
for a GFLOP of work; here: the weights are on this machine. Of maskzoo's own
small rows, for training on a CPU, there are no weights.
More about one: maskzoo models show NAME"""

app = typer.Typer(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead.")]


@app.callback()
def models(context: typer.Context, json: Json = False) -> None:
    """List the published networks, show or copy one; take over a config.

    Examples:
      maskzoo models
      maskzoo models show mask_rcnn_r50_fpn_1x_coco
      maskzoo models copy mask_rcnn_r50_fpn_1x_coco my.yml
      maskzoo models import their.yml my.yml

    More about each: maskzoo models show --help
    """
    if context.invoked_subcommand is not None:
        return
    from maskzoo.zoo.rows import GROUPS, list_models, name_group

    rows = list_models()
    if json:
        print_json([row.to_dict() for row in rows])
        return
    console = open_stdout()
    for group in GROUPS:
        console.print(_tabulate(group, [row for row in rows if name_group(row.name) == group], console))
        console.print()
    console.print(EXPLANATION)


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
    from maskzoo.zoo.rows import find_row, read_model_config, summarize

    config = read_model_config(model)
    row = replace(summarize(config), name=find_row(model) or config.name)
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
    augmentation: Annotated[
        str | None,
        typer.Option(metavar="PRESET", help="Write the list of photo, aerial, microscopy or industrial into it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
) -> None:
    """Copy a published model file, to edit it.

    Your copy can be used wherever a name is accepted. With --augmentation the
    copy trains with a preset's list of augmentations, which can be edited too.

    Examples:
      maskzoo models copy mask_rcnn_r50_fpn_1x_coco my.yml
      maskzoo models copy mask_rcnn_r50_fpn_1x_coco my.yml --augmentation aerial
    """
    from maskzoo.zoo.rows import row_text

    text = row_text(name, augmentation)
    check_target(file, force=force)
    write_file(file, text.encode())
    open_stdout().print(f"Wrote {file}. Look at it: maskzoo models show {file}", soft_wrap=True)


@app.command("import", no_args_is_help=True)
def import_(
    source: Annotated[Path, typer.Argument(metavar="CONFIG", help="PaddleDetection's .yml of a Mask R-CNN.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The model file to write, for example my.yml.")],
    classes: Annotated[
        str | None,
        typer.Option("--classes", metavar="NAMES", help="Class names in the order of training: a file, or cat,dog."),
    ] = None,
    overrides: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
    json: Json = False,
) -> None:
    """Make a model file of a PaddleDetection config.

    The files that its _BASE_ names are read too, as data: nothing in them is
    run. Every value is shown with the key it is from, and every key that is
    not used is named.

    Examples:
      maskzoo models import configs/mine.yml my.yml --classes names.txt
      maskzoo convert model_final.pdparams mine.safetensors --model my.yml
    """
    from maskzoo.zoo.import_config import import_config

    done = import_config(source, file, classes=classes, overrides=overrides or [], force=force)
    if json:
        print_json(done.to_dict())
        return
    console = open_stdout()
    table = Table("key", "value", "from", box=None, pad_edge=False, header_style="bold")
    for choice in done.choices:
        value = f"{len(choice.value)}" if choice.key == "classes" else _tell(choice.value)
        table.add_row(choice.key, value, choice.source.removeprefix(f"{source.name}: "))
    console.print(table)
    for note in done.notes:
        console.print(f"Note: {note}", soft_wrap=True)
    console.print(f"Not used: {', '.join(done.unused) or 'nothing'}", soft_wrap=True)
    console.print(f"Wrote {file}. Look at it: maskzoo models show {file}", soft_wrap=True)


def _tell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_tell(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(_tell, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tabulate(library: str, rows: list[RowSummary], console: Console) -> Table:
    wide = console.width >= WIDE
    columns: dict[str, list[str]] = {library: [row.name for row in rows]}
    if wide:
        columns |= {"backbone": [row.backbone for row in rows], "sched.": [row.schedule for row in rows]}
    columns |= {
        "box": [_format(row.box_ap) for row in rows],
        "mask": [_format(row.mask_ap) for row in rows],
        "M par.": [_format(row.parameters / 1e6) + _mark("megabyte", row) for row in rows],
        "GFLOPs": [_format(row.gflops, 0) + _mark("GFLOP", row) for row in rows],
    }
    if wide:
        columns["licence"] = [row.licence.partition(" for ")[0] for row in rows]
    columns["here"] = ["yes" if row.weights else "no" for row in rows]
    table = start_table(*columns)
    table.padding = (0, 1 if wide else 0, 0, 0)
    table.columns[0].min_width = NAME_WIDTH
    for column in table.columns:
        if column.header in ("backbone", "licence", "here"):
            column.justify = "left"
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _mark(measure: str, row: RowSummary) -> str:
    return "*" if measure in row.best else ""


def _format(number: float | None, digits: int = 1) -> str:
    return "-" if number is None else f"{number:.{digits}f}"


def _list_facts(config: ModelConfig, row: RowSummary) -> dict[str, dict[str, str]]:
    from maskzoo.config import COCO_VAL

    training, anchors = config.training, config.network.anchors
    detections, proposals = config.limits.detections, config.limits.proposals
    deformable, stages = config.network.backbone.deformable, config.network.box_stages
    return {
        row.name: {
            "backbone": row.backbone + (f", deformable in {', '.join(deformable)}" if deformable else ""),
            "heads": row.heads + (f", {stages} box heads in a row" if stages > 1 else ""),
            "box AP, mask AP": f"{_format(row.box_ap)}, {_format(row.mask_ap)} ({row.data or COCO_VAL}, as published)"
            if row.mask_ap or row.box_ap
            else "-",
            "parameters": "-" if row.parameters is None else f"{row.parameters:,}",
            "GFLOPs": f"{_format(row.gflops)} for an image of 800 x 1216",
            "classes": f"{len(config.classes)}: {list_some(config.classes.values(), 10)}",
        },
        "Input": {
            "resized to": f"short side {config.input.short_side}, long side at most {config.input.long_side}, "
            + RESIZE_RULES[config.input.resize],
            "order of channels": config.input.order.upper(),
            "mean, deviation": f"{_join(config.input.mean)}; {_join(config.input.std)} (RGB, of values 0..1)",
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
            "augmentation": ", ".join(f"{one.kind} {one.probability:g}" for one in training.augmentation) or "none but flips",
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
