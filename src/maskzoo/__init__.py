"""The Mask R-CNN model zoo in PyTorch: published networks, safe weights, one command.

>>> import maskzoo
>>> predictor = maskzoo.load("mask_rcnn_r50_fpn_1x_coco")
>>> prediction = predictor.predict("street.jpg")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskzoo.errors import (
    ConfigError,
    DownloadError,
    ExportError,
    ImageError,
    MaskzooError,
    SnapshotError,
    SourceError,
    TrainingError,
    UsageError,
    WeightsError,
)
from maskzoo.progress import OnProgress, ProgressEvent
from maskzoo.system.waiting import choose_waiting

if TYPE_CHECKING:
    from maskzoo.config import ModelConfig
    from maskzoo.doctor import Diagnosis, diagnose
    from maskzoo.exporting.verify import Verification
    from maskzoo.images.read import read_image
    from maskzoo.inference.folder_run import FolderRun, ImageResult, predict_folder
    from maskzoo.inference.prediction import Masks, Prediction
    from maskzoo.inference.predictor import Predictor
    from maskzoo.system.memory import keep_freed_memory
    from maskzoo.system.processes import join_processes
    from maskzoo.weights.checkpoint import Checkpoint
    from maskzoo.zoo.export_model import Exported, export
    from maskzoo.zoo.load import convert, load
    from maskzoo.zoo.rows import RowSummary, list_models, names

_HOMES = {
    "Checkpoint": "weights.checkpoint",
    "Diagnosis": "doctor",
    "Exported": "zoo.export_model",
    "FolderRun": "inference.folder_run",
    "ImageResult": "inference.folder_run",
    "Masks": "inference.prediction",
    "ModelConfig": "config",
    "Prediction": "inference.prediction",
    "Predictor": "inference.predictor",
    "RowSummary": "zoo.rows",
    "Verification": "exporting.verify",
    "convert": "zoo.load",
    "diagnose": "doctor",
    "export": "zoo.export_model",
    "join_processes": "system.processes",
    "keep_freed_memory": "system.memory",
    "list_models": "zoo.rows",
    "load": "zoo.load",
    "names": "zoo.rows",
    "predict_folder": "inference.folder_run",
    "read_image": "images.read",
}

__all__ = [
    "Checkpoint",
    "ConfigError",
    "Diagnosis",
    "DownloadError",
    "ExportError",
    "Exported",
    "FolderRun",
    "ImageError",
    "ImageResult",
    "Masks",
    "MaskzooError",
    "ModelConfig",
    "OnProgress",
    "Prediction",
    "Predictor",
    "ProgressEvent",
    "RowSummary",
    "SnapshotError",
    "SourceError",
    "TrainingError",
    "UsageError",
    "Verification",
    "WeightsError",
    "convert",
    "diagnose",
    "export",
    "join_processes",
    "keep_freed_memory",
    "list_models",
    "load",
    "names",
    "predict_folder",
    "read_image",
]

choose_waiting()  # before anything here imports torch


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: torch takes seconds, and not every use of the package needs it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'maskzoo' has no attribute {name!r}")
    value = getattr(import_module(f"maskzoo.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
