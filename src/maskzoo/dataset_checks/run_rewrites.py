"""Run lengths of objects that are written otherwise than a COCO file has them, by the sizes of the images' files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskzoo.dataset_checks.rewrites import Row
from maskzoo.datasets.run_forms import has_pixels, is_usual, mend_runs

__all__ = ["rewrite_runs"]


def rewrite_runs(tables: Mapping[str, Sequence[Any]], sizes: Mapping[int, tuple[int, int]]) -> dict[int, Row]:
    """Return the objects, by place, whose run lengths are written otherwise than a COCO file has them, rewritten.

    `sizes` are height and width of images' files, by the images' places; where they do not fit, what the rows say counts.
    """
    known: dict[int, list[tuple[int, int]]] = {}
    for place, row in enumerate(tables["images"]):
        if isinstance(row, dict) and type(row.get("id")) is int:
            said = _read_size(row)
            known[row["id"]] = list(dict.fromkeys(size for size in (sizes.get(place), said) if size is not None))
    changed = {}
    for place, row in enumerate(tables["annotations"]):
        if not isinstance(row, dict) or type(row.get("image_id")) is not int:
            continue
        outline, all_sizes = row.get("segmentation"), known.get(row["image_id"], [])
        if any(is_usual(outline, size) for size in all_sizes):
            continue
        size = next((size for size in all_sizes if has_pixels(outline, size)), None)
        if size is not None and (runs := mend_runs(outline, size, row.get("bbox"))) is not None:
            changed[place] = {**row, "segmentation": runs}
    return changed


def _read_size(image: Row) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    if type(image.get("id")) is int and type(height) is int and type(width) is int and min(height, width) > 0:
        return height, width
    return None
