"""The mask that a RoI should find: the object's outline, rasterised at the mask head's resolution inside the RoI."""

from __future__ import annotations

from collections.abc import Sequence

import hotcoco.mask
import numpy as np
from numpy.typing import NDArray

__all__ = ["rasterize"]

MIN_SIDE = 0.1  # of a RoI in pixels: thinner ones are stretched less, as in the published training


def rasterize(polygons: Sequence[Sequence[float]], box: Sequence[float], side: int) -> NDArray[np.uint8]:
    """Return the 0/1 mask `[side side]` of `polygons` (flat x y x y ..., pixels) inside `box` (x1 y1 x2 y2).

    The outline is moved and scaled in double precision and rasterised directly at `side`, by COCO's own rule.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    scale = np.array([side / max(x2 - x1, MIN_SIDE), side / max(y2 - y1, MIN_SIDE)])
    moved = [((np.asarray(flat, np.float64).reshape(-1, 2) - [x1, y1]) * scale).ravel().tolist() for flat in polygons]
    mask: NDArray[np.uint8] = hotcoco.mask.decode(hotcoco.mask.merge(hotcoco.mask.frPyObjects(moved, side, side)))
    return mask
