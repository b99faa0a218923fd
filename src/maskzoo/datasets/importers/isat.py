"""ISAT (Image Segmentation Annotation Tool): a JSON file per picture with info and objects.

Groups, crowds and layers are as in ISAT's own conversions: polygons of one category and group are one object, and its mask
pictures are painted layer by layer, so that `__background__` on a higher layer cuts a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.drawn_shapes import Points, read_points
from maskzoo.datasets.importers.labelled import IGNORED, Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.datasets.sifted import is_number

__all__ = ["is_isat", "read_isat"]


def is_isat(content: Any) -> bool:
    """Say whether the content of a JSON file looks like ISAT's."""
    if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
        return False
    info, first = content.get("info"), next(iter(content["objects"]), None)
    said = isinstance(info, dict) and str(info.get("description", "")).startswith("ISAT")
    said = said or (isinstance(first, dict) and {"category", "group", "segmentation", "layer"} <= first.keys())
    return said and isinstance(info, dict) and "name" in info


def read_isat(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read ISAT's files in a folder and the folders in it; folders `train`, `val` and `test` are splits.

    Objects that are crowds stay crowds, notes are kept. `__background__` is no object; it cuts holes into objects on lower
    layers.
    """
    labels = Labels(source, "ISAT")
    for path, content in labels.read_files():
        if not is_isat(content):
            labels.skip(path, "", "not an ISAT file: it has no info and objects of ISAT")
            continue
        info = content["info"]
        height, width = info.get("height"), info.get("width")
        size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        objects = [one if isinstance(one, dict) else {} for one in content["objects"]]
        holes = [one for one in objects if str(one.get("category")).casefold() in IGNORED]
        shapes = [_read_object(f"object {place}", one, holes) for place, one in enumerate(objects)]
        labels.pictures.append(LabelledPicture(path, "", info["name"], size, shapes, stem=path.stem))
    return labels.to_drafts(options)


def _read_object(row: str, one: dict[str, Any], backgrounds: Sequence[dict[str, Any]]) -> LabelledShape:
    group = one.get("group")
    holes = [hole for hole in backgrounds if hole is not one and _read_layer(hole) > _read_layer(one)]
    return LabelledShape(
        one.get("category"),
        row,
        partial(_draw, one, holes),
        crowd=one.get("iscrowd") in (True, 1),
        group=group if isinstance(group, int | str) and group != "" else None,
        attributes={"note": one["note"]} if one.get("note") else {},
    )


def _read_layer(one: dict[str, Any]) -> float:
    layer = one.get("layer", 1)
    return float(layer) if is_number(layer) else 1.0


def _draw(one: dict[str, Any], holes: Sequence[dict[str, Any]], size: Size) -> list[Points]:
    """Return an object's outlines, without what lies under the background. Raises ValueError where there are none."""
    polygon = _read_polygon(one)
    corner = polygon.reshape(-1, 2)
    over = [flat for flat in map(_read_polygon, holes) if _may_meet(corner, flat.reshape(-1, 2))]
    if not over:
        return [polygon]
    mask = rasterize_polygons([polygon], size)
    polygons = trace(mask & (1 - rasterize_polygons(over, size)))
    if not polygons:
        raise ValueError("lies under the background wholly")
    return polygons


def _read_polygon(one: dict[str, Any]) -> Points:
    points = read_points(one.get("segmentation"))
    if len(points) < 3:
        raise ValueError(f"a polygon of {len(points)} points; expected 3 or more")
    return points.ravel()


def _may_meet(one: Points, other: Points) -> bool:
    return bool((one.min(axis=0) < other.max(axis=0)).all() and (other.min(axis=0) < one.max(axis=0)).all())
