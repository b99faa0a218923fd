"""Photos of the user's, as they go into the network: int8 takes its ranges from them."""

from __future__ import annotations

from pathlib import Path

from maskzoo.config import Input
from maskzoo.data.batching import make_batch
from maskzoo.data.images import find_images, read_image
from maskzoo.data.transforms import resize_image
from maskzoo.structures import ImageBatch

__all__ = ["read_calibration"]

MOST = 100  # photos: ranges of activations settle with some dozens


def read_calibration(folder: str | Path, settings: Input) -> list[ImageBatch]:
    """Read the photos of a folder, at most 100, evenly over their names. Raises SourceError, ImageError."""
    found = find_images([str(folder)])
    step = -(-len(found) // MOST)
    return [_read(path, settings) for path in found[::step]]


def _read(path: Path, settings: Input) -> ImageBatch:
    resized = resize_image(read_image(path), settings.short_side, settings.long_side)
    return make_batch([resized.pixels], settings)
