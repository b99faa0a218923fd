"""The script, or C++ program, that is written beside an exported file: how to use it without maskzoo."""

from __future__ import annotations

import json
from pprint import pformat
from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.export.templates import read_template

__all__ = ["make_example"]


def make_example(file: str, config: ModelConfig, prepares: bool = False) -> str:
    """Return the example for the exported `file` (a name beside it): of a `.pt2` in C++, else in Python.

    It needs the runtime; in Python numpy and Pillow as well. `prepares`: the file takes whole photos, and nothing is done
    to them.
    """
    compiled = file.endswith(".pt2")
    template = "example_program.txt" if compiled else "example_script.txt"
    text = read_template(template, "prepared" if prepares else "raw", config.input.resize)
    values = {
        "FILE": file,
        "CLASSES": list(config.classes.values()),
        "SHORT_SIDE": config.input.short_side,
        "LONG_SIDE": config.input.long_side,
        "MEAN": list(config.input.mean),
        "STD": list(config.input.std),
        "MULTIPLE": config.input.canvas_multiple,
        "MASK_THRESHOLD": config.limits.detections.mask_threshold,
    }
    for name, value in values.items():
        written = _write_cpp(value) if compiled else pformat(value, width=110, compact=True)
        text = text.replace(f"{name} = ...", f"{name} = {written}")
    return text


def _write_cpp(value: Any) -> str:
    if isinstance(value, list):
        return f"{{{', '.join(map(_write_cpp, value))}}}"
    return json.dumps(value, ensure_ascii=False)
