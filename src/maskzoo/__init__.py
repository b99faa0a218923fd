"""The Mask R-CNN model zoo in PyTorch: published networks, safe weights, one command.

>>> import maskzoo
>>> predictor = maskzoo.load("mask_rcnn_r50_fpn_1x_coco")
>>> prediction = predictor.predict("street.jpg")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskzoo.errors import ConfigError, DownloadError, ExportError, ImageError, MaskzooError, SourceError, WeightsError
from maskzoo.waiting import choose_waiting

if TYPE_CHECKING:
    from maskzoo.config import ModelConfig
    from maskzoo.data.images import read_image
    from maskzoo.inference.memory import keep_freed_memory
    from maskzoo.inference.predictor import Predictor
    from maskzoo.inference.result import Masks, Prediction
    from maskzoo.zoo.load import convert, load
    from maskzoo.zoo.table import names

__all__ = [
    "ConfigError",
    "DownloadError",
    "ExportError",
    "ImageError",
    "Masks",
    "MaskzooError",
    "ModelConfig",
    "Prediction",
    "Predictor",
    "SourceError",
    "WeightsError",
    "convert",
    "keep_freed_memory",
    "load",
    "names",
    "read_image",
]

_HOMES = {
    "Masks": "inference.result",
    "ModelConfig": "config",
    "Prediction": "inference.result",
    "Predictor": "inference.predictor",
    "convert": "zoo.load",
    "keep_freed_memory": "inference.memory",
    "load": "zoo.load",
    "names": "zoo.table",
    "read_image": "data.images",
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
