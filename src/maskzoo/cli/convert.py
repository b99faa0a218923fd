"""`maskzoo convert`: other libraries' weights into one safe file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.cli.options import Overrides
from maskzoo.cli.terminal import open_stdout

__all__ = ["convert"]


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="The weights: a [bold].pdparams[/], [bold].pth[/] or [bold].pkl[/] file.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The [bold].safetensors[/] file to write.")],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="The network they belong to; not needed if IN is named as in [bold]maskzoo models[/].",
        ),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Convert other libraries' weights to one safe file.

    PaddleDetection's, torchvision's, detectron2's and mmdetection's are read.

    OUT holds the weights and the model file: [bold]maskzoo predict[/] needs no more.
    No code in IN is run. Weights that PaddleDetection 2.6.1 or later trained
    need --set input.resize=rounded; the published ones are older.

    Examples:
      maskzoo convert mask_rcnn_r50_fpn_1x_coco.pdparams r50.safetensors
      maskzoo convert model_final.pdparams mine.safetensors --model my.yml \\
        --set input.resize=rounded
      maskzoo convert model_final.pth mine.safetensors \\
        --model detectron2/mask_rcnn_R_50_FPN_3x \\
        --set "classes={1: cat, 2: dog}"
    """
    from maskzoo.zoo.load import convert as convert_weights

    convert_weights(source, out, model, overrides=overrides or ())
    open_stdout().print(f"Wrote {out}. Use it as a model: maskzoo predict {out} photo.jpg", soft_wrap=True)
