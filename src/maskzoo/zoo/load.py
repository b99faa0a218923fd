"""From a model's name, or a file, to a predictor: finds the config and the weights, and brings them together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

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
from maskzoo.models.build import build
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.packing import has_fast_bfloat16
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.devices import choose_device
from maskzoo.system.files import describe_address, home
from maskzoo.system.machine import inspect_compiler, is_installed
from maskzoo.system.memory import bound_setups
from maskzoo.weights.checkpoint import read_checkpoint, read_checkpoint_config
from maskzoo.weights.foreign import read_tensors
from maskzoo.weights.libraries import to_ours
from maskzoo.weights.paddledetection import list_renames
from maskzoo.weights.pdparams import read_pdparams
from maskzoo.weights.rename import Rename, rename, to_arrays
from maskzoo.zoo.backend_choice import BACKENDS, COMPUTED, DTYPES, BackendChoice, DtypeChoice, choose_backend
from maskzoo.zoo.download import fetch
from maskzoo.zoo.rows import find_weights, read_model_config

__all__ = ["EXPORTED_SUFFIXES", "build_empty", "list_shapes", "load", "load_network", "note_rule", "read_weights"]

LIBRARY_SUFFIXES = (".pth", ".pt", ".pkl")  # of torchvision's, detectron2's and mmdetection's weights
EXPORTED_SUFFIXES = (".onnx", ".xml", ".pt2")  # of the files that `maskzoo export` writes


def load(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    device: str = "auto",
    backend: BackendChoice = "auto",
    dtype: DtypeChoice = "auto",
    calibrate: str | Path | None = None,
    overrides: Sequence[str] = (),
    on_progress: OnProgress = say_nothing,
) -> Predictor:
    """Return a predictor: a published row, your own model, or one file that holds all.

    Args:
        model: A row's name, your own `.yml` with `weights`, a `.safetensors` file, the folder of a training run (its best
            weights), `hf://user/name` as `pull` fetches it, or an `.onnx`, `.xml` or `.pt2` file that `export` wrote; the last
            is machine code, so load none that you would not run.
        weights: A `.safetensors` file, or another library's, as for `convert`. None: a row's published file, downloaded at the
            first use. Weights of ours bring their `input.resize` along, which they were trained with; an override is stronger.
        device: "auto" is the NVIDIA or AMD GPU where there is one; or as PyTorch names it: cpu, cuda:1, mps, xpu ...
        backend: "eager" and "compile" are PyTorch, "openvino" and "onnxruntime" export the network at the first use and keep
            the file. "auto" is what was measured as the fastest for the type; the predictor's repr says why.
        dtype: "float32", which "auto" is, "bfloat16", "float16" (for GPUs) or "int8" (OpenVINO's).
        calibrate: A folder of photos from which int8 takes its ranges; some dozens do.
        overrides: Values of the model file to change, `key.path=value` texts.
        on_progress: Is called with the bytes of a download, and with whatever else takes time.

    Returns:
        What finds the objects on photos; its repr says what runs the network, and why.

    Raises:
        ConfigError: No such model, or what was asked for does not go together.
        WeightsError: The weights are damaged, or belong to another network.
        DownloadError: The weights are not here and cannot be fetched.
        ExportError: A runtime cannot read the file.
        MissingPackageError: A runtime is not installed.
        MaskzooError: This process was forked after a network was loaded.
    """
    check_threads(torch_alone=True)
    model = find_weights(model, on_progress)
    if dtype not in ("auto", *DTYPES):
        raise ConfigError(f"dtype is {dtype!r}; expected one of auto, {', '.join(DTYPES)}")
    if backend not in ("auto", *BACKENDS):
        raise ConfigError(f"backend is {backend!r}; expected one of auto, {', '.join(BACKENDS)}")
    if Path(model).suffix in EXPORTED_SUFFIXES:
        return _load_exported(Path(model), weights, backend, dtype, overrides)
    place = choose_device(device)
    dtype = "float32" if dtype == "auto" else dtype
    chosen, why = choose_backend(dtype, place.type) if backend == "auto" else (backend, "")
    _check_backend(chosen, dtype, place, calibrate)
    if place.type == "cpu":
        bound_setups()
    network, config = load_network(model, weights, overrides=overrides, on_progress=on_progress)
    if chosen in ("eager", "compile"):
        kind = Eager if chosen == "eager" else Compiled
        return Predictor(kind(network, place, getattr(torch, dtype)), config, why)
    photos = None if calibrate is None else read_calibration(calibrate, config.input)
    on_progress(ProgressEvent(f"Exporting for {chosen}, if it is the first time"))
    path = export_once(network, config, home() / "exports", photos)
    return Predictor(RUNTIMES[chosen](path, dtype), config, why)


def load_network(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    on_progress: OnProgress = say_nothing,
) -> tuple[MaskRCNN, ModelConfig]:
    """Return the network with its weights, unpacked, and its config; arguments as for `load`."""
    model = find_weights(model, on_progress)
    config = read_model_config(model, overrides)
    whole = Path(model).suffix == ".safetensors"
    if whole and weights is not None:
        raise ConfigError(f"{model}: this file holds its own weights; leave {weights} out, or name a model file")
    if weights is None and not whole and not config.source.weights:
        raise WeightsError(f"{model}: names no published weights; give a file with weights= (--weights FILE)")
    network = build_empty(config)
    if whole or weights is not None:
        file = Path(model if weights is None else weights)
    else:
        file = fetch(config.source.weights, config.source.sha256, on_progress=on_progress)
    if file.suffix == ".safetensors" and not any(text.split("=")[0] in ("input", "input.resize") for text in overrides):
        trained = read_checkpoint_config(file)
        note_rule(trained, file)
        config = _resize_as(trained, config)
    else:
        note_rule(config, model)
    network.load_state_dict(read_weights(file, config, network), assign=True)
    return network, config


def note_rule(
    config: ModelConfig, origin: str | Path, remedy: str = "add --set input.resize=one_factor, or convert them again"
) -> None:
    """Warn of weights that may be published ones where their model file is from before `input.resize`.

    What was trained here then was trained with `rounded`, as it is read, and names no published weights.
    """
    if config.source.weights and "resize" not in config.input.model_fields_set:
        warnings.warn(
            f"{origin} does not say input.resize, so photos are resized as rounded; the published weights were trained with "
            f"one_factor: for those {remedy}",
            stacklevel=4,
        )


def _resize_as(trained: ModelConfig, config: ModelConfig) -> ModelConfig:
    """The config, with the rule of resizing and the order of channels that its weights were trained with."""
    rules = {"resize": trained.input.resize, "order": trained.input.order}
    return config.model_copy(update={"input": config.input.model_copy(update=rules)})


def read_weights(path: str | Path, config: ModelConfig, network: MaskRCNN) -> dict[str, Tensor]:
    """Read a `.safetensors` file of ours, or another library's weights file, as tensors for the network, strictly."""
    if Path(path).suffix == ".safetensors":
        return _check_names(read_checkpoint(path).tensors, network, str(path))
    if Path(path).suffix in LIBRARY_SUFFIXES:
        return to_ours(read_tensors(path).tensors, config.network, list_shapes(network), str(path))
    return rename(read_pdparams(path), list_renames(config.network, str(path)), list_shapes(network), str(path))


def _check_backend(backend: str, dtype: str, device: torch.device, calibrate: str | Path | None) -> None:
    if backend in RUNTIMES and device.type != "cpu":
        raise ConfigError(f"backend is {backend}, which runs on the CPU here; choose device cpu, or backend eager")
    if (dtype == "int8") != (calibrate is not None):
        fault = "int8 needs photos to calibrate on" if dtype == "int8" else f"only int8 is calibrated, and dtype is {dtype}"
        raise ConfigError(f"{fault}; give both dtype=int8 and calibrate=FOLDER (--dtype int8 --calibrate FOLDER), or neither")
    if dtype not in COMPUTED[backend]:
        raise ConfigError(f"{backend} cannot run {dtype} here; it takes {', '.join(COMPUTED[backend])}")
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
        raise ConfigError(describe_address(path) or f"{path}: no such file; expected an exported model; check the spelling")
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
    if wanted != stored and (stored == "int8" or wanted not in COMPUTED[chosen] or wanted == "int8"):
        raise ConfigError(f"{path}: holds {stored}, and {chosen} cannot run it as {dtype}; leave dtype out")
    note_rule(facts.config, path, "export them anew")
    runtime = RUNTIMES.get(chosen, TorchPackage)
    return (PhotoPredictor if facts.prepares else Predictor)(runtime(path, wanted), facts.config)


def build_empty(config: ModelConfig) -> MaskRCNN:
    """Build the network without memory for weights: they come from a file."""
    with torch.device("meta"):
        return build(config.network, len(config.classes), config.limits)


def _check_names(tensors: dict[str, Tensor], network: MaskRCNN, origin: str) -> dict[str, Tensor]:
    """Check a file of ours against the network by the same strict rules as any other."""
    shapes = list_shapes(network)
    return rename(to_arrays(tensors, origin), [Rename(name, name) for name in shapes], shapes, origin)


def list_shapes(network: MaskRCNN) -> dict[str, tuple[int, ...]]:
    """List the names of all weights and statistics of a network with their shapes."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
