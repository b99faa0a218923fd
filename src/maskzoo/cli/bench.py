"""`maskzoo bench`: what a model costs on this machine, by backend, type and number of threads."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from maskzoo.cli.options import Batch, Device, DeviceOption, Model, Overrides, Weights, parse_size
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json
from maskzoo.errors import ConfigError
from maskzoo.system.files import check_folder, make_folder, write_file

if TYPE_CHECKING:
    from maskzoo.bench.runner import Measured, Plan
    from maskzoo.bench.settings import Setting
    from maskzoo.config import ModelConfig
    from maskzoo.system.machine import BackendFacts

__all__ = ["bench"]

BACKENDS = ("eager", "compile", "openvino", "onnxruntime")
DTYPES = ("float32", "bfloat16", "float16", "int8")


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
        str | None, typer.Option(metavar="A,B", help=f"Of {', '.join(DTYPES)}; else float32, and bfloat16 if it is fast.")
    ] = None,
    threads: Annotated[
        str | None, typer.Option(metavar="N,M", help="Numbers of threads; else as many as can compute at once.")
    ] = None,
    batch: Batch = 1,
    device: DeviceOption = Device.auto,
    seconds: Annotated[float, typer.Option(min=0.1, metavar="S", help="Time for each setting, loading apart.")] = 20.0,
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
    from maskzoo.bench.runner import run_settings, to_dict
    from maskzoo.system.machine import inspect_backends

    if out is not None:
        check_folder(out)
    asked = _split(backends, BACKENDS, "--backends") or list(BACKENDS)
    found = inspect_backends()
    with tempfile.TemporaryDirectory(prefix="maskzoo-bench-") as name:
        folder = Path(name)
        plan, config = _plan(folder, model, weights, random, size, images, override or [], device, seconds, rounds)
        settings, absent = _list_settings(asked, dtypes, threads, batch, training, found)
        rows = _run(lambda report: run_settings(settings, plan, config, folder, report), len(settings) * rounds)
    result = {
        "model": config.name,
        "weights": "random" if random else str(weights or (model if Path(model).suffix == ".safetensors" else "published")),
        "machine": _describe_machine(),
        "rows": [to_dict(row) for row in rows],
        "absent": [asdict(backend) for backend in absent],
    }
    if out is not None:
        _write(out, result, rows)
    if json:
        print_json(result)
    else:
        _print_tables(config.name, rows, absent)
        if out is not None:
            open_stdout().print(f"Saved to {out}", soft_wrap=True)
    failed = [row for row in rows if row.failed is not None]
    for row in failed:
        open_stderr().print(f"{row.setting}: {row.failed}", style="red", soft_wrap=True)
    if failed:
        raise typer.Exit(3)


def _plan(
    folder: Path,
    model: str,
    weights: Path | None,
    random: bool,
    size: str | None,
    images: Path | None,
    overrides: list[str],
    device: Device,
    seconds: float,
    rounds: int,
) -> tuple[Plan, ModelConfig]:
    """The photos and weights of all settings; what is made lies in `folder`."""
    from maskzoo.bench.runner import Plan
    from maskzoo.bench.settings import fix_size, make_photo, write_random_weights
    from maskzoo.images.find import find_images
    from maskzoo.zoo.rows import BENCHMARK_SIZE, read_model_config

    height, width = parse_size(size, "--size") if size is not None else BENCHMARK_SIZE
    changed = [*overrides, *(fix_size(height, width) if size is not None or images is None else ())]
    config = read_model_config(model, changed)
    if images is None:
        photos = [folder / "photo.jpg"]
        photos[0].write_bytes(make_photo(height, width))
    else:
        photos = find_images([str(images)])
    if random:
        if weights is not None:
            raise ConfigError(f"{weights}: weights were given, and --random asks for others; leave one of them out")
        write_random_weights(folder / "random.safetensors", config)
        model, changed = str(folder / "random.safetensors"), []
    elif weights is None and Path(model).suffix != ".safetensors":
        from maskzoo.cli.options import load_predictor
        from maskzoo.cli.progress import show_progress

        with show_progress() as show:
            load_predictor(model, None, show, device="cpu")  # fetched once before anything is timed
    home = folder / "home" if random else None
    return Plan(model, weights, changed, photos, device.value, seconds, rounds, home), config


def _list_settings(
    asked: list[str], dtypes: str | None, threads: str | None, batch: int, training: bool, found: list[BackendFacts]
) -> tuple[list[Setting], list[BackendFacts]]:
    from maskzoo.bench.settings import list_settings
    from maskzoo.models.packing import has_fast_bfloat16
    from maskzoo.system.machine import inspect_processor

    types = _split(dtypes, DTYPES, "--dtypes") or ["float32", *(["bfloat16"] if has_fast_bfloat16() else [])]
    counts = _parse_threads(threads) if threads is not None else [inspect_processor().usable]
    settings, absent = list_settings(asked, types, counts, batch, found)
    if training:
        settings += list_settings(["training"], [one for one in types if one in ("float32", "bfloat16")], counts, batch, found)[
            0
        ]
    return settings, absent


def _split(text: str | None, known: Sequence[str], option: str) -> list[str]:
    names = [] if text is None else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"found {name!r}; expected some of {','.join(known)}", param_hint=option)
    return list(dict.fromkeys(names))


def _parse_threads(text: str) -> list[int]:
    numbers = [number.strip() for number in text.split(",")]
    if not all(number.isdecimal() and int(number) > 0 for number in numbers):
        raise typer.BadParameter(f"found {text!r}; expected numbers such as 1,2", param_hint="--threads")
    return [int(number) for number in dict.fromkeys(numbers)]


def _run(work: Any, number: int) -> list[Measured]:
    console = open_stderr()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Measuring", total=number)

        def report(setting: Setting, turn: int) -> None:
            progress.update(task, description=f"{setting}, round {turn + 1}")
            progress.advance(task, 0 if progress.tasks[0].start_time is None else 1)

        rows: list[Measured] = work(report)
        return rows


def _describe_machine() -> dict[str, Any]:
    import torch

    from maskzoo.system.machine import inspect_gpus, inspect_processor

    processor = inspect_processor()
    gpus = [gpu.name for gpu in inspect_gpus()]
    return {**asdict(processor), "usable": processor.usable, "gpus": gpus, "torch": torch.__version__}


def _print_tables(name: str, rows: Sequence[Measured], absent: Sequence[BackendFacts]) -> None:
    from maskzoo.bench.runner import HEADS

    console = open_stdout()
    table = Table(title=name, title_justify="left", box=None, pad_edge=False)
    for column in HEADS:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for row in (one for one in rows if one.done):
        table.add_row(*row.cells())
    console.print(table)
    staged = [row for row in rows if row.stages]
    if staged:
        stages = Table(title="Stages, ms", title_justify="left", box=None, pad_edge=False)
        stages.add_column("", no_wrap=True)
        for row in staged:
            stages.add_column(str(row.setting), justify="right")
        for stage in staged[0].stages or {}:
            stages.add_row(stage, *(f"{(row.stages or {})[stage] * 1000:,.1f}" for row in staged))
        console.print()
        console.print(stages)
    for row in rows:
        if row.refused is not None:
            console.print(f"left out: {row.setting}: {row.refused}", soft_wrap=True)
    for backend in absent:
        console.print(f"absent: {backend.name}: {backend.remedy}", soft_wrap=True)


def _write(out: Path, result: dict[str, Any], rows: Sequence[Measured]) -> None:
    from json import dumps

    from maskzoo.bench.page import render_page

    make_folder(out)
    write_file(out / "bench.json", dumps(result, indent=1, allow_nan=False).encode("ascii") + b"\n")
    write_file(out / "bench.html", render_page(result, rows).encode("utf-8"))
