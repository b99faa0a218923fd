"""The options that verbs which run a model share, and how they load it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.collecting import for_good
from maskzoo.zoo.backend_choice import BACKENDS, BackendChoice, DtypeChoice

if TYPE_CHECKING:
    from maskzoo.inference.predictor import Predictor

__all__ = [
    "BackendOption",
    "Batch",
    "Calibrate",
    "Classes",
    "DeviceOption",
    "DtypeOption",
    "FontFile",
    "Model",
    "Overrides",
    "Weights",
    "load_predictor",
    "parse_size",
]


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A name from [bold]maskzoo models[/], your .yml, a run's folder, a .safetensors or an exported file.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights instead of the published; your own .yml needs them."),
]
Batch = Annotated[int, typer.Option("--batch", min=1, metavar="N", help="Images computed together.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", metavar="NAME", help="auto (cuda where there is one), or what PyTorch has: cpu, cuda:1, mps, xpu."
    ),
]
BackendOption = Annotated[
    BackendChoice,
    typer.Option(
        "--backend",
        metavar="NAME",
        help=f"What runs the network: {', '.join(BACKENDS)}, or auto, what was measured as the fastest.",
    ),
]
DtypeOption = Annotated[
    DtypeChoice,
    typer.Option(
        "--dtype",
        metavar="TYPE",
        help="auto is float32; bfloat16, float16 (GPU) and int8 are faster where the hardware has them, and less exact.",
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        metavar="MAP.yml",
        help="Rename, merge, drop, reorder the classes: `vehicle: car` and so on (docs/data.md).",
    ),
]
FontFile = Annotated[
    Path | None,
    typer.Option("--font", metavar="FILE", help="A font that has the letters of the names; else one is searched for."),
]
Calibrate = Annotated[
    Path | None,
    typer.Option("--calibrate", metavar="DIR", help="Photos from which int8 takes its ranges; some dozens do."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the model file; may be given again."),
]


def load_predictor(model: str, weights: Path | None, on_progress: OnProgress, **options: Any) -> Predictor:
    """Return the predictor of `maskzoo.load`, with freed memory kept for speed."""
    on_progress(ProgressEvent(f"Loading {model}"))  # while torch is imported
    with for_good():
        from maskzoo.system.memory import keep_freed_memory
        from maskzoo.zoo.load import load

    keep_freed_memory()  # this process does nothing else
    return load(model, weights, on_progress=on_progress, **options)


def parse_size(text: str, option: str) -> tuple[int, int]:
    """Read height and width, as in 800x1333."""
    height, _, width = text.strip().lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise typer.BadParameter(f"found {text!r}; expected height x width, such as 800x1216", param_hint=option)
    return int(height), int(width)
