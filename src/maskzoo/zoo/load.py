"""From a model's name, or a file, to a predictor: finds the config and the weights, and brings them together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from maskzoo.config import ModelConfig
from maskzoo.errors import ConfigError, WeightsError
from maskzoo.exporting.cache import export_once
from maskzoo.exporting.calibration import read_calibration
from maskzoo.exporting.onnx import read_facts
from maskzoo.exporting.openvino import read_openvino_facts
from maskzoo.exporting.runtimes import RUNTIMES, TorchPackage
from maskzoo.exporting.torch_package import read_package_facts
from maskzoo.inference.backends import Compiled, Eager
from maskzoo.inference.ordered_threads import check_threads
from maskzoo.inference.predictor import PhotoPredictor, Predictor
from maskzoo.model_file import dump_config, parse_config
from maskzoo.models.build import build
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.packing import has_fast_bfloat16
from maskzoo.system.files import describe_address, hash_file, home
from maskzoo.system.machine import inspect_compiler, is_installed
from maskzoo.system.memory import bound_setups
from maskzoo.weights.checkpoint import Checkpoint, read_checkpoint, read_checkpoint_config, write_checkpoint
from maskzoo.weights.paddledetection import list_renames
from maskzoo.weights.pdparams import read_pdparams
from maskzoo.weights.rename import Rename, rename
from maskzoo.zoo.backend_choice import choose_backend
from maskzoo.zoo.download import fetch
from maskzoo.zoo.rows import names, read_row

__all__ = ["EXPORTED", "build_empty", "convert", "list_shapes", "load", "load_network", "read_weights"]

SPOKEN = {
    "eager": ("float32", "bfloat16", "float16"),
    "compile": ("float32", "bfloat16", "float16"),
    "openvino": ("float32", "bfloat16", "int8"),
    "onnxruntime": ("float32",),
    "torch package": ("float32",),
}
EXPORTED = (".onnx", ".xml", ".pt2")  # suffixes of the files that `maskzoo export` writes
Progress = Callable[[int, int | None], None]


def load(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    backend: Literal["auto", "eager", "compile", "openvino", "onnxruntime"] = "auto",
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto",
    calibrate: str | Path | None = None,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Predictor:
    """Return a predictor of a zoo row by name, of your own `.yml` with `weights`, or of one file that holds both.

    One file is a `.safetensors` file, or an `.onnx`, `.xml` or `.pt2` file that `maskzoo export` wrote; the last is
    machine code, so load none that you would not run. Without `weights` a row's
    published file is downloaded at the first use (`progress` is told bytes so far and in all). `overrides` are
    `key.path=value` texts. `weights` of ours bring their `input.resize` along, which they were trained with; an override
    is stronger. A runtime other than PyTorch exports the network at the first use and keeps the file. A `dtype`
    of `auto` is float32; float16 is for GPUs. A `backend` of `auto` is what was measured as the fastest for the type, and
    the predictor's repr says why. int8 needs photos to `calibrate` on (a folder; some dozens do).
    Raises ConfigError, WeightsError, DownloadError or ExportError; MaskzooError in a process forked after a network was loaded.
    """
    check_threads(torch_alone=True)
    if dtype not in ("auto", "float32", "bfloat16", "float16", "int8"):
        raise ConfigError(f"dtype is {dtype!r}; expected auto, float32, bfloat16, float16 or int8")
    if backend not in ("auto", *SPOKEN):
        raise ConfigError(f"backend is {backend!r}; expected auto, eager, compile, {' or '.join(RUNTIMES)}")
    if Path(model).suffix in EXPORTED:
        return _load_exported(Path(model), weights, backend, dtype, overrides)
    place = _choose_device(device)
    dtype = "float32" if dtype == "auto" else dtype
    chosen, why = choose_backend(dtype, place.type) if backend == "auto" else (backend, "")
    _check_backend(chosen, dtype, place, calibrate)
    if place.type == "cpu":
        bound_setups()
    network, config = load_network(model, weights, overrides=overrides, progress=progress)
    if chosen in ("eager", "compile"):
        kind = Eager if chosen == "eager" else Compiled
        return Predictor(kind(network, place, getattr(torch, dtype)), config, why)
    photos = None if calibrate is None else read_calibration(calibrate, config.input)
    path = export_once(network, config, home() / "exports", photos)
    return Predictor(RUNTIMES[chosen](path, dtype), config, why)


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
    if file.suffix == ".safetensors" and not any(text.split("=")[0] in ("input", "input.resize") for text in overrides):
        config = _resize_as(read_checkpoint_config(file), config)
    return _fill(network, read_weights(file, config, network)), config


def _resize_as(trained: ModelConfig, config: ModelConfig) -> ModelConfig:
    """The config, with the rule of resizing that its weights were trained with."""
    return config.model_copy(update={"input": config.input.model_copy(update={"resize": trained.input.resize})})


def read_weights(path: str | Path, config: ModelConfig, network: MaskRCNN) -> dict[str, Tensor]:
    """Read a `.safetensors` file of ours or a PaddleDetection `.pdparams` file as tensors for the network, strictly."""
    if Path(path).suffix == ".safetensors":
        return _check_names(read_checkpoint(path).tensors, network, str(path))
    return rename(read_pdparams(path), list_renames(config.network, str(path)), list_shapes(network), str(path))


def convert(
    source: str | Path, out: str | Path, model: str | Path | None = None, *, overrides: Sequence[str] = ()
) -> Checkpoint:
    """Write the weights file `source` as one `.safetensors` file with config, class names and provenance inside.

    `model` is a row's name or a model file; left out, the file's own name must be a row's. `overrides` as for `load`. No
    `.pdparams` file says which PaddleDetection wrote it: for weights that 2.6.1 or later trained, `input.resize=rounded`
    is the caller's to say. Returns what was written.
    """
    source, out = Path(source), Path(out)
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: expected a name that ends in .safetensors")
    if model is None and source.stem not in names():
        raise ConfigError(f"{source}: the name is no zoo row's; say which network it belongs to with model= (--model)")
    config = read_row(source.stem if model is None else model, overrides)
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


def _check_backend(backend: str, dtype: str, device: torch.device, calibrate: str | Path | None) -> None:
    if backend in RUNTIMES and device.type != "cpu":
        raise ConfigError(f"backend is {backend}, which runs on the CPU here; choose device cpu, or backend eager")
    if (dtype == "int8") != (calibrate is not None):
        fault = "int8 needs photos to calibrate on" if dtype == "int8" else f"only int8 is calibrated, and dtype is {dtype}"
        raise ConfigError(f"{fault}; give both dtype=int8 and calibrate=FOLDER (--dtype int8 --calibrate FOLDER), or neither")
    if dtype not in SPOKEN[backend]:
        raise ConfigError(f"{backend} cannot run {dtype} here; it takes {', '.join(SPOKEN[backend])}")
    if dtype == "float16" and device.type == "cpu":
        raise ConfigError("dtype is float16, which is for GPUs, and the device is the CPU; choose float32 or bfloat16")
    if backend == "compile" and (remedy := inspect_compiler(device.type)):
        raise ConfigError(f"backend is compile; {remedy}, or choose backend eager")
    if dtype == "bfloat16" and device.type == "cpu" and not has_fast_bfloat16():
        warnings.warn("this CPU has no bfloat16 arithmetic: float32 is faster here, and more exact", stacklevel=3)


def _load_exported(path: Path, weights: str | Path | None, backend: str, dtype: str, overrides: Sequence[str]) -> Predictor:
    """A predictor of a file that `maskzoo export` wrote: everything lies in it."""
    if weights is not None or overrides:
        raise ConfigError(f"{path}: an exported file holds its weights and settings; change the model and export it anew")
    if not path.is_file():
        raise ConfigError(describe_address(path) or f"{path}: there is no such file")
    if path.suffix == ".xml":
        if backend not in ("auto", "openvino"):
            raise ConfigError(f"{path}: only OpenVINO reads it; choose backend openvino or auto")
        chosen, facts = "openvino", read_openvino_facts(path)
    elif path.suffix == ".pt2":
        if backend != "auto":
            raise ConfigError(f"{path}: it is machine code and needs no backend; leave backend out")
        chosen, facts = TorchPackage.name, read_package_facts(path)
    else:
        if backend in ("eager", "compile"):
            raise ConfigError(f"{path}: PyTorch does not run ONNX files; choose {' or '.join(RUNTIMES)}, or auto")
        chosen = backend if backend != "auto" else next((name for name in RUNTIMES if is_installed(name)), "openvino")
        facts = read_facts(path)
    if facts.fixed is not None:
        height, width = facts.fixed
        raise ConfigError(f"{path}: made for one canvas, {height}x{width}, and photos fill many; export it without --fixed")
    stored = facts.provenance.get("dtype", "float32")
    wanted = stored if dtype == "auto" else dtype
    if wanted != stored and (stored == "int8" or wanted not in SPOKEN[chosen] or wanted == "int8"):
        raise ConfigError(f"{path}: holds {stored}, and {chosen} cannot run it as {dtype}; leave dtype out")
    runtime = RUNTIMES.get(chosen, TorchPackage)
    return (PhotoPredictor if facts.prepares else Predictor)(runtime(path, wanted), facts.config)


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
