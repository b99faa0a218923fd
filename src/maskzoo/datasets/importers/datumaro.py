"""Datumaro's JSON, also as CVAT writes it: a file per subset in `annotations`, pictures in `images/SUBSET`.

As Datumaro's writer has it: `items` with a picture's path and [height, width], each annotation with its place in the list of
labels; polygons are flat x y x y ..., masks COCO's compressed run lengths, boxes x y width height; a `group` other than 0 is
one object of several shapes, whose box may be among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.drawn_shapes import Points, draw_ellipse, draw_rectangle, read_points
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size
from maskzoo.datasets.layout import name_split
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.rle import decode_runs, measure_runs, read_runs
from maskzoo.datasets.sifted import is_number

__all__ = ["is_datumaro", "read_datumaro"]

OUTLINES = ("polygon", "mask", "ellipse")


def is_datumaro(content: Any) -> bool:
    """Say whether the content of a JSON file looks like Datumaro's."""
    return isinstance(content, dict) and isinstance(content.get("items"), list) and isinstance(content.get("categories"), dict)


def read_datumaro(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read the Datumaro files of a folder; a file's name says its split.

    Classes are the labels in the files' order. Polygons, masks and ellipses become outlines, boxes without one are what
    `boxes` says. Shapes without an area are skipped by name, labels of whole pictures are told. Attributes are kept.
    """
    labels = Labels(source, "Datumaro")
    names: dict[str, None] = {}
    for path, content in labels.read_files():
        if not is_datumaro(content):
            labels.skip(path, "", "not a file of Datumaro's: it has no items")
            continue
        own = _list_names(content)
        names |= dict.fromkeys(own)
        for place, item in enumerate(content["items"]):
            if isinstance(item, dict):
                labels.pictures.append(_read_item(labels, path, item, own))
            else:
                labels.skip(path, f"item {place}", f"found {item!r:.60}; expected an object")
    return labels.to_drafts(options if options.classes or not names else replace(options, classes=list(names)))


def _list_names(content: dict[str, Any]) -> list[str]:
    label = content["categories"].get("label")
    rows = label.get("labels") if isinstance(label, dict) else None
    return [str(row.get("name") if isinstance(row, dict) else row) for row in (rows if isinstance(rows, list) else [])]


def _read_item(labels: Labels, path: Path, item: dict[str, Any], names: Sequence[str]) -> LabelledPicture:
    identity = str(item.get("id"))
    media = item.get("image") or item.get("media")
    media = media if isinstance(media, dict) else {}
    name = media["path"] if isinstance(media.get("path"), str) and media["path"] else identity
    size = media.get("size")
    known = isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size)
    rows = item.get("annotations")
    shapes = [(place, row) for place, row in enumerate(rows if isinstance(rows, list) else []) if isinstance(row, dict)]
    tags = sum(row.get("type") in ("label", "caption") for _, row in shapes)
    if tags:
        labels.tell("Labels of whole pictures, which are no objects, were left out", f"{tags} of {identity}")
    outlined = [_find_object(row) for _, row in shapes if row.get("type") in OUTLINES and row.get("group")]
    return LabelledPicture(
        path,
        f"item {identity}",
        f"images/{path.stem}/{name}",
        (size[0], size[1]) if known and size is not None else None,
        [
            _read_shape(row, f"annotation {place}", names)
            for place, row in shapes
            if row.get("type") not in ("label", "caption")
            # The box of an object that has an outline says nothing more.
            and not (row.get("type") == "bbox" and _find_object(row) in outlined)
        ],
        split=name_split(path.stem, whole=True) or "",
    )


def _find_object(row: dict[str, Any]) -> tuple[Any, Any]:
    return row.get("label_id"), row.get("group")


def _read_shape(row: dict[str, Any], place: str, names: Sequence[str]) -> LabelledShape:
    number, group = row.get("label_id"), row.get("group")
    known = isinstance(number, int) and 0 <= number < len(names)
    said = row.get("attributes")
    attributes = dict(said) if isinstance(said, Mapping) else {}
    crowd = attributes.pop("is_crowd", False)
    return LabelledShape(
        names[number] if known and number is not None else None,
        place,
        partial(_draw, row),
        is_box=row.get("type") in ("bbox", "rotated_bbox"),
        crowd=crowd is True or crowd == 1,
        group=group if isinstance(group, int | str) and group not in (0, "") else None,
        attributes={name: value for name, value in attributes.items() if value not in (None, "", False)},
        fault="" if known else f"label_id is {number!r:.40}; expected a place in the list of {len(names)} labels",
    )


def _draw(row: dict[str, Any], size: Size) -> list[Points]:
    """Return a shape's polygons. Raises ValueError that says why there are none."""
    kind = row.get("type")
    if kind == "mask":
        return _draw_mask(row.get("rle"), size)
    if kind == "polygon":
        points = row.get("points")
        if not isinstance(points, list) or len(points) < 6 or len(points) % 2:
            raise ValueError(f"points are {points!r:.60}; expected x y of 3 points or more")
        return [read_points([points[place : place + 2] for place in range(0, len(points), 2)]).ravel()]
    if kind == "bbox":
        return [draw_rectangle(*_read(row, "bbox", 4))]
    if kind == "rotated_bbox":  # about its centre
        x, y, width, height, degrees = _read(row, "bbox", 5)
        moved = draw_rectangle(0, 0, width, height, degrees)
        return [moved - np.tile(moved.reshape(-1, 2).mean(axis=0) - (x, y), 4)]
    if kind == "ellipse":
        x1, y1, x2, y2 = _read(row, "points", 4)
        return [draw_ellipse((x1 + x2) / 2, (y1 + y2) / 2, abs(x2 - x1) / 2, abs(y2 - y1) / 2)]
    raise ValueError(f"a shape of the kind {kind!r:.40} has no area; expected a polygon, mask, ellipse or box")


def _read(row: dict[str, Any], name: str, count: int) -> list[float]:
    values = row.get(name)
    if not isinstance(values, list) or len(values) != count or not all(map(is_number, values)):
        raise ValueError(f"{name} is {values!r:.60}; expected {count} numbers")
    return [float(value) for value in values]


def _draw_mask(rle: Any, size: Size) -> list[Points]:
    runs = read_runs(rle, size)
    if isinstance(runs, tuple):
        raise ValueError(f"its mask: found {runs[1]!s:.60}; expected {runs[2]}")
    if not measure_runs([runs], [size[0] * size[1]])[1][0]:
        raise ValueError(f"its mask is damaged; expected run lengths of {size[1]} x {size[0]} pixels")
    polygons = trace(decode_runs(runs, size))
    if not polygons:
        raise ValueError("its mask is empty")
    return polygons
