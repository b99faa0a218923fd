"""`maskzoo export`: a network as a file for another runtime, and the proof that it is the same."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from maskzoo.cli.options import Calibrate, Model, Overrides, Weights
from maskzoo.cli.terminal import open_stderr, open_stdout, print_json
from maskzoo.errors import ConfigError
from maskzoo.system.files import check_target, fit_name, make_folder, write_file

if TYPE_CHECKING:
    from maskzoo.exporting.verify import Verification

__all__ = ["export"]

SHOWN = 10  # differences printed; --json tells all


class Format(StrEnum):
    onnx = "onnx"
    openvino = "openvino"
    torch = "torch"


class Kind(StrEnum):
    float32 = "float32"
    int8 = "int8"


def export(
    model: Model,
    to: Annotated[
        Format, typer.Option("--to", help="onnx is one file that many runtimes read; torch is for C++.")
    ] = Format.onnx,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write; else MODEL's name in this folder.")
    ] = None,
    weights: Weights = None,
    dtype: Annotated[Kind, typer.Option("--dtype", help="int8 is for OpenVINO and needs --calibrate.")] = Kind.float32,
    calibrate: Calibrate = None,
    fixed: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Take canvases of this one size only, rounded up to a multiple of 32."),
    ] = None,
    preprocess: Annotated[
        bool, typer.Option("--preprocess", help="Take whole photos, one at a time: resize, normalise and pad inside.")
    ] = False,
    verify: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Hold the file against the network on these photos.")
    ] = None,
    override: Overrides = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Write a network as a file for another runtime.

    The file takes any batch, height and width, and gives boxes, scores, labels,
    which slots are filled, and mask probabilities; class names and the model file
    lie in its metadata. A script beside it shows its use with the runtime, numpy
    and Pillow alone. With --verify the exit code is 1 if it differs from the network.
    torch makes a package of machine code for this kind of processor, and a C++ program
    beside it that uses it; that takes a C++ compiler and several minutes.

    Examples:
      maskzoo export mask_rcnn_r50_fpn_1x_coco --verify photos
      maskzoo export my.safetensors --preprocess
      maskzoo export my.safetensors --to openvino --dtype int8 --calibrate photos
      maskzoo export my.safetensors --to torch
      maskzoo predict my.onnx street.jpg
    """
    from maskzoo.exporting.example import make_example

    canvas = _read_canvas(fixed)
    _check_call(to, dtype, calibrate, canvas, preprocess, verify)
    path = out if out is not None else Path(f"{Path(model).stem}{_suffix(to)}")
    if path.suffix != _suffix(to):
        raise typer.BadParameter(f"found {str(path)!r}; expected a name that ends in {_suffix(to)}", param_hint="--out")
    check_target(path)
    make_folder(path.parent)
    console = open_stderr()
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        duration = "several minutes" if to is Format.torch else "a minute or two"
        task = progress.add_task(f"Exporting {model}: {duration}", total=None)
        config = _write(model, weights, to, path, calibrate, canvas, preprocess, override or [])
        texts = make_example(path.name, config, preprocess)
        stem = path.parent / fit_name(path.stem, "_example.json", path.parent)
        for ending, text in texts.items():
            write_file(stem.with_suffix(ending), text.encode())
        example = stem.with_suffix(next(iter(texts)))
        report = None
        if verify is not None:
            report = _verify(model, weights, path, verify, override or [], lambda text: progress.update(task, description=text))
    if json:
        print_json({"file": str(path), "example": str(example), "verified": report and report.to_dict()})
    else:
        stdout = open_stdout()
        stdout.print(f"Wrote {path} ({path.stat().st_size / 1e6:.0f} MB); how to use it: {example}", soft_wrap=True)
        if report is not None:
            _print(report)
    if report is not None and report.faults:
        raise typer.Exit(1)


def _suffix(to: Format) -> str:
    return {Format.onnx: ".onnx", Format.openvino: ".xml", Format.torch: ".pt2"}[to]


def _read_canvas(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{2,5})[xX](\d{2,5})", text.strip())
    if found is None:
        raise typer.BadParameter(f"found {text!r}; expected height and width, such as 800x1333", param_hint="--fixed")
    height, width = (-(-int(side) // 32) * 32 for side in found.groups())
    return height, width


def _check_call(to: Format, dtype: Kind, calibrate: Path | None, canvas: Any, preprocess: bool, verify: Path | None) -> None:
    if dtype is Kind.int8 and to is not Format.openvino:
        raise typer.BadParameter("int8 is made for OpenVINO; add --to openvino", param_hint="--dtype")
    if (dtype is Kind.int8) != (calibrate is not None):
        raise typer.BadParameter("--dtype int8 and --calibrate DIR go together; found one of them", param_hint="--calibrate")
    if preprocess and to is Format.torch:
        raise typer.BadParameter("a torch package takes prepared photos; leave it out", param_hint="--preprocess")
    if canvas is not None and preprocess:
        raise typer.BadParameter("photos fill many canvases; leave --fixed out", param_hint="--preprocess")
    if canvas is not None and verify is not None:
        raise typer.BadParameter("photos fill many canvases; verify a file without --fixed", param_hint="--verify")


def _write(
    model: str,
    weights: Path | None,
    to: Format,
    path: Path,
    calibrate: Path | None,
    canvas: tuple[int, int] | None,
    preprocess: bool,
    overrides: list[str],
) -> Any:
    from importlib.metadata import version

    from maskzoo.exporting.calibration import read_calibration
    from maskzoo.exporting.onnx import Facts, write_onnx
    from maskzoo.exporting.openvino import write_openvino
    from maskzoo.exporting.program import Program
    from maskzoo.exporting.torch_package import write_package
    from maskzoo.zoo.load import EXPORTED, load_network

    if Path(model).suffix in EXPORTED:
        raise ConfigError(f"{model}: is an exported file already; name the model that it was made from")
    network, config = load_network(model, weights, overrides=overrides)
    provenance = {
        "model": str(model),
        "source": config.source.weights if weights is None else weights.name,
        "licence": config.source.licence,
        "dtype": "float32" if calibrate is None else "int8",
        "maskzoo_version": version("maskzoo"),
    }
    facts = Facts(config, canvas, provenance, preprocess)
    if to is Format.onnx:
        write_onnx(Program(network), facts, path)
    elif to is Format.torch:
        write_package(Program(network), facts, path)
    else:
        photos = None if calibrate is None else read_calibration(calibrate, config.input, preprocess)
        write_openvino(Program(network), facts, path, photos)
    return config


def _verify(model: str, weights: Path | None, path: Path, photos: Path, overrides: list[str], tell: Any) -> Verification:
    from maskzoo.exporting.verify import verify
    from maskzoo.images.find import find_images
    from maskzoo.zoo.load import load

    found = find_images([str(photos)])
    network = load(model, weights, device="cpu", overrides=overrides)
    exported = load(path)
    done = iter(range(1, len(found) + 1))
    return verify(network, exported, found, lambda: tell(f"Verifying: photo {next(done)} of {len(found)}"))


def _print(report: Verification) -> None:
    console = open_stdout()
    console.print(
        f"{report.photos} photos, {report.objects} objects, {report.matched} in both: boxes within "
        f"{report.largest_box_error:.2g} pixels, mask IoU {report.mean_mask_iou:.5f} on average, "
        f"{report.least_mask_iou:.5f} at the least",
        soft_wrap=True,
    )
    for fault in report.faults[:SHOWN]:
        console.print(f"  differs: {fault}", soft_wrap=True)
    if len(report.faults) > SHOWN:
        console.print(f"  and {len(report.faults) - SHOWN} more")
    console.print("The file and the network differ." if report.faults else "The file equals the network.")
