"""Packages that not every user needs: what needs them, how they are installed, and what is said where they are missing."""

from __future__ import annotations

from typing import Any

from maskzoo.errors import MissingPackageError
from maskzoo.system.telemetry import import_silenced

__all__ = ["describe_need", "explain_missing", "find_install", "import_extra"]

_EXPORT = ("files for other runtimes", "maskzoo[export]")
_HUB = ("models in Hugging Face repositories", "maskzoo[hub]")
_SERVE = ("the server", "maskzoo[serve]")
_NEEDS = {  # by the name that is imported: what needs it, and what pip installs for that
    "av": ("videos, cameras and streams", "maskzoo[video]"),
    "cvat_sdk": ("functions of CVAT", "maskzoo[cvat]"),
    "edgefirst": ("identities in a video (--track)", "maskzoo[video]"),
    "fastapi": _SERVE,
    "fiftyone": ("its converter", "fiftyone"),
    "h11": _SERVE,
    "httpx": ("clients of a server", "maskzoo[serve]"),
    "huggingface_hub": _HUB,
    "imagecodecs": ("most TIFF files", "maskzoo[tiff]"),
    "mlflow": ("--track mlflow", "maskzoo[mlflow]"),
    "nncf": ("files that compute in int8", "maskzoo[int8]"),
    "onnx": _EXPORT,
    "onnxruntime": _EXPORT,
    "onnxscript": _EXPORT,
    "openvino": _EXPORT,
    "prometheus_client": _SERVE,
    "python_multipart": _SERVE,
    "sahi": ("its adapter", "sahi"),
    "starlette": _SERVE,
    "supervision": ("to_supervision", "supervision"),
    "tensorboard": ("curves of a training run", "maskzoo[track]"),
    "tifffile": ("TIFF files that are read by windows", "maskzoo[tiff]"),
    "tqdm": _HUB,
    "uvicorn": _SERVE,
    "wandb": ("--track wandb", "maskzoo[wandb]"),
}


def import_extra(name: str) -> Any:
    """Return a package, or a module of it, which reports its use to nobody.

    Raises MissingPackageError with the command that installs it.
    """
    try:
        return import_silenced(name)
    except ImportError as error:
        raise explain_missing(error, name) from error


def explain_missing(error: ImportError, name: str | None = None) -> ImportError:
    """Return the error that says what to install for a failed import, that of `name` or of what `error` names.

    It is `error` itself if that is of no package that is an extra, or says so already.
    """
    package = (name or error.name or "").partition(".")[0]
    if package not in _NEEDS or isinstance(error, MissingPackageError):
        return error
    absent = isinstance(error, ModuleNotFoundError) and (error.name or package).partition(".")[0] == package
    found = "is not installed" if absent else f"cannot be imported ({error})"
    again = "" if absent else "; install it anew"
    use, _ = _NEEDS[package]
    return MissingPackageError(f"{package} {found}, and is needed for {use}{again}: {find_install(package)}", name=package)


def find_install(name: str) -> str:
    """Return the command that installs a package with all that is needed for the same."""
    return f"pip install '{_NEEDS[name][1]}'"


def describe_need(name: str) -> str:
    """Return what a package is for, and the command that installs it."""
    return f"{_NEEDS[name][0]}: {find_install(name)}"
