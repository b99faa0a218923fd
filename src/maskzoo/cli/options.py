"""The options that verbs which run a model share, and loading one while a terminal shows what takes the time."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from maskzoo.cli.terminal import open_stderr

if TYPE_CHECKING:
    from maskzoo.inference.predictor import Predictor

__all__ = [
    "BackendName",
    "BackendOption",
    "Batch",
    "Calibrate",
    "Device",
    "DeviceOption",
    "Dtype",
    "DtypeOption",
    "Model",
    "Overrides",
    "Weights",
    "load_predictor",
]


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class BackendName(StrEnum):
    auto = "auto"
    eager = "eager"
    compile = "compile"
    openvino = "openvino"
    onnxruntime = "onnxruntime"


class Dtype(StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    int8 = "int8"


Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A name from [bold]maskzoo models[/], your .yml, a .safetensors or an exported file."),
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights instead of the published; your own .yml needs them."),
]
Batch = Annotated[int, typer.Option("--batch", min=1, metavar="N", help="Images computed together.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="auto is the GPU where there is one.")]
BackendOption = Annotated[
    BackendName, typer.Option("--backend", help="What runs the network; auto is what was measured as the fastest.")
]
DtypeOption = Annotated[
    Dtype,
    typer.Option("--dtype", help="auto is float32; others are faster where the hardware has them, less exact; float16: GPU."),
]
Calibrate = Annotated[
    Path | None,
    typer.Option("--calibrate", metavar="DIR", help="Photos from which int8 takes its ranges; some dozens do."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the model file; may be given again."),
]


def load_predictor(model: str, weights: Path | None, *, silent: bool = False, **options: Any) -> Predictor:
    """Return the predictor of `maskzoo.load`, with a spinner meanwhile, and freed memory kept for speed.

    `silent` in all but one of the processes that share a terminal.
    """
    console = open_stderr()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=console, transient=True, disable=silent or not console.is_terminal) as progress:
        task = progress.add_task(f"Loading {model}", total=None)

        def show(done: int, total: int | None) -> None:
            size = f"{done / 1e6:.0f} MB" if total is None else f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
            progress.update(task, completed=done, total=total, description=f"Fetching weights, {size}")

        from maskzoo.system.memory import keep_freed_memory
        from maskzoo.zoo.load import load  # here, so that the spinner turns while torch is imported

        keep_freed_memory()  # this process does nothing else
        return load(model, weights, progress=show, **options)
