"""What is written beside an exported file: a script, or C++ program, that uses it without maskzoo."""

from __future__ import annotations

import json
from importlib.resources import files

from maskzoo.config import ModelConfig

__all__ = ["describe", "make_example"]


def make_example(file: str, config: ModelConfig, prepares: bool = False) -> dict[str, str]:
    """Return the example for the exported `file`, a name beside it: texts by the endings of their files, the program first.

    Of a `.pt2` it is in C++, and reads what it must know in the file's metadata (`describe`). Else it is in Python, with
    these facts in a JSON file; it needs the runtime, numpy and Pillow. `prepares`: the file takes whole photos.
    """
    if file.endswith(".pt2"):
        return {".cpp": _read("example_program.cpp")}
    shape = config.input
    facts = {
        "file": file,
        "classes": list(config.classes.values()),
        "prepares": prepares,
        "short_side": shape.short_side,
        "long_side": shape.long_side,
        "resize": shape.resize,
        "order": shape.order,
        "mean": shape.mean,
        "std": shape.std,
        "multiple": shape.canvas_multiple,
        "mask_threshold": config.limits.detections.mask_threshold,
        "paste": config.limits.detections.paste,
    }
    return {".py": _read("example_script.py"), ".json": json.dumps(facts, indent=1, ensure_ascii=False) + "\n"}


def describe(config: ModelConfig) -> dict[str, str]:
    """Return what a program must know of a network, as metadata that C++ can read without a parser.

    `names`: the classes by label, one a line. `preparation`: short and long side, multiple of the canvas, mean and standard
    deviation of the three channels; `resize`, the rule of resizing; `order` of the channels. `mask_threshold`; `paste`, how
    a mask is stretched.
    """
    shape = config.input
    numbers = (shape.short_side, shape.long_side, shape.canvas_multiple, *shape.mean, *shape.std)
    return {
        "names": "\n".join(config.classes.values()),
        "preparation": " ".join(map(str, numbers)),
        "resize": shape.resize,
        "order": shape.order,
        "mask_threshold": str(config.limits.detections.mask_threshold),
        "paste": config.limits.detections.paste,
    }


def _read(name: str) -> str:
    return files("maskzoo.exporting").joinpath(name).read_text(encoding="utf-8")
