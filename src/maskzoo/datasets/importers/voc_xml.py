"""Pascal VOC's XML, a file per picture with boxes, as labelImg, Roboflow and many others write it too.

RectLabel and Roboflow add outlines (`polygon` with x1, y1, x2, y2 ...). VOC itself counts pixels from 1 and includes the
last one, by the documentation of its development kit; the others count from 0.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.drawn_shapes import Points
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size
from maskzoo.datasets.importers.voc import is_voc, list_splits
from maskzoo.datasets.importers.xml_files import list_xml, read_numbers, read_roots, read_size
from maskzoo.errors import SourceError, count_words

__all__ = ["is_voc_xml", "read_voc_xml"]

NAMES = ("Pascal VOC XML", "RectLabel")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
FLAGS = ("difficult", "truncated", "occluded")


def is_voc_xml(source: Path) -> bool:
    """Say whether a source has XML files of VOC's kind, and no masks beside them, which say more."""
    return any(name.startswith(NAMES) for _, name in list_xml(source)) and not is_voc(source)


def read_voc_xml(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read the XML files of a folder, with the splits of ImageSets/Main, or of their folders.

    Classes are all names of objects. Outlines are used where there are some, else boxes are what `boxes` says. `difficult`,
    `truncated`, `occluded` and `pose` are kept as attributes.

    Raises SourceError if there are boxes alone and `boxes` is not given.
    """
    labels = Labels(source, "Pascal VOC XML")
    lists = list_splits(source / "ImageSets" / "Main")
    split_of = {stem: split for split, stems in lists.items() for stem in stems}
    unlisted = []
    for path, root in read_roots(labels, "annotation", "VOC"):
        if lists and path.stem not in split_of:
            unlisted.append(path.stem)
        else:
            labels.pictures.append(_read_picture(path, root, split_of.get(path.stem)))
    for stem in unlisted:
        labels.tell(f"In no list of {source / 'ImageSets' / 'Main'}, and left out", stem)
    boxes = [shape.is_box for picture in labels.pictures for shape in picture.shapes]
    if boxes and all(boxes) and options.boxes is None:
        raise SourceError(
            f"{source}: this is Pascal VOC XML: boxes, no outlines ({count_words(len(boxes), 'object')}); expected outlines, "
            "because masks cannot be learnt from boxes; --boxes masks takes each for a rectangular object, --boxes crowds for "
            "a region that training leaves out"
        )
    return labels.to_drafts(options)


def _read_picture(path: Path, root: Element, split: str | None) -> LabelledPicture:
    name = root.findtext("filename") or path.stem
    folders = (path.parent, path.parent.parent / "JPEGImages", path.parent.parent / "images")
    beside = next((folder / name for folder in folders if (folder / name).is_file()), None)
    size = read_size(root.findtext("size/width"), root.findtext("size/height"))
    first = 1 if "VOC" in root.findtext("source/database", "") else 0
    shapes = [_read_shape(row, f"object {place}", first) for place, row in enumerate(root.iterfind("object"))]
    named = name if beside is None else f"../{beside.parent.name}/{beside.name}" if beside.parent != path.parent else name
    return LabelledPicture(path, "", named, size, shapes, stem=path.stem, split=split)


def _read_shape(row: Element, place: str, first: int) -> LabelledShape:
    polygon = row.find("polygon")
    attributes: dict[str, object] = {name: True for name in FLAGS if row.findtext(name, "").strip() == "1"}
    pose = row.findtext("pose", "").strip()
    if pose and pose.casefold() != "unspecified":
        attributes["pose"] = pose
    return LabelledShape(
        row.findtext("name", "").strip(),
        place,
        partial(_draw_box, row, first) if polygon is None else partial(_draw_polygon, polygon),
        is_box=polygon is None,
        attributes=attributes,
    )


def _draw_box(row: Element, first: int, size: Size) -> list[Points]:
    x1, y1, x2, y2 = read_numbers([row.findtext(f"bndbox/{name}") for name in CORNERS], ", ".join(CORNERS))
    x1, y1 = x1 - first, y1 - first
    return [np.array([x1, y1, x2, y1, x2, y2, x1, y2])]


def _draw_polygon(polygon: Element, size: Size) -> list[Points]:
    points = {element.tag: element.text for element in polygon}
    count = sum(f"x{number}" in points for number in range(1, len(points) + 1))
    if count < 3 or 2 * count != len(points):
        raise ValueError(f"a polygon with {', '.join(points)!r:.60}; expected x1, y1 to x3, y3 or more")
    texts = [points.get(f"{axis}{number}") for number in range(1, count + 1) for axis in "xy"]
    return [np.array(read_numbers(texts, "the points of its polygon"))]
