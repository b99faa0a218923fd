"""LabelMe and X-AnyLabeling: a JSON file per picture, with shapes.

The kinds of shapes are those of labelme's `Shape` and of X-AnyLabeling's user guide (which adds `rotation`, `quadrilateral`,
`cuboid` and the fields `difficult`, `attributes` and `score`). As in labelme's own conversion to COCO, shapes of one label and
`group_id` are one object, and the labels `__ignore__` and `_background_` are none.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.drawn_shapes import Points, draw_ellipse, draw_mask, read_base64, read_points
from maskzoo.datasets.importers.labelled import Labels, read_content
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size

__all__ = ["is_labelme", "read_labelme"]

KEPT = ("flags", "description", "difficult", "score")  # what a shape says beside its outline
BOXES = ("rectangle", "rotation")


def is_labelme(content: Any) -> bool:
    """Say whether the content of a JSON file looks like LabelMe's."""
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        return False
    first = next(iter(content["shapes"]), None)
    return "imagePath" in content or (isinstance(first, dict) and {"label", "points"} <= first.keys())


def read_labelme(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read the LabelMe files in a folder and the folders in it; folders `train`, `val` and `test` are splits.

    Polygons, rectangles, circles and masks become polygons. A rectangle is an outline like another unless `boxes` says what
    it is, because it was drawn where polygons could be. Classes are all labels by name, unless `classes` gives them. Other
    shapes, and pictures of another size than the file says, are skipped by name. A picture that is only in `imageData` is
    taken from there.
    """
    labels = Labels(source, "LabelMe")
    for path, content in labels.read_files():
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            labels.skip(path, "", "not a LabelMe file: it has no list of shapes")
            continue
        shapes = [_read_shape(shape, f"shape {place}") for place, shape in enumerate(content["shapes"])]
        height, width = content.get("imageHeight"), content.get("imageWidth")
        size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        # The text itself would fill the memory in thousands of files: it is read again when it is written out.
        embedded = partial(_read_picture, path) if isinstance(content.get("imageData"), str) else None
        named = content.get("imagePath")
        labels.pictures.append(LabelledPicture(path, "", named, size, shapes, stem=path.stem, embedded=embedded))
    boxes = sum(shape.is_box for picture in labels.pictures for shape in picture.shapes)
    if boxes and options.boxes is None:
        labels.tell("Rectangles are taken for outlines (--boxes crowds or skip says otherwise)", f"{boxes:,} of them")
    return labels.to_drafts(replace(options, boxes=options.boxes or "masks"))


def _read_picture(path: Path) -> bytes:
    return read_base64(read_content(path)["imageData"])


def _read_shape(shape: Any, row: str) -> LabelledShape:
    if not isinstance(shape, dict):
        return LabelledShape(None, row, lambda _: [], fault=f"found {shape!r:.40}; expected a shape with a label")
    label, group = shape.get("label"), shape.get("group_id")
    own = shape.get("attributes")
    kept = {name: _tidy(shape[name]) for name in KEPT if name in shape} | (own if isinstance(own, dict) else {})
    return LabelledShape(
        str(label) if isinstance(label, int) else label,
        row,
        partial(_draw, shape),
        is_box=shape.get("shape_type") in BOXES,
        group=group if isinstance(group, int | str) and group != "" else None,
        attributes={name: value for name, value in kept.items() if value not in (None, "", False, {}, [])},
    )


def _tidy(value: Any) -> Any:
    """Flags that are not set say nothing."""
    return {key: one for key, one in value.items() if one is not False} if isinstance(value, dict) else value


def _draw(shape: dict[str, Any], size: Size) -> list[Points]:
    """Return a shape's polygons. Raises ValueError that says why there are none."""
    kind = shape.get("shape_type") or "polygon"
    points = read_points(shape.get("points"))
    if kind == "mask":  # a picture of the pixels from the first point to the second, both included
        if len(points) != 2:
            raise ValueError(f"a mask with {len(points)} points; expected its first and its last pixel")
        return draw_mask(shape.get("mask"), np.floor(points[0]), size)
    if kind == "rectangle" and len(points) == 2:
        return [points.ravel()[[0, 1, 2, 1, 2, 3, 0, 3]]]
    if kind == "circle" and len(points) == 2:
        radius = float(np.hypot(*(points[1] - points[0])))
        return [draw_ellipse(points[0, 0].item(), points[0, 1].item(), radius, radius)]
    if kind in ("polygon", "quadrilateral", *BOXES):
        if len(points) < 3:
            raise ValueError(f"a {kind} of {len(points)} points; expected 3 or more")
        return [points.ravel()]
    raise ValueError(f"a shape of the kind {kind!r:.40} has no area; expected a polygon, rectangle, circle or mask")
