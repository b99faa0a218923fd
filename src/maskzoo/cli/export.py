"""`maskzoo export`: a network as a file for another runtime, and the proof that it is the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maskzoo.cli.options import Calibrate, Model, Overrides, Weights, parse_size
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stdout, print_json
from maskzoo.errors import list_some
from maskzoo.progress import ProgressEvent

if TYPE_CHECKING:
    from maskzoo.exporting.verify import Verification

__all__ = ["export"]


def export(
    model: Model,
    to: Annotated[
        Literal["onnx", "openvino", "torch", "web", "cvat", "triton"],
        typer.Option("--to", help="onnx is one file that many runtimes read; torch is for C++; web, cvat, triton: folders."),
    ] = "onnx",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="What to write; else by MODEL's name in this folder.")
    ] = None,
    weights: Weights = None,
    dtype: Annotated[
        Literal["float32", "int8"], typer.Option("--dtype", help="int8 is for OpenVINO and needs --calibrate.")
    ] = "float32",
    calibrate: Calibrate = None,
    fixed: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Take canvases of this one size only, rounded up to a multiple of 32."),
    ] = None,
    preprocess: Annotated[
        bool, typer.Option("--preprocess", help="Take whole photos, one at a time: resize, normalise and pad inside.")
    ] = False,
    runtime: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="onnxruntime-web for --to web, its folder or .tgz; else it is fetched once."),
    ] = None,
    verify: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Compare the file with the network on these photos.")
    ] = None,
    override: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file and its example.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Write a network as a file for another runtime.

    The file takes any batch, height and width, and gives boxes, scores, labels,
    which slots are filled, and mask probabilities; class names and the model file
    lie in its metadata. A script beside it shows its use with the runtime, numpy
    and Pillow alone. With --verify the exit code is 1 if it differs from the
    network. --to torch makes a package of machine code for this kind of
    processor, and a C++ program beside it that uses it; that takes a C++ compiler
    and several minutes. --to web makes a folder for any web host: its page looks
    for objects in the visitor's browser, and uploads nothing. --to cvat writes a
    function of CVAT, for nuclio and for cvat-cli; --to triton a model repository
    of NVIDIA Triton, and a client.

    Examples:
      maskzoo export mask_rcnn_r50_fpn_1x_coco --verify photos
      maskzoo export my.safetensors --preprocess
      maskzoo export my.safetensors --to openvino --dtype int8 --calibrate photos
      maskzoo export my.safetensors --to torch
      maskzoo export my.safetensors --to cvat
      maskzoo export my.safetensors --to web --out site
      maskzoo predict my.onnx street.jpg
    """
    canvas = None if fixed is None else parse_size(fixed, "--fixed")
    with show_progress() as show:
        show(ProgressEvent(f"Exporting {model}"))  # while torch is imported
        from maskzoo.zoo.export_model import export as export_model

        exported = export_model(
            model,
            out,
            to=to,
            weights=weights,
            dtype=dtype,
            calibrate=calibrate,
            fixed=canvas,
            preprocess=preprocess,
            runtime=runtime,
            verify=verify,
            overrides=override or (),
            force=force,
            on_progress=show,
        )
    if json:
        print_json(exported.to_dict())
    else:
        size = exported.file.stat().st_size / 1e6
        open_stdout().print(f"Wrote {exported.file} ({size:.0f} MB); how to use it: {exported.example}", soft_wrap=True)
        if to == "web":
            open_stdout().print(f"Look at it: python -m http.server --directory {exported.file.parent}", soft_wrap=True)
        if exported.verification is not None:
            _print(exported.verification)
    if exported.verification is not None and exported.verification.faults:
        raise typer.Exit(1)


def _print(found: Verification) -> None:
    console = open_stdout()
    console.print(
        f"{found.photos} photos, {found.objects} objects, {found.matched} in both: boxes within "
        f"{found.largest_box_error:.2g} pixels, mask IoU {found.mean_mask_iou:.5f} on average, "
        f"{found.least_mask_iou:.5f} at the least",
        soft_wrap=True,
    )
    if found.faults:
        console.print("  differs: " + list_some(found.faults, 10, "\n  differs: "), soft_wrap=True)
    console.print("The file and the network differ." if found.faults else "The file equals the network.")
