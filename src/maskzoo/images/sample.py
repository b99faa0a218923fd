"""The photo that comes with the package, for a first try."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["SAMPLE", "sample_photo"]

SAMPLE = "sample"  # stands for the photo where `maskzoo predict` takes a source, unless a file or folder has that name


def sample_photo() -> Path:
    """Find the photo that comes with the package, for a first try.

    Returns:
        Its path: a painted still life of 720 x 480 pixels.
    """
    return Path(str(files("maskzoo.images").joinpath("sample.jpg")))
