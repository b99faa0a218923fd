"""An object as a region of Label Studio.

Points are in percent of the picture. A brush is the picture's RGBA bytes, of which only alpha counts, packed by bits as
thi.ng's rle-pack: 32 bits say how many bytes there are, 5 bits the size of a byte less one, 4 times 4 bits the sizes of
counts less one; then come runs of one bit that says whether a byte is repeated, two bits for which size its count has,
the count less one, and the byte.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.exporters.content import LabelledObject
from maskzoo.datasets.exporters.outlines import draw_outline, draw_polygons, find_pixels, join_parts

__all__ = ["OUTLINES", "Region", "draw_rectangle", "draw_region", "encode_brush"]

OUTLINES = ("polygon", "brush")  # the kinds of regions that hold an outline
COUNT_SIZES = (3, 4, 8, 16)  # bits of a count
CHANNELS = 4


@dataclass(frozen=True, slots=True)
class Region:
    """A region: its `kind` (polygon, brush, rectangle) and the `value` that holds its shape."""

    kind: str
    value: dict[str, Any]

    def to_result(self, name: str, control: str, image: str, label: str, size: Sequence[int]) -> dict[str, Any]:
        """Return the row of a task's results: `control` and `image` are names in the labelling interface."""
        return {
            "id": name,
            "type": f"{self.kind}labels",
            "from_name": control,
            "to_name": image,
            "original_width": size[1],
            "original_height": size[0],
            "image_rotation": 0,
            "value": self.value | {f"{self.kind}labels": [label]},
        }


def draw_region(one: LabelledObject, size: tuple[int, int], kinds: Collection[str] = OUTLINES) -> Region | None:
    """Return an object of a picture of height, width `size` as a region of one of `kinds`, None if it has no pixel there.

    An object that is one polygon without a hole becomes that, any other a brush. Where there are no brushes, cuts join the
    parts and holes of an object into one polygon.
    """
    if "polygon" in kinds:
        if "brush" in kinds:
            outline = draw_outline(one, size)
        else:
            polygons = draw_polygons(one, size)
            outline = join_parts(polygons, size) if polygons else None
        if outline is not None:
            points = outline.reshape(-1, 2) * 100 / np.array(size[::-1])
            return Region("polygon", {"points": points.tolist(), "closed": True})
    pixels = find_pixels(one, size)
    if pixels is None:
        return None
    mask = np.zeros(size, np.uint8)
    mask[pixels.top : pixels.top + pixels.mask.shape[0], pixels.left : pixels.left + pixels.mask.shape[1]] = pixels.mask
    return Region("brush", {"format": "rle", "rle": encode_brush(mask)})


def draw_rectangle(box: Sequence[float], size: Sequence[int]) -> Region:
    """Return a box x1 y1 x2 y2, in pixels of a picture of height, width `size`, as a region."""
    x1, y1, x2, y2 = (100 * value / size[1 - place % 2] for place, value in enumerate(box))
    return Region("rectangle", {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1, "rotation": 0})


def encode_brush(mask: NDArray[np.uint8]) -> list[int]:
    """Return the bytes of a brush with the pixels of a 0/1 mask `[H W]`."""
    flat = mask.ravel() > 0
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.append(starts, flat.size)) * CHANNELS
    bits = [f"{flat.size * CHANNELS:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in COUNT_SIZES)]
    for length, value in zip(lengths.tolist(), flat[starts].tolist(), strict=True):
        byte = "1" * 8 if value else "0" * 8
        for start in range(0, length, 1 << COUNT_SIZES[-1]):
            count = min(length - start, 1 << COUNT_SIZES[-1])
            place = next(place for place, size in enumerate(COUNT_SIZES) if count <= 1 << size)
            bits.append(f"1{place:02b}{count - 1:0{COUNT_SIZES[place]}b}{byte}")
    text = "".join(bits)
    packed = np.packbits(np.frombuffer(text.encode("ascii"), np.uint8) - ord("0"))
    return packed.tolist()
