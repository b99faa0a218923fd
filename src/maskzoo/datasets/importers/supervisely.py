"""Supervisely: `meta.json` with the classes, and for each dataset a folder `ann` of JSON files beside one of pictures, `img`.

As Supervisely's description of its annotation format and its SDK have it: coordinates are pixels, a polygon has an exterior
and holes, a bitmap is a PNG (zlib, then base64) whose first pixel is at `origin`, and figures with the same `instance` are
one object.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.drawn_shapes import Points, cut_holes, read_base64, read_points
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size
from maskzoo.datasets.mask_outlines import trace

__all__ = ["is_supervisely", "read_supervisely"]

OTHER_FILES = ("meta.json", "key_id_map.json", "obj_class_to_machine_color.json")
BITMAPS = ("bitmap", "alpha_mask")
LARGEST_MASK = 1 << 26  # bytes of a bitmap's PNG


def is_supervisely(content: Any) -> bool:
    """Say whether the content of a JSON file looks like one of a Supervisely project."""
    return isinstance(content, dict) and (_is_annotation(content) or bool(_list_classes(content)))


def _is_annotation(content: dict[str, Any]) -> bool:
    return isinstance(content.get("objects"), list) and isinstance(content.get("size"), dict)


def _list_classes(content: Any) -> list[str]:
    """Return the classes that a meta.json names, none if it is another file."""
    classes = content.get("classes") if isinstance(content, dict) else None
    rows = classes if isinstance(classes, list) else []
    return [row["title"] for row in rows if isinstance(row, dict) and "shape" in row and isinstance(row.get("title"), str)]


def read_supervisely(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read a Supervisely project; datasets in folders `train`, `val` and `test` are splits.

    Classes are those of meta.json, in its order. Polygons and bitmaps become outlines, rectangles are boxes; figures without
    an area (points, lines, graphs) are skipped by name. Tags are kept as attributes.
    """
    labels = Labels(source, "Supervisely")
    names: dict[str, None] = {}
    for path, content in labels.read_files():
        if path.name in OTHER_FILES:
            names |= dict.fromkeys(_list_classes(content))
        elif not isinstance(content, dict) or not _is_annotation(content):
            video = isinstance(content, dict) and "frames" in content
            what = (
                "labels of a video; export its frames as images" if video else "not a file of Supervisely's: it has no objects"
            )
            labels.skip(path, "", what)
        else:
            labels.pictures.append(_read_picture(path, content))
    return labels.to_drafts(options if options.classes or not names else replace(options, classes=list(names)))


def _read_picture(path: Path, content: dict[str, Any]) -> LabelledPicture:
    height, width = (content["size"].get(side) for side in ("height", "width"))
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    shapes = [_read_shape(shape, f"object {place}") for place, shape in enumerate(content["objects"])]
    inside = path.parent.name == "ann"
    return LabelledPicture(path, "", f"../img/{path.stem}" if inside else path.stem, size, shapes)  # path is a1.jpg.json


def _read_shape(shape: Any, row: str) -> LabelledShape:
    if not isinstance(shape, dict):
        return LabelledShape(shape, row, lambda _: [])
    kind, instance = shape.get("geometryType", shape.get("shape")), shape.get("instance")
    return LabelledShape(
        shape.get("classTitle"),
        row,
        partial(_draw, shape, kind),
        is_box=kind == "rectangle",
        group=instance if isinstance(instance, int | str) and instance != "" else None,
        attributes=_read_tags(shape.get("tags")) | ({"description": shape["description"]} if shape.get("description") else {}),
    )


def _read_tags(tags: Any) -> dict[str, Any]:
    """Return the tags with their values; one without a value is true, one that stands several times has a list."""
    found: dict[str, list[Any]] = {}
    for tag in tags if isinstance(tags, list) else []:
        name = tag.get("name") if isinstance(tag, dict) else tag
        if isinstance(name, str):
            value = tag.get("value") if isinstance(tag, dict) else None
            found.setdefault(name, []).append(True if value is None else value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _draw(shape: dict[str, Any], kind: Any, size: Size) -> list[Points]:
    """Return a figure's polygons. Raises ValueError that says why there are none."""
    if kind in BITMAPS:
        return _draw_bitmap(shape.get("bitmap"), size)
    points = shape.get("points")
    if kind not in ("polygon", "rectangle") or not isinstance(points, dict):
        raise ValueError(f"a figure of the kind {kind!r:.40} has no area; expected a polygon, bitmap or rectangle")
    outline = read_points(points.get("exterior"))
    if kind == "rectangle":
        if len(outline) != 2:
            raise ValueError(f"a rectangle of {len(outline)} points; expected two corners")
        return [outline.ravel()[[0, 1, 2, 1, 2, 3, 0, 3]]]
    if len(outline) < 3:
        raise ValueError(f"a polygon of {len(outline)} points; expected 3 or more")
    holes = points.get("interior")
    return [cut_holes(outline, [read_points(hole) for hole in (holes if isinstance(holes, list) else [])])]


def _draw_bitmap(bitmap: Any, size: Size) -> list[Points]:
    bitmap = bitmap if isinstance(bitmap, dict) else {}
    origin = read_points([bitmap.get("origin")])[0]
    content = read_base64(bitmap.get("data"))
    try:
        if not content.startswith(b"\x89PNG"):  # an older export has the PNG as it is
            content = zlib.decompressobj().decompress(content, LARGEST_MASK)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.width > size[1] or image.height > size[0]:
                raise ValueError(f"{image.width} x {image.height} pixels; the picture has {size[1]} x {size[0]}")
            image.load()
            clear = image.mode in ("RGBA", "LA") or "transparency" in image.info
            mask = np.asarray(image.convert("RGBA"))[:, :, 3] if clear else np.asarray(image.convert("L"))
    except Exception as error:  # on damaged bytes Pillow raises whatever its code runs into
        raise ValueError(f"its bitmap cannot be read: {str(error) or type(error).__name__}") from None
    polygons = [polygon + np.tile(origin, len(polygon) // 2) for polygon in trace(mask)]
    if not polygons:
        raise ValueError("its bitmap is empty")
    return polygons
