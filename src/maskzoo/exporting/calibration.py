"""Photos of the user's, as they go into an exported graph: int8 takes its ranges from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskzoo.config import Input
from maskzoo.exporting.program import PHOTO, Inputs, to_inputs
from maskzoo.images.batch import batch_resized
from maskzoo.images.find import find_images
from maskzoo.images.read import read_image
from maskzoo.images.resize import resize_photo

__all__ = ["read_calibration"]

MOST = 100  # photos: ranges of activations settle with some dozens


def read_calibration(folder: str | Path, settings: Input, prepares: bool = False) -> list[Inputs]:
    """Read the photos of a folder, at most 100, evenly over their names, as inputs of a graph, by name.

    `prepares`: of one that takes whole photos. Raises SourceError, ImageError.
    """
    found = find_images([str(folder)])
    step = -(-len(found) // MOST)
    photos = (read_image(path) for path in found[::step])
    return [{PHOTO: photo} if prepares else _prepare(photo, settings) for photo in photos]


def _prepare(photo: NDArray[np.uint8], settings: Input) -> Inputs:
    return to_inputs(batch_resized([resize_photo(photo, settings)], settings))
