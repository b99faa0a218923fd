"""`maskzoo bench`: what a model costs on this machine, by backend, type and number of threads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskzoo.cli.options import Batch, DeviceOption, Model, Overrides, Weights, parse_size
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json, start_table
from maskzoo.progress import ProgressEvent
from maskzoo.zoo.backend_choice import BACKENDS, DTYPES

if TYPE_CHECKING:
    from maskzoo.bench.measured import BenchmarkRun

__all__ = ["bench"]


def bench(
    model: Model,
    weights: Weights = None,
    random: Annotated[bool, typer.Option("--random", help="Random weights: nothing is fetched, the time is the same.")] = False,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="The network's input; else 800x1216, or what the images make.")
    ] = None,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Predict these images in turn, not a made one.")] = None,
    backends: Annotated[
        str | None, typer.Option(metavar="A,B", help=f"Of {', '.join(BACKENDS)}; else all that are installed.")
    ] = None,
    dtypes: Annotated[
        str | None, typer.Option(metavar="A,B", help=f"Of {', '.join(DTYPES)}; else float32, and bfloat16 if fast.")
    ] = None,
    threads: Annotated[
        str | None, typer.Option(metavar="N,M", help="Numbers of threads; else as many as can compute at once.")
    ] = None,
    batch: Batch = 1,
    device: DeviceOption = "auto",
    seconds: Annotated[float, typer.Option(min=0.1, metavar="S", help="Time for each setting, without loading.")] = 20.0,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Turns that this time is cut into.")] = 2,
    training: Annotated[bool, typer.Option("--training", help="Measure training steps as well.")] = False,
    override: Overrides = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write bench.json and bench.html here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Measure what a model costs on this machine.

    Time from a photo's file to run-length masks, images a second, memory, the
    stages of an eager prediction, and the share of the machine's measured peak.
    Every setting runs in processes of its own, and they take turns. If a setting
    fails, it is named, and the exit code is 3.

    Examples:
      maskzoo bench mask_rcnn_r50_fpn_1x_coco --random
      maskzoo bench my.safetensors --images photos --threads 1,2 --out bench
      maskzoo bench my.yml --random --backends eager,openvino --dtypes float32
    """
    import maskzoo

    shape = parse_size(size, "--size") if size is not None else None
    counts = _parse_threads(threads) if threads is not None else None
    with show_progress() as show:
        show(ProgressEvent("Starting"))  # while torch is imported
        run = maskzoo.benchmark(
            model,
            weights=weights,
            random=random,
            size=shape,
            images=images,
            backends=_split(backends),
            dtypes=_split(dtypes),
            threads=counts,
            batch=batch,
            device=device,
            seconds=seconds,
            rounds=rounds,
            training=training,
            overrides=override or (),
            out=out,
            on_progress=show,
        )
    if json:
        print_json(run.to_dict())
    else:
        _print_tables(run)
        if out is not None:
            open_stdout().print(f"Saved to {out}", soft_wrap=True)
    failed = [row for row in run.rows if row.failed is not None]
    for row in failed:
        open_stderr().print(f"{row.setting}: {row.failed}", style="red", soft_wrap=True)
    if failed:
        raise typer.Exit(3)


def _split(text: str | None) -> list[str] | None:
    return None if text is None else list(dict.fromkeys(name.strip() for name in text.split(",")))


def _parse_threads(text: str) -> list[int]:
    numbers = [number.strip() for number in text.split(",")]
    if not all(number.isdecimal() and int(number) for number in numbers):
        raise typer.BadParameter(f"found {text!r}; expected numbers such as 1,2", param_hint="--threads")
    return [int(number) for number in dict.fromkeys(numbers)]


def _print_tables(run: BenchmarkRun) -> None:
    from maskzoo.bench.measured import HEADS

    console = open_stdout()
    table = start_table(*HEADS)
    table.title, table.title_justify = run.model, "left"
    for row in (one for one in run.rows if one.done):
        table.add_row(*row.cells())
    console.print(table)
    staged = [(row.setting, row.stages) for row in run.rows if row.stages]
    if staged:
        stages = start_table("Stages, ms", *(str(setting) for setting, _ in staged))
        for stage in staged[0][1]:
            stages.add_row(stage, *(f"{seconds[stage] * 1000:,.1f}" for _, seconds in staged))
        console.print()
        console.print(stages)
    for row in run.rows:
        if row.refused is not None:
            console.print(f"left out: {row.setting}: {row.refused}", soft_wrap=True)
    for backend in run.absent:
        console.print(f"absent: {backend.name}: {backend.remedy}", soft_wrap=True)
