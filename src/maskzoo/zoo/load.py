"""From a model's name, or a file, to a predictor: finds the config and the weights, and brings them together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from maskzoo.config import ModelConfig, dump_config, parse_config
from maskzoo.errors import ConfigError, WeightsError
from maskzoo.inference.predictor import Predictor
from maskzoo.models.build import build
from maskzoo.models.layers import has_fast_bfloat16
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from maskzoo.weights.paddledetection import list_renames
from maskzoo.weights.pdparams import read_pdparams
from maskzoo.weights.rename import Rename, rename
from maskzoo.zoo.fetch import fetch, hash_file
from maskzoo.zoo.table import names, read_row

__all__ = ["build_empty", "convert", "list_shapes", "load", "load_network", "read_weights"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Progress = Callable[[int, int | None], None]


def load(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    dtype: Literal["float32", "bfloat16"] = "float32",
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Predictor:
    """Return a predictor of a zoo row by name, of your own `.yml` with `weights`, or of one `.safetensors` file.

    Without `weights` a row's published file is downloaded at the first use (`progress` is told bytes so far and in
    all). `overrides` are `key.path=value` texts. Raises ConfigError, WeightsError or DownloadError.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
    place = _choose_device(device)
    if dtype == "bfloat16" and place.type == "cpu" and not has_fast_bfloat16():
        warnings.warn("this CPU has no bfloat16 arithmetic: float32 is faster here, and more exact", stacklevel=2)
    network, config = load_network(model, weights, overrides=overrides, progress=progress)
    return Predictor(network, config, place, DTYPES[dtype])


def load_network(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> tuple[MaskRCNN, ModelConfig]:
    """Return the network with its weights, unpacked, and its config; arguments as for `load`."""
    if Path(model).suffix == ".safetensors":
        if weights is not None:
            raise ConfigError(f"{model}: this file holds its own weights; leave {weights} out, or name a model file")
        checkpoint = read_checkpoint(model)
        config = parse_config(dump_config(checkpoint.config), str(model), overrides)
        network = build_empty(config)
        return _fill(network, _check_names(checkpoint.tensors, network, str(model))), config
    config = read_row(model, overrides)
    if weights is None and not config.source.weights:
        raise WeightsError(f"{model}: names no published weights; give a file with weights= (--weights FILE)")
    network = build_empty(config)
    file = Path(weights) if weights is not None else fetch(config.source.weights, progress=progress)
    return _fill(network, read_weights(file, config, network)), config


def read_weights(path: str | Path, config: ModelConfig, network: MaskRCNN) -> dict[str, Tensor]:
    """Read a `.safetensors` file of ours or a PaddleDetection `.pdparams` file as tensors for the network, strictly."""
    if Path(path).suffix == ".safetensors":
        return _check_names(read_checkpoint(path).tensors, network, str(path))
    return rename(read_pdparams(path), list_renames(config.network, str(path)), list_shapes(network), str(path))


def convert(source: str | Path, out: str | Path, model: str | Path | None = None) -> Checkpoint:
    """Write the weights file `source` as one `.safetensors` file with config, class names and provenance inside.

    `model` is a row's name or a model file; left out, the file's own name must be a row's. Returns what was written.
    """
    source, out = Path(source), Path(out)
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: expected a name that ends in .safetensors")
    if model is None and source.stem not in names():
        raise ConfigError(f"{source}: the name is no zoo row's; say which network it belongs to with model= (--model)")
    config = read_row(source.stem if model is None else model)
    network = build_empty(config)
    tensors = read_weights(source, config, network)
    provenance = {
        "source_file": source.name,
        "source_sha256": hash_file(source),
        "source_url": config.source.weights,
        "licence": config.source.licence,
        "maskzoo_version": version("maskzoo"),
    }
    write_checkpoint(out, tensors, config, provenance)
    return Checkpoint(tensors, config, provenance)


def build_empty(config: ModelConfig) -> MaskRCNN:
    """Build the network without memory for weights: they come from a file."""
    with torch.device("meta"):
        return build(config.network, len(config.classes), config.limits)


def _fill(network: MaskRCNN, tensors: dict[str, Tensor]) -> MaskRCNN:
    network.load_state_dict(tensors, assign=True)
    return network


def _check_names(tensors: dict[str, Tensor], network: MaskRCNN, origin: str) -> dict[str, Tensor]:
    """Hold a file of ours against the network by the same strict rules as any other."""
    shapes = list_shapes(network)
    return rename(
        {name: tensor.numpy() for name, tensor in tensors.items()},
        [Rename(name, name) for name in shapes],
        shapes,
        origin,
    )


def list_shapes(network: MaskRCNN) -> dict[str, tuple[int, ...]]:
    """List the names of all weights and statistics of a network with their shapes."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _choose_device(device: str) -> torch.device:
    available = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if available else "cpu")
    if device not in ("cpu", "cuda"):
        raise ConfigError(f"device is {device!r}; expected auto, cpu or cuda")
    if device == "cuda" and not available:
        raise ConfigError("device is cuda, but this machine has no GPU that PyTorch can use; choose cpu or auto")
    return torch.device(device)
