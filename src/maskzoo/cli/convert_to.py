"""`maskzoo convert --to`: a model as another library's file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from maskzoo.cli.terminal import open_stdout, print_json
from maskzoo.errors import ArgumentError, count_words

__all__ = ["ToLibrary", "convert_back", "find_library"]

ToLibrary = Literal["paddledetection", "torchvision", "detectron2", "mmdetection"]


def find_library(out: Path, to: ToLibrary | None) -> ToLibrary | None:
    """Return whose file OUT will be; None if it is one of ours. The name of PaddleDetection's files says it.

    Raises:
        ArgumentError: OUT is a file of several libraries.
    """
    if to is None and out.suffix in (".pth", ".pt", ".pkl"):
        raise ArgumentError(
            f"{out}: files of several libraries are named so; say whose it will be with --to, or name OUT .safetensors"
        )
    return "paddledetection" if to is None and out.suffix == ".pdparams" else to


def convert_back(
    source: Path,
    out: Path,
    library: ToLibrary,
    model: str | None,
    unused: Sequence[str],
    overrides: Sequence[str],
    json: bool,
) -> None:
    """Write a model for a library and print what was written, and what is computed differently there.

    Raises:
        ArgumentError: Options were given that are for the way in.
    """
    if unused:
        raise ArgumentError(
            f"{' and '.join(unused)} and --to do not go together: they say what IN is, and here it is a model of ours"
        )
    from maskzoo.cli.progress import show_progress
    from maskzoo.zoo.counterparts.convert import convert_to

    with show_progress() as show:
        written = convert_to(
            source if model is None else model,
            out,
            library,
            None if model is None else source,
            overrides=overrides,
            on_progress=show,
        )
    if json:
        print_json(written.to_dict())
        return
    console = open_stdout()
    count = count_words(written.tensors, "tensor")
    console.print(f"Wrote {written.weights} ({count}); its settings there: {written.settings}", soft_wrap=True)
    for difference in written.differences:
        console.print(f"  differs: {difference}", soft_wrap=True, markup=False)
    if written.differences:
        console.print(
            f"Results there differ by these rules; maskzoo verify {source} --against {library} says by how much.",
            soft_wrap=True,
        )
