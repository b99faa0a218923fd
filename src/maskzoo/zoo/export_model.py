"""A model written as a file for another runtime, with an example of its use, and compared with the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from maskzoo.config import ModelConfig
from maskzoo.errors import ArgumentError, ConfigError, ExportError, list_some
from maskzoo.exporting.calibration import read_calibration
from maskzoo.exporting.example import make_example
from maskzoo.exporting.onnx import Facts, write_onnx
from maskzoo.exporting.openvino import write_openvino
from maskzoo.exporting.program import Program
from maskzoo.exporting.torch_package import write_package
from maskzoo.exporting.verify import Verification
from maskzoo.exporting.verify import verify as hold_against
from maskzoo.exporting.web import write_web
from maskzoo.images.find import find_images
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_target, fit_name, make_folder, write_file
from maskzoo.zoo.browser_runtime import read_runtime
from maskzoo.zoo.export_folders import FOLDERS, list_files, write_cvat, write_triton
from maskzoo.zoo.load import EXPORTED_SUFFIXES, load, load_network
from maskzoo.zoo.rows import find_weights

__all__ = ["Exported", "export"]

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2", "web": "_web", "cvat": "_cvat", "triton": "_triton"}
EXAMPLES = {"onnx": (".py", ".json"), "openvino": (".py", ".json"), "torch": (".cpp",)}  # what is written beside
CANVAS_MULTIPLE = 32


@dataclass(frozen=True, slots=True)
class Exported:
    """What `export` wrote: the `file` with the network, the `example` beside it, and how it compares, if it was verified."""

    file: Path
    example: Path
    verification: Verification | None

    def to_dict(self) -> dict[str, Any]:
        """Return the paths, and what verifying found, as plain values for JSON."""
        verified = None if self.verification is None else self.verification.to_dict()
        return {"file": str(self.file), "example": str(self.example), "verified": verified}


def export(
    model: str | Path,
    out: str | Path | None = None,
    *,
    to: Literal["onnx", "openvino", "torch", "web", "cvat", "triton"] = "onnx",
    weights: str | Path | None = None,
    dtype: Literal["float32", "int8"] = "float32",
    calibrate: str | Path | None = None,
    fixed: tuple[int, int] | None = None,
    preprocess: bool = False,
    runtime: str | Path | None = None,
    verify: str | Path | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    on_progress: OnProgress = say_nothing,
) -> Exported:
    """Write a network as a file for another runtime.

    The file takes any batch, height and width, and gives boxes, scores, labels, which slots are filled, and mask
    probabilities; class names and the model file lie in its metadata.

    Args:
        model: What `load` takes, but an exported file.
        out: The file, or for "web" the folder, to write; None: the model's name in this folder. A script beside the file (C++
            for torch) shows its use; in the folder it is the page.
        to: "onnx" is one file that many runtimes read, "openvino" writes `.xml` and `.bin`, "torch" a package of machine
            code for C++, which takes a C++ compiler and several minutes; "web" a folder with a page that runs the network
            in the browser, "cvat" one with a function of CVAT, "triton" one that is a model repository of Triton.
        weights: As for `load`.
        dtype: "int8" is for OpenVINO and needs photos to `calibrate` on.
        calibrate: A folder of photos from which int8 takes its ranges; some dozens do.
        fixed: Take canvases of this height and width only, rounded up to multiples of 32.
        preprocess: Take whole photos, one at a time: resize, normalise and pad inside; "web" always does.
        runtime: onnxruntime-web for "web", its folder or npm's archive of it; None: it is fetched once.
        verify: A folder of photos on which the file is compared with the network.
        overrides: As for `load`.
        force: Overwrite what stands where the file and its example are to be.
        on_progress: Is told what is being done, and of each photo verified.

    Returns:
        The file, the example beside it, and what verifying found; a file that differs raises nothing, its `faults` say where.

    Raises:
        ArgumentError: Arguments do not go together.
        ExportError: A package or a C++ compiler is missing, or the file is there already or cannot be written.
        MaskzooError: As for `load`.
    """
    canvas = None if fixed is None else (_round_up(fixed[0]), _round_up(fixed[1]))
    preprocess = preprocess or to == "web"
    _check_arguments(to, dtype, calibrate, canvas, preprocess, verify, runtime)
    if Path(model).suffix in EXPORTED_SUFFIXES:
        raise ConfigError(f"{model}: is an exported file already; name the model that it was made from")
    given, model = Path(model), find_weights(model)
    stem = given.name if given.is_dir() else given.stem
    path = Path(f"{stem}{SUFFIXES[to]}" if out is None else out)
    if to not in FOLDERS and path.suffix != SUFFIXES[to]:
        raise ArgumentError(f"out (--out): found {str(path)!r}; expected a name that ends in {SUFFIXES[to]}")
    whole = list_files(to, path, stem) if to in FOLDERS else _list_written(to, path)
    for target in whole:
        check_target(target, force=force, kind=ExportError)
    make_folder(path if to in FOLDERS else path.parent)
    browser = read_runtime(None if runtime is None else Path(runtime), on_progress) if to == "web" else {}
    on_progress(ProgressEvent(f"Exporting {model}: {'several minutes' if to == 'torch' else 'a minute or two'}"))
    network, config = load_network(model, weights, overrides=overrides, on_progress=on_progress)
    if preprocess and (config.input.resize, config.input.order) not in (("one_factor", "rgb"), ("rounded", "rgb")):
        raise ConfigError(
            f"{model}: a file can prepare photos itself by input.resize one_factor or rounded, in the order rgb; found "
            f"{config.input.resize}, {config.input.order}. Leave preprocess (--preprocess, --to web) out: maskzoo, and the "
            "example that is written beside a file, prepare photos by this model's rules"
        )
    provenance = {
        "model": str(model),
        "source": config.source.weights if weights is None else Path(weights).name,
        "licence": config.source.licence,
        "dtype": dtype,
        "maskzoo_version": version("maskzoo"),
    }
    facts = Facts(config, canvas, provenance, preprocess)
    on_progress(ProgressEvent(f"Exporting {model}: {'several minutes' if to == 'torch' else 'a minute or two'}"))
    if to == "onnx":
        write_onnx(Program(network), facts, path)
    elif to == "web":
        write_onnx(Program(network), facts, whole[0])
        write_web(path, config, browser)
    elif to == "torch":
        write_package(Program(network), facts, path)
    elif to == "cvat":
        write_cvat(network, config, provenance, path, stem)
    elif to == "triton":
        write_triton(network, facts, path, stem)
    else:
        photos = None if calibrate is None else read_calibration(calibrate, config.input, preprocess)
        write_openvino(Program(network), facts, path, photos)
    if to not in FOLDERS:
        _write_example(path, config, preprocess)
    path, example, *_ = whole
    if verify is None:
        return Exported(path, example, None)
    found = find_images([str(verify)])
    own = load(model, weights, device="cpu", overrides=overrides)
    return Exported(path, example, hold_against(own, load(path), found, on_progress))


def _list_written(to: str, path: Path) -> list[Path]:
    """The exported file, its example, and what else is written beside it."""
    weights = [path.with_suffix(".bin")] if to == "openvino" else []
    return [path, *(_name_example(path, ending) for ending in EXAMPLES[to]), *weights]


def _round_up(side: int) -> int:
    if side < 1:
        raise ArgumentError(f"fixed (--fixed): found a side of {side} pixels; expected 1 or more")
    return -(-side // CANVAS_MULTIPLE) * CANVAS_MULTIPLE


def _check_arguments(to: str, dtype: str, calibrate: Any, canvas: Any, preprocess: bool, verify: Any, runtime: Any) -> None:
    """Raise ArgumentError for what does not go together."""
    faults = {
        f"to (--to): found {to!r}; expected {list_some(list(SUFFIXES))}": to not in SUFFIXES,
        f"dtype (--dtype): found {dtype!r}; expected float32 or int8": dtype not in ("float32", "int8"),
        "dtype (--dtype): int8 is made for OpenVINO; add --to openvino": dtype == "int8" and to != "openvino",
        "calibrate (--calibrate): --dtype int8 and --calibrate DIR go together; found one of them": (dtype == "int8")
        != (calibrate is not None),
        "preprocess (--preprocess): a torch package takes prepared photos; leave it out": preprocess and to == "torch",
        "fixed (--fixed): a file that takes whole photos takes all their canvases; leave it out": preprocess
        and canvas is not None,
        "runtime (--runtime): is for a page in the browser; add --to web": runtime is not None and to != "web",
        "dtype, fixed, preprocess, verify: a function of CVAT runs the network itself; leave them out": to == "cvat"
        and (dtype != "float32" or canvas is not None or preprocess or verify is not None),
        "verify (--verify): photos fill many canvases; verify a file without --fixed": canvas is not None
        and verify is not None,
    }
    for fault, found in faults.items():
        if found:
            raise ArgumentError(fault)


def _write_example(path: Path, config: ModelConfig, preprocess: bool) -> None:
    """Write the example's files beside the exported one."""
    for ending, text in make_example(path.name, config, preprocess).items():
        write_file(_name_example(path, ending), text.encode())


def _name_example(path: Path, ending: str) -> Path:
    return (path.parent / fit_name(path.stem, "_example.json", path.parent)).with_suffix(ending)
