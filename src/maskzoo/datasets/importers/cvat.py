"""CVAT's XML 1.1, "for images" and "for video": shapes of each image, or tracks through the frames of a video.

As CVAT's documentation of the format has it. A mask is run lengths, row by row, in the box from left and top, pixels outside
first; rotations are in degrees, clockwise about the middle; shapes of one `group_id` and label are one object. CVAT writes
a track's shape for each frame, those between key frames too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.class_lists import is_no_class
from maskzoo.datasets.importers.drawn_shapes import Points, draw_ellipse, draw_rectangle
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size
from maskzoo.datasets.importers.xml_files import list_xml, read_numbers, read_roots, read_size, read_whole
from maskzoo.datasets.layout import name_split
from maskzoo.datasets.mask_outlines import trace
from maskzoo.errors import SourceError
from maskzoo.images.find import find_pictures

__all__ = ["is_cvat", "read_cvat"]

OUTLINES, NO_AREA = ("polygon", "mask", "ellipse"), ("polyline", "points", "cuboid", "skeleton")
NO_AREA_TYPES = (*NO_AREA, "tag")  # of labels
FRAME = re.compile(r"frame_([0-9]{1,9})")


def is_cvat(source: Path) -> bool:
    """Say whether a file, or one of the first XML files in a folder, looks like CVAT's."""
    return any(name.startswith("CVAT") for _, name in list_xml(source))


def read_cvat(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read CVAT's XML files, with the splits of their subsets.

    Classes are the labels that can have an area, in the file's order. Polygons, masks and ellipses become outlines, boxes
    what `boxes` says. Of a track's shapes those outside of the picture are none. Attributes, `occluded` and the track's
    number are kept. Shapes without an area are skipped by name. The order in depth (`z_order`) changes nothing: objects may
    overlap.

    Raises SourceError if tracks are there and no picture of a frame.
    """
    labels = Labels(source, "CVAT")
    names: dict[str, None] = {}
    for path, root in read_roots(labels, "annotations", "CVAT"):
        labels.pictures += [*_read_images(labels, path, root), *_read_frames(path, root)]
        names |= dict.fromkeys(_list_names(root))
    return labels.to_drafts(options if options.classes or not names else replace(options, classes=list(names)))


def _list_names(root: Element) -> Iterator[str]:
    for label in root.iterfind("meta//labels/label"):
        name = label.findtext("name") or ""
        if name and not is_no_class(name) and not label.findtext("parent") and label.findtext("type") not in NO_AREA_TYPES:
            yield name


def _read_images(labels: Labels, path: Path, root: Element) -> Iterator[LabelledPicture]:
    for image in root.iterfind("image"):
        name, subset = image.get("name", ""), image.get("subset", "")
        tags = [shape.get("label", "") for shape in image.iterfind("tag")]
        if tags:
            labels.tell("Labels of whole pictures, which are no objects, were left out", f"{', '.join(tags)} of {name}")
        yield LabelledPicture(
            path,
            f"image {name}",
            _place(path.parent, name, subset),
            read_size(image.get("width"), image.get("height")),
            _read_shapes([(shape, shape.get("label"), {}) for shape in image if shape.tag not in ("tag", "attribute")]),
            split=_tell_split(path, subset),
        )


def _place(folder: Path, name: str, subset: str) -> str:
    """Return where CVAT's export has a picture: in `images`, and there in the folder of its subset."""
    places = [f"images/{subset}/{name}", f"images/{name}"] if subset else [f"images/{name}"]
    return next((place for place in places if (folder / place).is_file()), name)


def _tell_split(path: Path, subset: str) -> str | None:
    return name_split(subset or path.stem, whole=True)


def _read_frames(path: Path, root: Element) -> Iterator[LabelledPicture]:
    """Yield the frames of a video that have a picture or a shape; those without a shape are pictures without objects."""
    frames: dict[int, list[tuple[Element, str | None, dict[str, object]]]] = defaultdict(list)
    subset = ""
    for track in root.iterfind("track"):
        subset = track.get("subset", subset)
        for shape in track:
            frame = read_whole(shape.get("frame"))
            if frame is not None and shape.get("outside") != "1":
                shape.attrib.setdefault("group_id", track.get("group_id", ""))
                frames[frame].append((shape, track.get("label"), {"track_id": track.get("id", "")}))
    if root.find("track") is None:
        return
    pictures = _find_frames(path.parent)
    if not pictures:
        raise SourceError(
            f"{path}: tracks through a video, and no picture of a frame lies there; expected frame_000000.png and so on: "
            "export with the images, or cut the video: ffmpeg -i VIDEO -start_number 0 frame_%06d.png; tracks through single "
            'photos are exported as "CVAT for images"'
        )
    first, last = (read_whole(root.findtext(f"meta//task/{name}")) for name in ("start_frame", "stop_frame"))
    asked = range(first or 0, (max(pictures) if last is None else last) + 1)
    size = read_size(root.findtext("meta//original_size/width"), root.findtext("meta//original_size/height"))
    for number in sorted(frames.keys() | {number for number in pictures if number in asked}):
        named = pictures.get(number, f"frame_{number:06}.png")
        yield LabelledPicture(
            path, f"frame {number}", named, size, _read_shapes(frames[number]), split=_tell_split(path, subset)
        )


def _find_frames(folder: Path) -> dict[int, str]:
    """Return the pictures of frames near a file, each by its number; of several of one number the first."""
    found: dict[int, str] = {}
    for picture in find_pictures(folder, on_obstacle=lambda path, reason: None):
        if match := FRAME.fullmatch(picture.stem):
            found.setdefault(int(match[1]), picture.relative_to(folder).as_posix())
    return found


def _read_shapes(rows: Sequence[tuple[Element, str | None, dict[str, object]]]) -> list[LabelledShape]:
    groups = [(label, row.get("group_id")) if row.get("group_id") not in (None, "", "0") else None for row, label, _ in rows]
    outlined = {group for group, (row, _, _) in zip(groups, rows, strict=True) if group and row.tag in OUTLINES}
    return [
        LabelledShape(
            label,
            f"{row.tag} {place}",
            partial(_draw, row),
            is_box=row.tag == "box",
            group=group,
            attributes=_read_attributes(row) | attributes,
            fault=f"label {label!r:.60} means what is no object" if is_no_class(label or "") else "",
        )
        for place, (group, (row, label, attributes)) in enumerate(zip(groups, rows, strict=True))
        if not (row.tag == "box" and group in outlined)  # the box of an object that has an outline says nothing more
    ]


def _read_attributes(row: Element) -> dict[str, object]:
    found: dict[str, object] = {"occluded": True} if row.get("occluded") == "1" else {}
    words = {"true": True, "false": False}
    for attribute in row.iterfind("attribute"):
        text = attribute.text or ""
        found[attribute.get("name", "")] = words.get(text, text)
    return found


def _draw(row: Element, size: Size) -> list[Points]:
    """Return a shape's polygons. Raises ValueError that says why there are none."""
    if row.tag == "polygon":
        pairs = [point.split(",") for point in row.get("points", "").split(";")]
        if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"points are {row.get('points', '')!r:.60}; expected x,y;x,y and so on, 3 points or more")
        return [np.array(read_numbers([text for pair in pairs for text in pair], "points"))]
    if row.tag == "mask":
        return _draw_mask(row, size)
    if row.tag == "ellipse":
        return [draw_ellipse(*_read(row, "cx, cy, rx, ry"), *_read(row, "rotation", "0"))]
    if row.tag == "box":
        x1, y1, x2, y2 = _read(row, "xtl, ytl, xbr, ybr")
        corners = draw_rectangle(0, 0, x2 - x1, y2 - y1, *_read(row, "rotation", "0")).reshape(-1, 2)
        return [(corners - corners.mean(axis=0) + [(x1 + x2) / 2, (y1 + y2) / 2]).ravel()]
    raise ValueError(f"a shape of the kind {row.tag!r:.40} has no area; expected a polygon, mask, ellipse or box")


def _read(row: Element, names: str, default: str | None = None) -> list[float]:
    return read_numbers([row.get(name, default) for name in names.split(", ")], names)


def _draw_mask(row: Element, size: Size) -> list[Points]:
    left, top, width, height = _read(row, "left, top, width, height")
    if not (0 < width <= size[1] and 0 < height <= size[0]):
        raise ValueError(f"its mask has {width:g} x {height:g} pixels; expected a part of the picture's {size[1]} x {size[0]}")
    runs = np.array(read_numbers([*row.get("rle", "").split(",")], "rle")).astype(np.int64)
    if runs.min() < 0 or runs.sum() != int(width) * int(height):
        raise ValueError(f"its run lengths have {runs.sum():,} pixels; expected {width:g} x {height:g}")
    mask = np.repeat(np.arange(len(runs)) % 2, runs).reshape(int(height), int(width))
    polygons = [polygon + np.tile([left, top], len(polygon) // 2) for polygon in trace(mask)]
    if not polygons:
        raise ValueError("its mask is empty")
    return polygons
