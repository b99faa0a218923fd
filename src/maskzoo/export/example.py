"""The script that is written beside an exported file: how to use it without maskzoo."""

from __future__ import annotations

from importlib.resources import files
from pprint import pformat

from maskzoo.config import ModelConfig

__all__ = ["make_example"]


def make_example(file: str, config: ModelConfig) -> str:
    """Return the script for the exported `file` (a name beside it); it needs the runtime, numpy and Pillow."""
    text = files("maskzoo.export").joinpath("example_script.txt").read_text(encoding="utf-8")
    values = {
        "FILE": repr(file),
        "CLASSES": pformat(list(config.classes.values()), width=110, compact=True),
        "SHORT_SIDE": repr(config.input.short_side),
        "LONG_SIDE": repr(config.input.long_side),
        "MEAN": repr(list(config.input.mean)),
        "STD": repr(list(config.input.std)),
        "MULTIPLE": repr(config.input.canvas_multiple),
        "MASK_THRESHOLD": repr(config.limits.detections.mask_threshold),
    }
    for name, value in values.items():
        text = text.replace(f"{name} = ...", f"{name} = {value}")
    return text
