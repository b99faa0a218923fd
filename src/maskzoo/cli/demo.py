"""`maskzoo demo`: the whole story offline, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.cli.progress import TrainingDisplay, show_progress
from maskzoo.cli.terminal import open_stdout, print_json
from maskzoo.progress import ProgressEvent

__all__ = ["demo"]


def demo(
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A new or empty folder for all of it; maskzoo-demo, maskzoo-demo-2 ... if left out."),
    ] = None,
    count: Annotated[
        int, typer.Option(min=8, metavar="N", help="Pictures to train on; fewer are quicker, and less is learnt.")
    ] = 800,
    epochs: Annotated[int | None, typer.Option(min=1, metavar="N", help="How often each picture is seen (8).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Tell the whole story offline, in minutes on a CPU.

    Makes pictures of shapes with their outlines, checks them, trains a small
    network on them from nothing, measures it, predicts, writes a report. Before
    each step stands the command that does the same. Ctrl-C ends it; what is
    there stays, and a training that was begun says how to go on with it.

    Examples:
      maskzoo demo
      maskzoo demo --count 200 --out try
    """
    import maskzoo

    maskzoo.keep_freed_memory()  # this process does nothing else
    with show_progress() as show:
        show(ProgressEvent("Loading"))  # while torch is imported
        display = TrainingDisplay(show)
        made = maskzoo.demo(out, count=count, epochs=epochs, on_row=display.add, on_progress=display.tell)
    if json:
        print_json(made.to_dict())
        return
    console = open_stdout()
    ap = ", ".join(
        f"{kind} AP {value:.3f}" for kind, value in (("box", made.box_ap), ("mask", made.mask_ap)) if value is not None
    )
    console.print(f"{ap or 'nothing to find'} on pictures that the network had not seen; {made.seconds:.0f} s in all")
    places = {"data": made.sheet, "report": made.report, "pictures": made.pictures}
    for what, place in places.items():
        console.print(f"  {what:8s} {place}", soft_wrap=True)
    console.print(
        f"Next: maskzoo predict {made.run} PHOTO, or maskzoo train on data of your own (docs/first-hour.md)", soft_wrap=True
    )
