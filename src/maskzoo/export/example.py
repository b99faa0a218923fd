"""The script that is written beside an exported file: how to use it without maskzoo."""

from __future__ import annotations

from importlib.resources import files
from pprint import pformat

from maskzoo.config import ModelConfig

__all__ = ["make_example"]


def make_example(file: str, config: ModelConfig, prepares: bool = False) -> str:
    """Return the script for the exported `file` (a name beside it); it needs the runtime, numpy and Pillow.

    `prepares`: the file takes whole photos, and the script does nothing to them.
    """
    text = files("maskzoo.export").joinpath("example_script.txt").read_text(encoding="utf-8")
    text = _choose(text, "prepared" if prepares else "raw")
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


def _choose(text: str, kind: str) -> str:
    """Keep the parts of the template between `#[ kind` and `#]` of one kind, and leave those of the other out."""
    kept, part = [], None
    for line in text.splitlines(keepends=True):
        if line.strip().startswith("#["):
            part = line.split()[1]
        elif line.strip() == "#]":
            part = None
        elif part in (None, kind):
            kept.append(line)
    return "".join(kept)
