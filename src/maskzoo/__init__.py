"""The Mask R-CNN model zoo in PyTorch: published networks, safe weights, one command.

>>> import maskzoo
>>> predictor = maskzoo.load("mask_rcnn_r50_fpn_1x_coco")
>>> prediction = predictor.predict("street.jpg")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskzoo.errors import ConfigError, DownloadError, ExportError, ImageError, MaskzooError, SourceError, WeightsError
from maskzoo.system.waiting import choose_waiting

if TYPE_CHECKING:
    from maskzoo.bench.runner import BenchmarkRun, benchmark
    from maskzoo.config import ModelConfig
    from maskzoo.evaluation.job import EvaluationRun, evaluate
    from maskzoo.images.read import read_image
    from maskzoo.inference.prediction import Masks, Prediction
    from maskzoo.inference.predictor import Predictor
    from maskzoo.reports.page import write_report
    from maskzoo.system.memory import keep_freed_memory
    from maskzoo.training.run import TrainingRun, train
    from maskzoo.zoo.load import convert, load
    from maskzoo.zoo.rows import names

__all__ = [
    "BenchmarkRun",
    "ConfigError",
    "DownloadError",
    "EvaluationRun",
    "ExportError",
    "ImageError",
    "Masks",
    "MaskzooError",
    "ModelConfig",
    "Prediction",
    "Predictor",
    "SourceError",
    "TrainingRun",
    "WeightsError",
    "benchmark",
    "convert",
    "evaluate",
    "keep_freed_memory",
    "load",
    "names",
    "read_image",
    "train",
    "write_report",
]

_HOMES = {
    "BenchmarkRun": "bench.runner",
    "EvaluationRun": "evaluation.job",
    "Masks": "inference.prediction",
    "ModelConfig": "config",
    "Prediction": "inference.prediction",
    "Predictor": "inference.predictor",
    "TrainingRun": "training.run",
    "benchmark": "bench.runner",
    "convert": "zoo.load",
    "evaluate": "evaluation.job",
    "keep_freed_memory": "system.memory",
    "load": "zoo.load",
    "names": "zoo.rows",
    "read_image": "images.read",
    "train": "training.run",
    "write_report": "reports.page",
}

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
