"""LabelMe: a JSON file per picture, with shapes."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.coco_reader import read_json
from maskzoo.datasets.coco_writer import straighten
from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions, is_within, measure_pictures
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.sifted import is_number
from maskzoo.errors import AnnotationsError, ImageError, SourceError
from maskzoo.images.find import IMAGE_SUFFIXES
from maskzoo.images.read import read_image

__all__ = ["is_labelme", "read_labelme"]

TRIED = 20  # JSON files of a folder that are looked into
LARGEST_FILE = 1 << 29  # bytes: a file may hold its picture, as text
ROUNDNESS = 0.1  # pixels that the polygon of a circle may lie inside of it
LARGEST_CIRCLE = 1e6  # pixels of radius: keeps the number of points small
Points = NDArray[np.float64]


@dataclass(slots=True)
class _File:
    """One JSON file: what it says, the picture it is about."""

    path: Path
    content: dict[str, Any]
    picture: Path


@dataclass(slots=True)
class _Object:
    """The shapes of one object: those of a label that share a `group_id`."""

    label: str
    rows: list[str] = field(default_factory=list)
    polygons: list[Points] = field(default_factory=list)


def is_labelme(source: Path) -> bool:
    """Say whether a file, or one of the first JSON files in a folder, looks like LabelMe's."""
    files = source.rglob("*.json") if source.is_dir() else [source] if source.suffix.lower() == ".json" else []
    return any(_looks_like_labelme(path) for path in islice(files, TRIED))


def _looks_like_labelme(path: Path) -> bool:
    try:
        content = _read_content(path)
    except (OSError, AnnotationsError, SourceError):
        return False
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def _read_content(path: Path) -> Any:
    if path.stat().st_size > LARGEST_FILE:
        raise SourceError(f"{path}: {path.stat().st_size:,} bytes; expected at most {LARGEST_FILE:,}")
    return read_json(path)


def read_labelme(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read the LabelMe files in a folder and the folders in it, as one set without splits.

    Polygons, rectangles, circles and masks become polygons; shapes of one label and `group_id` are one object. Classes
    are all labels by name, unless `classes` gives them. Other shapes, and pictures of another size than the file says,
    are skipped by name. Embedded pictures (`imageData`) are not looked at.
    """
    draft = DatasetBuilder([])
    files = _read_files(source, draft)
    draft.names = list(options.classes) if options.classes is not None else sorted(_list_labels(files))
    if not draft.names:
        raise SourceError(f"{source}: no LabelMe file in it has a labelled shape; expected JSON files with shapes")
    sizes = dict(measure_pictures(list(dict.fromkeys(file.picture for file in files)), options.on_progress))
    seen: dict[Path, Path] = {}
    for file in files:
        size = sizes[file.picture]
        fault = str(size) if isinstance(size, ImageError) else _compare_size(file.content, size)
        if file.picture in seen:
            fault = f"is about {file.picture.name}, as {seen[file.picture]} is; expected one file for each picture"
        if fault is not None or isinstance(size, ImageError):
            draft.skip(file.path, "", str(fault))
            continue
        seen[file.picture] = file.path
        _add_objects(draft, file, draft.add_image(file.picture, size), size)
    return {"": draft}


def _read_files(source: Path, draft: DatasetBuilder) -> list[_File]:
    files = []
    for path in sorted(source.rglob("*.json")) if source.is_dir() else [source]:
        try:
            content = _read_content(path)
        except (OSError, AnnotationsError, SourceError) as error:
            draft.skip(path, "", error)
            continue
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            draft.skip(path, "", "not a LabelMe file: it has no list of shapes")
            continue
        content.pop("imageData", None)  # of thousands of files it would fill the memory
        picture = _find_picture(path, content.get("imagePath"), source if source.is_dir() else source.parent)
        if picture is None:
            found = repr(content.get("imagePath"))
            draft.skip(path, "imagePath", f"found {found:.80}; expected a picture in the folder {source}")
        else:
            files.append(_File(path, content, picture))
    return files


def _find_picture(path: Path, named: Any, source: Path) -> Path | None:
    """Return the picture that a file names, or the one beside it of that name: files written elsewhere have paths of there."""
    if not isinstance(named, str) or not named or "\0" in named:
        return None
    parts = PureWindowsPath(named)  # splits at both kinds of slashes
    candidates = [] if parts.is_absolute() or parts.drive else [path.parent / parts.as_posix()]
    candidates.append(path.parent / parts.name)
    for candidate in candidates:
        right_kind = candidate.suffix.lower() in IMAGE_SUFFIXES and is_within(candidate, [source])
        if right_kind and candidate.is_file():
            return straighten(candidate)
    return None


def _list_labels(files: Sequence[_File]) -> set[str]:
    labels = (shape.get("label") for file in files for shape in file.content["shapes"] if isinstance(shape, dict))
    return {label for label in labels if isinstance(label, str) and label}


def _compare_size(content: dict[str, Any], size: tuple[int, int]) -> str | None:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if height is None or width is None or (height, width) == size:
        return None
    turned = "; it was labelled before its EXIF orientation was applied" if (width, height) == size else ""
    return f"says the picture is {width} x {height} pixels, found {size[1]} x {size[0]}{turned}; label it again"


def _add_objects(draft: DatasetBuilder, file: _File, image: int, size: tuple[int, int]) -> None:
    objects: dict[Any, _Object] = {}
    for place, shape in enumerate(file.content["shapes"]):
        row = f"shape {place}"
        label = shape.get("label") if isinstance(shape, dict) else None
        if not isinstance(label, str) or label not in draft.names:
            draft.skip(file.path, row, f"label {label!r:.60} is not one of the classes")
            continue
        try:
            polygons = _read_shape(shape, size)
        except ValueError as error:
            draft.skip(file.path, row, error)
            continue
        group = shape.get("group_id")
        one = objects.setdefault((label, group) if isinstance(group, int | str) else place, _Object(label))
        one.rows.append(str(place))
        one.polygons += polygons
    for one in objects.values():
        draft.add_object(image, draft.names.index(one.label), one.polygons, (file.path, f"shape {', '.join(one.rows)}"))


def _read_shape(shape: dict[str, Any], size: tuple[int, int]) -> list[Points]:
    """Return a shape's polygons. Raises ValueError that says why there are none."""
    kind = shape.get("shape_type", "polygon")
    points = _read_points(shape.get("points"))
    if kind == "mask":
        return _read_mask(shape.get("mask"), points, size)
    if kind == "rectangle" and len(points) == 2:
        (x1, y1), (x2, y2) = points.tolist()
        return [np.array([x1, y1, x2, y1, x2, y2, x1, y2])]
    if kind == "circle" and len(points) == 2:
        return [_draw_circle(points)]
    if kind in ("polygon", "rectangle"):
        if len(points) < 3:
            raise ValueError(f"a {kind} of {len(points)} points; expected 3 or more")
        return [points.ravel()]
    raise ValueError(f"a shape of the kind {kind!r:.40} has no area; expected a polygon, rectangle, circle or mask")


def _read_points(points: Any) -> Points:
    if not isinstance(points, list) or not all(
        isinstance(point, list) and len(point) == 2 and all(map(is_number, point)) for point in points
    ):
        raise ValueError(f"points are {points!r:.60}; expected a list of finite [x, y]")
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _draw_circle(points: Points) -> Points:
    """Return the circle about the first point through the second, fine enough to look round."""
    radius = float(np.hypot(*(points[1] - points[0])))
    if not 0 < radius <= LARGEST_CIRCLE:
        raise ValueError(f"a circle of radius {radius:g}; expected more than 0 and at most {LARGEST_CIRCLE:g} pixels")
    count = max(8, math.ceil(math.pi / math.acos(1 - min(1.0, ROUNDNESS / radius))))
    angle = 2 * math.pi * np.arange(count) / count
    return np.stack([points[0, 0] + radius * np.cos(angle), points[0, 1] + radius * np.sin(angle)], axis=1).ravel()


def _read_mask(text: Any, points: Points, size: tuple[int, int]) -> list[Points]:
    """Read a mask shape: a PNG of the pixels from the first point to the second, both included."""
    try:
        mask = read_image(base64.b64decode(text, validate=True), max_pixels=size[0] * size[1])
    except (TypeError, binascii.Error, ValueError, ImageError) as error:
        raise ValueError(f"its mask cannot be read: {error}") from None
    if len(points) != 2:
        raise ValueError(f"a mask with {len(points)} points; expected its first and its last pixel")
    polygons = [polygon + np.tile(np.floor(points[0]), len(polygon) // 2) for polygon in trace(mask[:, :, 0])]
    if not polygons:
        raise ValueError("its mask is empty")
    return polygons
