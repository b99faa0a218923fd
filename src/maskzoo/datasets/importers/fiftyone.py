"""FiftyOne's own export: `samples.json` beside a folder of pictures, `data`.

As FiftyOne's documentation and source have it: coordinates are parts of the picture's width and height; a detection has a
`bounding_box` x y width height and may have a mask that covers it, a NumPy array (npy, zlib, base64) or a picture at
`mask_path`; a polyline that is closed or filled has an area; the word for a sample's split is among its `tags`.
"""

from __future__ import annotations

import io
import math
import zlib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions, is_within
from maskzoo.datasets.importers.drawn_shapes import Points, draw_rectangle, read_base64, read_points
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size
from maskzoo.datasets.layout import name_split
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.sifted import is_number
from maskzoo.errors import ImageError, SourceError, list_some
from maskzoo.images.read import read_image

__all__ = ["is_fiftyone", "read_fiftyone"]

KINDS = {"Detections": "detections", "Polylines": "polylines", "Detection": "", "Polyline": ""}
GROUND_TRUTH = "ground_truth"  # what FiftyOne's own data sets call the labels that are true
LARGEST_MASK = 1 << 28  # bytes
NO_ATTRIBUTES = ("label", "bounding_box", "mask", "mask_path", "points", "closed", "filled", "iscrowd", "id")


def is_fiftyone(content: Any) -> bool:
    """Say whether the content of a JSON file looks like FiftyOne's samples."""
    samples = content.get("samples") if isinstance(content, dict) else None
    return isinstance(samples, list) and bool(samples) and isinstance(samples[0], dict) and "filepath" in samples[0]


def read_fiftyone(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read a data set that FiftyOne has exported in its own format, one field of its labels.

    Masks and closed polylines become outlines, detections without a mask are boxes. Raises SourceError if the labels are in
    several fields, none of them `ground_truth`, or in none.
    """
    labels = Labels(source, "FiftyOne")
    found = [(path, content["samples"]) for path, content in labels.read_files() if is_fiftyone(content)]
    samples = [
        (path, f"sample {place}", one) for path, rows in found for place, one in enumerate(rows) if isinstance(one, dict)
    ]
    name = _choose_field(labels, [sample for _, _, sample in samples])
    splits = [_tell_split(sample) for _, _, sample in samples]
    for (path, row, sample), split in zip(samples, splits, strict=True):
        field = sample.get(name)
        inner = KINDS.get(str(field.get("_cls")), "") if isinstance(field, dict) else ""
        rows = field.get(inner) if inner and isinstance(field, dict) else [field]
        listed = rows if isinstance(rows, list) else []
        shapes = [_read_shape(labels, path, one, f"{name} {place}") for place, one in enumerate(listed) if one is not None]
        picture = LabelledPicture(path, row, sample.get("filepath"), _read_size(sample), shapes, relative=True)
        picture.split = split if all(splits) else None
        labels.pictures.append(picture)
    return labels.to_drafts(options)


def _choose_field(labels: Labels, samples: list[dict[str, Any]]) -> str:
    pairs = ((name, value.get("_cls")) for sample in samples for name, value in sample.items() if isinstance(value, dict))
    fields = Counter((name, kind) for name, kind in pairs if isinstance(kind, str) and name != "metadata")
    names = list(dict.fromkeys(name for name, kind in fields if kind in KINDS))
    if len(names) > 1 and GROUND_TRUTH in names:
        labels.tell("Labels of other fields were left out", list_some(name for name in names if name != GROUND_TRUTH))
        return GROUND_TRUTH
    if len(names) != 1:
        other = list_some(f"{name} ({kind})" for name, kind in fields) or "none"
        raise SourceError(
            f"{labels.source}: the fields of labels are {other}; expected one with Detections or Polylines; "
            "export that field alone (label_field)"
        )
    return names[0]


def _tell_split(sample: dict[str, Any]) -> str | None:
    tags = sample.get("tags")
    told = {name_split(tag, whole=True) for tag in (tags if isinstance(tags, list) else []) if isinstance(tag, str)} - {None}
    return told.pop() if len(told) == 1 else None


def _read_size(sample: dict[str, Any]) -> Size | None:
    metadata = sample.get("metadata")
    sides = [metadata.get(side) if isinstance(metadata, dict) else None for side in ("height", "width")]
    return (sides[0], sides[1]) if all(isinstance(side, int) for side in sides) else None  # type: ignore[return-value]


def _read_shape(labels: Labels, path: Path, row: Any, place: str) -> LabelledShape:
    if not isinstance(row, dict):
        return LabelledShape(row, place, lambda _: [])
    kept = {name: value for name, value in row.items() if name not in NO_ATTRIBUTES and not name.startswith("_")}
    return LabelledShape(
        row.get("label"),
        place,
        partial(_draw, row, path, labels.root),
        is_box="points" not in row and row.get("mask") is None and not row.get("mask_path"),
        crowd=row.get("iscrowd") in (1, True),
        attributes={name: value for name, value in kept.items() if isinstance(value, str | int | float) and value != ""},
    )


def _draw(row: dict[str, Any], path: Path, root: Path, size: Size) -> list[Points]:
    """Return an object's polygons. Raises ValueError that says why there are none."""
    scale = np.array(size[::-1], np.float64)
    if "points" in row:
        if not (row.get("closed") or row.get("filled")):
            raise ValueError("a polyline that is neither closed nor filled has no area; expected a closed one")
        shapes = row["points"] if isinstance(row["points"], list) else []
        return [(read_points(points) * scale).ravel() for points in shapes]
    box = row.get("bounding_box")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        raise ValueError(f"bounding_box is {box!r:.60}; expected x y width height, as parts of the picture")
    x, y, width, height = (np.array(box) * np.tile(scale, 2)).tolist()
    if row.get("mask") is None and not row.get("mask_path"):
        return [draw_rectangle(x, y, width, height)]
    mask = _read_mask(row["mask"]) if row.get("mask") is not None else _read_picture(row["mask_path"], path, root)
    start = np.round([x, y])
    wanted = np.maximum(np.round([y + height, x + width]) - start[::-1], 1).astype(int)
    if (wanted > np.array(size) + 1).any():
        raise ValueError(f"bounding_box is {box!r:.60}; expected a part of the picture")
    if np.abs(wanted - mask.shape).max() > 1:  # the mask is of another picture size: stretch it over the box
        rows, columns = (np.arange(count) * side // count for count, side in zip(wanted, mask.shape, strict=True))
        mask = mask[np.ix_(rows, columns)]
    polygons = [polygon + np.tile(start, len(polygon) // 2) for polygon in trace(mask)]
    if not polygons:
        raise ValueError("its mask is empty")
    return polygons


def _read_mask(text: Any) -> NDArray[Any]:
    """Return the array of a mask, base64 text, perhaps in MongoDB's wrapping."""
    for _ in range(2):
        text = text.get("$binary", text.get("base64")) if isinstance(text, dict) else text
    content = read_base64(text)
    try:
        stream = io.BytesIO(zlib.decompressobj().decompress(content, LARGEST_MASK))
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape = read_header(stream)[0]
        if len(shape) != 2 or math.prod(shape) > LARGEST_MASK:
            raise ValueError(f"an array of {shape}; expected rows and columns of pixels")
        stream.seek(0)
        return np.asarray(np.load(stream, allow_pickle=False))
    except (zlib.error, ValueError, OSError, EOFError) as error:
        raise ValueError(f"its mask cannot be read: {error}") from None


def _read_picture(named: Any, path: Path, root: Path) -> NDArray[Any]:
    file = path.parent / str(named)
    if "\0" in str(named) or not is_within(file, [root]):
        raise ValueError(f"mask_path is {named!r:.80}; expected a picture in {root}")
    try:
        return read_image(file)[:, :, 0]
    except ImageError as error:
        raise ValueError(f"its mask cannot be read: {error}") from None
