"""`maskzoo convert`: other libraries' weights into one safe file."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from maskzoo.cli.convert_to import ToLibrary, convert_back, find_library
from maskzoo.cli.options import Overrides
from maskzoo.cli.terminal import open_stdout, print_json
from maskzoo.errors import count_words

if TYPE_CHECKING:
    from rich.console import Console

    from maskzoo.zoo.choices import Choice
    from maskzoo.zoo.conversion import Conversion

__all__ = ["convert"]


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="Weights of torchvision, detectron2, mmdetection ([bold].pth[/], [bold].pkl[/]) or PaddleDetection.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The [bold].safetensors[/] file to write; with --to, another.")],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="The network they belong to, instead of what IN and its config show."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The toolkit's own config, .yaml, .yml or .py; read as data, never run."),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="FILE|NAMES", help="Class names in the model's order: names.txt, or cat,dog.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(metavar="KEY", help="Which part of a checkpoint is taken, such as ema_state_dict.")
    ] = None,
    style: Annotated[
        Literal["caffe", "pytorch"] | None, typer.Option(help="Of mmdetection's ResNets, where IN does not say it.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An argument of torchvision's function, as min_size=600; again for more."),
    ] = None,
    to: Annotated[
        ToLibrary | None, typer.Option("--to", help="The way back: IN is your model, and OUT becomes a file of this library.")
    ] = None,
    overrides: Overrides = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Convert other libraries' weights to one safe file.

    OUT holds the weights and the model file: [bold]maskzoo predict[/] needs no more.
    No code in IN or in a config is run. The table says where each value is from;
    --set changes one. What is read: docs/convert.md.

    Examples:
      maskzoo convert model_final.pth mine.safetensors --config config.yaml
      maskzoo convert epoch_12.pth mine.safetensors --classes cat,dog
      maskzoo convert mask_rcnn_r50_fpn_1x_coco.pdparams r50.safetensors
      maskzoo convert mine.safetensors mine.pth --to torchvision
    """
    if (library := find_library(out, to)) is not None:
        unused = {"--config": config, "--classes": classes, "--part": part, "--style": style, "--option": option}
        convert_back(source, out, library, model, [name for name, value in unused.items() if value], overrides or (), json)
        return
    from maskzoo.zoo.conversion import convert as convert_weights

    done = convert_weights(
        source,
        out,
        model,
        config=config,
        classes=classes,
        part=part,
        style=style,
        options=option or (),
        overrides=overrides or (),
    )
    if json:
        print_json(done.to_dict())
    else:
        _print(done, open_stdout())


def _print(done: Conversion, console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("what", "value", "from"):
        table.add_column(column, overflow="fold")
    for (section, source), group in groupby(done.choices, lambda choice: (choice.key.rpartition(".")[0], choice.source)):
        rows = list(group)
        table.add_row(section or rows[0].key, ", ".join(_describe(row) for row in rows), source)
    console.print(table)
    names = list(done.config.classes.values())
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    console.print(f"Classes: {shown}", soft_wrap=True)
    counts = [f"{count_words(done.used, 'tensor')} of {done.library}'s file used"]
    counts += [f"{count} left out ({reason})" for reason, count in done.left_out.items()]
    console.print("; ".join(counts), soft_wrap=True)
    for note in done.notes:
        console.print(f"Note: {note}", soft_wrap=True)
    console.print(f"Wrote {done.path}. Use it as a model: maskzoo predict {done.path} photo.jpg", soft_wrap=True)


def _describe(choice: Choice) -> str:
    name = choice.key.rpartition(".")[2]
    return _write(choice.value) if name == choice.key else f"{name} {_write(choice.value)}"


def _write(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_write, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
