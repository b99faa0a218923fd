"""VIA, the VGG Image Annotator: JSON or CSV files of all regions in many pictures, of version 1, 2 or 3.

Shapes and their fields are those of VIA's own documentation and source. VIA has no word for an object's class: it is one of
the region attributes that a user has made up. Nor has it one for an object of several regions: an attribute `group_id`, as
maskzoo writes it and LabelMe calls it, joins those of one class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.datasets.importers.builder import DatasetBuilder, ImportOptions
from maskzoo.datasets.importers.drawn_shapes import Points, draw_ellipse, draw_rectangle, read_base64, read_numbers, read_points
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape, Size
from maskzoo.datasets.importers.via_forms import ViaContent, is_via, is_via_csv, read_csv, read_via_content
from maskzoo.errors import MaskzooError, SourceError, count_words, list_some

__all__ = ["has_via_csv", "read_via"]

GROUP = "group_id"


def has_via_csv(source: Path) -> bool:
    """Say whether a file, or one in a folder or the folders in it, begins as VIA's CSV does."""
    places = (source.glob(pattern) for pattern in ("*.csv", "*/*.csv")) if source.is_dir() else ([source],)
    return any(is_via_csv(path) for place in places for path in place)


def read_via(source: Path, options: ImportOptions) -> dict[str, DatasetBuilder]:
    """Read VIA's files in a folder and the folders in it; folders `train`, `val` and `test` are splits.

    The class is the region attribute that `class_attribute` names, else the only one that can be: see `_choose_attribute`.
    The other attributes are kept. Polygons, circles and ellipses become polygons; rectangles are boxes without an outline;
    other shapes have no area and are skipped by name.
    """
    labels = Labels(source, "VIA")
    contents = list(_read_files(labels))
    chooser = _Attributes(contents)
    chosen = chooser.choose(source, options)
    if len(chooser.counts) > 1:
        labels.tell("The class is the region attribute (--class-attribute names another)", repr(chosen))
    for path, content in contents:
        for place, file in enumerate(content.files):
            named = file.get("filename")
            shapes = [_read_region(row, region, content, chosen, options) for row, region in _list_regions(file)]
            picture = LabelledPicture(path, named if isinstance(named, str) else f"file {place}", named, None, shapes)
            if file.get("video"):
                labels.skip(path, picture.row, "a video or several pictures at once; expected a picture; export its frames")
                continue
            if isinstance(file.get("base64_img_data"), str) and file["base64_img_data"]:
                picture.embedded = partial(read_base64, file["base64_img_data"])
            labels.pictures.append(picture)
    return labels.to_drafts(options)


def _read_files(labels: Labels) -> Iterator[tuple[Path, ViaContent]]:
    single = not labels.source.is_dir()
    if not single or labels.source.suffix.lower() != ".csv":
        for path, content in labels.read_files():
            if is_via(content):
                yield path, read_via_content(content)
            else:
                labels.skip(path, "", "not a VIA file: it has no regions of pictures")
    for path in labels.list_files(".csv") if not single or labels.source.suffix.lower() == ".csv" else []:
        if is_via_csv(path):
            try:
                yield path, read_csv(path)
            except MaskzooError as error:
                labels.skip(path, "", error)


def _list_regions(file: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each region, which VIA 1 has by number, with its place in words."""
    regions = file.get("regions")
    pairs = regions.items() if isinstance(regions, dict) else enumerate(regions if isinstance(regions, list) else [])
    for number, region in pairs:
        line = region.get("line") if isinstance(region, dict) else None
        yield f"line {line}" if line else f"region {number}", region if isinstance(region, dict) else {}


def _read_values(region: dict[str, Any], content: ViaContent) -> dict[str, Any]:
    """Return the region's attributes that say something: texts, or a list of those that are ticked of several."""
    found = region.get("region_attributes")
    values: dict[str, Any] = {}
    for name, value in found.items() if isinstance(found, dict) else ():
        names = content.names.get(name, {})
        if isinstance(value, dict):
            ticked = [names.get(option, option) for option, set_ in value.items() if set_ not in (False, None, "")]
            value = ticked[0] if len(ticked) == 1 else ticked
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            value = names.get(str(value).strip(), str(value).strip())
        if value not in ("", None, []):
            values[name] = value
    return values


@dataclass
class _Attributes:
    """Which region attributes all files have, with the values and how often each is there."""

    contents: list[tuple[Path, ViaContent]]
    regions: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    values: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for _, content in self.contents:
            for file in content.files:
                for _, region in _list_regions(file):
                    self.regions += 1
                    for name, value in _read_values(region, content).items():
                        if name == GROUP:
                            continue
                        self.counts[name] = self.counts.get(name, 0) + 1
                        self.values.setdefault(name, set()).add(str(value))

    def choose(self, source: Path, options: ImportOptions) -> str | None:
        """Return the attribute that is the class; None where no region has any and one class is given for all.

        It is the one that is named; that whose values are the classes that are given; that which VIA is set to show on the
        regions; the only one that all regions have, or the only such that is chosen from a list; the only one at all.
        Raises SourceError that lists them where none of this decides.
        """
        if options.class_attribute is not None:
            if options.class_attribute in self.counts:
                return options.class_attribute
            raise SourceError(f"{source}: no region has the attribute {options.class_attribute!r}; {self._list_all()}")
        everywhere = [name for name, count in self.counts.items() if count == self.regions]
        listed = {name for _, content in self.contents for name in content.choices}
        shown = {content.shown for _, content in self.contents}
        given = set(options.classes or ())
        for names in (
            [name for name, values in self.values.items() if values & given],
            [name for name in self.counts if name in shown],
            everywhere,
            [name for name in everywhere if name in listed],
            list(self.counts),
        ):
            if len(names) == 1:
                return names[0]
        if not self.counts and (not self.regions or len(given) == 1):
            return None
        raise SourceError(f"{source}: which attribute of a region is its class cannot be told; {self._list_all()}")

    def _list_all(self) -> str:
        if not self.counts:
            return "its regions have no attributes; expected one that is the class, or one class for all: --classes NAME"
        found = [f"{name} ({list_some(sorted(self.values[name]), 3)})" for name in self.counts]
        first = next(iter(self.counts))
        return f"{count_words(self.regions, 'region')} with {list_some(found)}; name it: --class-attribute {first}"


def _read_region(
    row: str, region: dict[str, Any], content: ViaContent, chosen: str | None, options: ImportOptions
) -> LabelledShape:
    values = _read_values(region, content)
    label = values.pop(chosen, "") if chosen is not None else next(iter(options.classes or ("",)))
    shape = region.get("shape_attributes")
    kind = shape.get("name") if isinstance(shape, dict) else None
    fault = "" if label else f"has no value of the attribute {chosen!r}"
    if isinstance(label, list):
        fault = f"is {' and '.join(map(str, label))} at once; expected one class"
    is_box, group = kind in ("rect", "rectangle"), values.pop(GROUP, None)
    return LabelledShape(label, row, partial(_draw, shape, kind), is_box, group=group, attributes=values, fault=fault)


def _draw(shape: Any, kind: Any, size: Size) -> list[Points]:
    """Return a region's outline. Raises ValueError that says why there is none."""
    if kind in ("rect", "rectangle"):
        x, y, width, height = read_numbers(shape, "x", "y", "width", "height")
        return [draw_rectangle(x, y, width, height)]
    if kind == "circle":
        x, y, radius = read_numbers(shape, "cx", "cy", "r")
        return [draw_ellipse(x, y, radius, radius)]
    if kind == "ellipse":
        turned = shape if shape.get("theta") is not None else shape | {"theta": 0}  # radians, in VIA 2.0.8 and later
        x, y, across, down, angle = read_numbers(turned, "cx", "cy", "rx", "ry", "theta")
        return [draw_ellipse(x, y, across, down, math.degrees(angle))]
    if kind in ("polygon", "polyline"):
        columns = shape.get("all_points_x"), shape.get("all_points_y")
        if not all(isinstance(column, list) for column in columns) or len(columns[0]) != len(columns[1]):
            raise ValueError("has other numbers of x and y; expected all_points_x and all_points_y of one length")
        points = read_points([list(pair) for pair in zip(*columns, strict=True)])
        if kind == "polyline" and not (len(points) > 3 and np.array_equal(points[0], points[-1])):
            raise ValueError("a polyline that does not end where it begins has no area; expected a polygon")
        if len(points) < 3:
            raise ValueError(f"a {kind} of {len(points)} points; expected 3 or more")
        return [points.ravel()]
    raise ValueError(f"a shape of the kind {kind!r:.40} has no area; expected a polygon, circle, ellipse or rectangle")
