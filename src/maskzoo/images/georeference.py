"""Where a picture lies on the map: by the tags of a GeoTIFF, or by the world file beside it.

Sources: OGC GeoTIFF 1.1 (tags 33550, 33922, 34264, 34735) and Esri's description of world files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

__all__ = ["Georeference", "read_georeference"]

SCALE, TIEPOINT, TRANSFORMATION, KEYS, ORIENTATION = 33550, 33922, 34264, 34735, 274
MODEL_TYPE, RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1024, 1025, 2048, 3072  # keys of the directory
PIXEL_IS_POINT, MODEL_PROJECTED, USER_DEFINED = 2, 1, 32767
TIFF = (".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Georeference:
    """How pixels lie on the map: x = a x + b y + c and y = d x + e y + f, `affine` = (a, b, c, d, e, f).

    Pixels count from the outer corner of the first one. `epsg` is the number of the coordinate system, None if it is not said.
    """

    affine: tuple[float, float, float, float, float, float]
    epsg: int | None = None

    def to_map(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points x, y `[N 2]` of the picture in coordinates of the map."""
        a, b, c, d, e, f = self.affine
        return np.asarray(points @ np.array([[a, d], [b, e]]) + (c, f), np.float64)

    def shift(self, pixels: float) -> Georeference:
        """Return the one for pixels that count from a point so much further right and down."""
        a, b, c, d, e, f = self.affine
        return Georeference((a, b, c + pixels * (a + b), d, e, f + pixels * (d + e)), self.epsg)


def read_georeference(path: Path) -> Georeference | None:
    """Return a picture's place by its GeoTIFF tags, else by its world file (`.tfw`, `.jgw`, `.pgw`, `.wld` ...); None without.

    A tag or line that makes no sense counts as none, and so does a picture that EXIF turns.
    """
    return (_read_tags(path) if path.suffix.lower() in TIFF else None) or _read_world_file(path)


def _read_tags(path: Path) -> Georeference | None:
    try:
        with path.open("rb") as stream, TiffImagePlugin.TiffImageFile(stream) as image:
            tags = {tag: image.tag_v2.get(tag) for tag in (SCALE, TIEPOINT, TRANSFORMATION, KEYS, ORIENTATION)}
    except Exception:  # on damaged bytes Pillow raises whatever its code runs into
        return None
    try:
        affine = _read_affine(tags)
        keys = _read_keys(tags[KEYS] or ())
    except (TypeError, ValueError, IndexError):
        return None
    if affine is None or not _is_sound(affine) or tags[ORIENTATION] not in (None, 1):
        return None
    code = keys.get(PROJECTED if keys.get(MODEL_TYPE) == MODEL_PROJECTED else GEOGRAPHIC, 0)
    found = Georeference(affine, code if 0 < code < USER_DEFINED else None)
    return found.shift(-0.5) if keys.get(RASTER_TYPE) == PIXEL_IS_POINT else found


def _read_affine(tags: dict[int, Any]) -> tuple[float, float, float, float, float, float] | None:
    if tags[TRANSFORMATION]:
        a, b, _, c, d, e, _, f = map(float, tags[TRANSFORMATION][:8])
        return a, b, c, d, e, f
    if not tags[SCALE] or not tags[TIEPOINT]:
        return None
    across, down = map(float, tags[SCALE][:2])
    x, y, _, map_x, map_y, _ = map(float, tags[TIEPOINT][:6])
    return across, 0.0, map_x - x * across, 0.0, -down, map_y + y * down


def _read_keys(directory: Sequence[int]) -> dict[int, int]:
    """Return the keys whose value stands in the directory itself: four numbers each, after a head of four."""
    rows = [directory[place : place + 4] for place in range(4, len(directory) - 3, 4)]
    return {int(key): int(value) for key, location, _, value in rows if location == 0}


def _read_world_file(path: Path) -> Georeference | None:
    ending = path.suffix[1:]
    endings = [f"{ending[:1]}{ending[-1:]}w", f"{ending}w", "wld"]
    files = [path.with_suffix(f".{other}") for name in endings for other in (name.lower(), name.upper())]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return None
    try:
        a, d, b, e, c, f = map(float, file.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    affine = (a, b, c, d, e, f)
    return Georeference(affine).shift(-0.5) if _is_sound(affine) else None  # its c and f are of the first pixel's centre


def _is_sound(affine: tuple[float, ...]) -> bool:
    a, b, _, d, e, _ = affine
    return bool(np.isfinite(affine).all()) and a * e != b * d
