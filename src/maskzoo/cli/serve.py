"""`maskzoo serve`: predictions over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.cli.options import BackendOption, DeviceOption, DtypeOption, Weights, load_predictor
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stderr
from maskzoo.errors import ArgumentError
from maskzoo.system.packages import explain_missing

__all__ = ["serve"]


def serve(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A name, a .yml, a .safetensors or an exported file.")
    ] = None,
    weights: Weights = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME=MODEL", help="One of several models, by its name in requests."),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0 lets the system choose.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="Tokens, one a line; requests must bring one of them.")
    ] = None,
    open_to_all: Annotated[bool, typer.Option("--open", help="Listen to other machines without a token.")] = False,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", metavar="NAME", help="One more name by which requests may call the server."),
    ] = None,
    label_studio: Annotated[
        bool, typer.Option("--label-studio", help="Be a machine learning backend of Label Studio as well.")
    ] = False,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where Label Studio's pictures lie: its media or local files.")
    ] = None,
    label_studio_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Label Studio's address, to fetch pictures that are not in a folder.")
    ] = None,
    label_studio_token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A token of Label Studio, for its address alone.")
    ] = None,
    score: Annotated[
        float, typer.Option(min=0, max=1, metavar="P", help="Label Studio gets objects from this score on.")
    ] = 0.5,
    device: DeviceOption = "auto",
    backend: BackendOption = "auto",
    dtype: DtypeOption = "auto",
    max_batch: Annotated[int, typer.Option(min=1, metavar="N", help="Photos of one canvas computed together.")] = 8,
    max_wait_ms: Annotated[float, typer.Option(min=0, metavar="MS", help="A photo's wait for others being decoded.")] = 5.0,
    max_queue: Annotated[int, typer.Option(min=1, metavar="N", help="Photos under way; more are refused.")] = 64,
    max_pixels: Annotated[float, typer.Option(min=1, metavar="N", help="Of a photo.")] = 50e6,
    max_bytes: Annotated[float, typer.Option(min=1, metavar="N", help="Of a request.")] = 32e6,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes that decode photos.")] = 2,
) -> None:
    """Answer requests for predictions over HTTP.

    POST a photo to /v1/predict and get JSON, or the picture drawn. The address /
    shows a page to drop photos on, and /openapi.json describes all. Photos that
    arrive together are computed together; what is too large, too slow or too much
    is refused. SIGTERM and Ctrl-C end the server after everything accepted is
    answered. The log on standard error is a JSON object a line.

    Examples:
      maskzoo serve mask_rcnn_r50_fpn_1x_coco
      curl -F image=@photo.jpg http://127.0.0.1:8000/v1/predict
      maskzoo serve --model small=s.safetensors --model large=l.safetensors
      maskzoo serve my.safetensors --host 0.0.0.0 --token-file tokens.txt
      maskzoo serve my.safetensors --label-studio --images /data/media
    """
    named = _name_models(model, weights, models or [])
    try:
        from maskzoo.serving.labelling.pictures import LabelStudio
        from maskzoo.serving.server import check_start
        from maskzoo.serving.server import serve as run
    except ImportError as error:
        raise explain_missing(error) from None
    check_start(host, token_file, open_to_all)  # before minutes of loading
    settings = LabelStudio(images, label_studio_url, label_studio_token_file, score)
    if not label_studio and settings != LabelStudio():
        raise ArgumentError(
            "--images, --label-studio-url, --label-studio-token-file and --score go with --label-studio; add it"
        )
    predictors = {}
    with show_progress() as show:
        for name, one in named:
            found = load_predictor(one, weights, show, device=device, backend=backend, dtype=dtype)
            predictors[name or found.config.name] = found
    run(
        predictors,
        host=host,
        port=port,
        token_file=token_file,
        open_to_all=open_to_all,
        allowed_hosts=allowed_hosts or (),
        label_studio=settings if label_studio else None,
        workers=workers,
        max_batch=max_batch,
        max_wait_ms=max_wait_ms,
        max_queue=max_queue,
        max_pixels=int(max_pixels),
        max_bytes=int(max_bytes),
        on_start=lambda address: open_stderr().print(f"Listening on {address}", soft_wrap=True),
    )


def _name_models(model: str | None, weights: Path | None, models: list[str]) -> list[tuple[str, str]]:
    """Return names and models; the name is empty where the model's own is meant."""
    pairs = [(name, file) for name, _, file in (text.partition("=") for text in models)]
    if wrong := [text for text, (name, file) in zip(models, pairs, strict=True) if not name or not file]:
        raise ArgumentError(f"--model {wrong[0]}: expected NAME=MODEL, such as small=my.safetensors")
    if len({name for name, _ in pairs}) < len(pairs):
        raise ArgumentError("--model: two models have one name; give each its own")
    if (model is None) == (not pairs):
        raise ArgumentError("expected one MODEL, or --model NAME=MODEL once or more often")
    if pairs and weights is not None:
        raise ArgumentError("--weights goes with one MODEL; convert each .yml with its weights into a .safetensors file first")
    return [("", model)] if model is not None else pairs
