"""The forms in which the VGG Image Annotator (VIA) writes regions, all brought to that of VIA 2's annotation file.

VIA 1 and 2 write `{key: {filename, size, regions, file_attributes}}`, with regions as an object (1) or a list (2), as the
project's `_via_img_metadata`, or a CSV file with a row for each region. VIA 3 writes numbers for shapes and options
(`_via_metadata.js`: 2 is a rectangle, 7 a polygon, ...), with tables of what they mean.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskzoo.datasets.importers.builder import read_text
from maskzoo.errors import SourceError
from maskzoo.system.files import open_regular

__all__ = ["ViaContent", "is_via", "is_via_csv", "read_csv", "read_via_content"]

CSV_COLUMNS = {"filename", "region_shape_attributes", "region_attributes"}
CHOICES = ("checkbox", "radio", "dropdown")
CHOICES_3 = {"2": "checkbox", "3": "radio", "4": "dropdown"}
# VIA 3's numbers of shapes, the names that VIA 2 has for them, and the names of the coordinates.
SHAPES_3: dict[str, tuple[str, Sequence[str]]] = {
    "1": ("point", ("cx", "cy")),
    "2": ("rect", ("x", "y", "width", "height")),
    "3": ("circle", ("cx", "cy", "r")),
    "4": ("ellipse", ("cx", "cy", "rx", "ry")),
    "5": ("line", ()),
    "6": ("polyline", ()),
    "7": ("polygon", ()),
    "8": ("extreme rectangle", ()),
    "9": ("extreme circle", ()),
}


@dataclass(slots=True)
class ViaContent:
    """One file in VIA 2's form: its `files`, the region attributes that are chosen from a list, and the one it shows.

    `names` has the texts of an attribute's options, where the options themselves are only numbers.
    """

    files: list[dict[str, Any]]
    choices: set[str] = field(default_factory=set)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    shown: str = ""


def is_via(content: Any) -> bool:
    """Say whether the content of a JSON file looks like VIA's: of any version, an annotation or a project file."""
    if not isinstance(content, dict):
        return False
    if "_via_img_metadata" in content or {"project", "config", "attribute", "file", "metadata"} <= content.keys():
        return True
    first = next(iter(content.values()), None)
    return isinstance(first, dict) and "filename" in first and isinstance(first.get("regions"), dict | list)


def is_via_csv(path: Path) -> bool:
    """Say whether a file begins as VIA's CSV does."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with open_regular(path) as file:
        first = file.read(1000).decode("utf-8", "replace").lstrip("\ufeff").splitlines()[:1]
    columns = first[0].lstrip("#").replace('"', "").split(_find_separator(first[0])) if first else []
    return bool(first) and (set(columns) >= CSV_COLUMNS or "VGG Image Annotator" in first[0])


def _find_separator(header: str) -> str:
    """Return what parts the columns: a comma, or what a spreadsheet wrote in its place."""
    return max(",;\t", key=header.count)


def read_via_content(content: dict[str, Any]) -> ViaContent:
    """Bring the content of a JSON file, for which `is_via` is true, to one form."""
    if "metadata" in content and "attribute" in content:
        return _read_project_3(content)
    table = _get(_get(content, "_via_attributes"), "region")
    settings = _get(_get(_get(content, "_via_settings"), "ui"), "image")
    files = content.get("_via_img_metadata", content)
    found = ViaContent([one for one in files.values() if isinstance(one, dict)] if isinstance(files, dict) else [])
    found.shown = str(settings.get("region_label", ""))
    for name in table:
        options = _get(_get(table, name), "options")
        if _get(table, name).get("type") in CHOICES:
            found.choices.add(name)
        if options and all(option.isdecimal() and isinstance(text, str) and text for option, text in options.items()):
            found.names[name] = dict(options)
    return found


def _get(content: Any, name: str) -> dict[str, Any]:
    """Return an object in an object, an empty one where there is none."""
    found = content.get(name) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def _read_project_3(content: dict[str, Any]) -> ViaContent:
    attributes = {number: one for number, one in _get(content, "attribute").items() if isinstance(one, dict)}
    names = {number: str(one.get("aname", number)) for number, one in attributes.items()}
    views, files = _get(content, "view"), _get(content, "file")
    found: dict[str, dict[str, Any]] = {}
    for view in views or files:
        shown = _get(views, view).get("fid_list", [view])
        file = _get(files, str(shown[0])) if isinstance(shown, list) and len(shown) == 1 else {}
        named = file.get("src") if file.get("loc") in (2, 3) and file.get("src") else file.get("fname")
        found[view] = {"filename": named, "regions": [], "video": file.get("type", 2) != 2}
    for row in _get(content, "metadata").values():
        if isinstance(row, dict) and row.get("xy") and str(row.get("vid")) in found:
            chosen = {
                names.get(number, number): _name_options(attributes.get(number, {}), value)
                for number, value in _get(row, "av").items()
            }
            found[str(row["vid"])]["regions"].append({"shape_attributes": _name_shape(row["xy"]), "region_attributes": chosen})
    ui = _get(_get(content, "config"), "ui")
    return ViaContent(
        list(found.values()),
        {names[number] for number, one in attributes.items() if str(one.get("type")) in CHOICES_3},
        shown=names.get(str(ui.get("spatial_region_label_attribute_id")), ""),
    )


def _name_options(attribute: dict[str, Any], value: Any) -> Any:
    """Return the texts of the options whose numbers were chosen; a text as it is."""
    options, kind = _get(attribute, "options"), CHOICES_3.get(str(attribute.get("type")), "")
    if not kind or not isinstance(value, str):
        return value
    chosen = [options.get(option, option) for option in value.split(",")] if kind == "checkbox" else [options.get(value, value)]
    return {str(text): True for text in chosen} if kind == "checkbox" else chosen[0]


def _name_shape(xy: Any) -> dict[str, Any]:
    number, *points = xy if isinstance(xy, list) else [xy]
    kind, fields = SHAPES_3.get(str(number), (f"number {number!r:.20}", ()))
    if fields:
        return {"name": kind} | dict(zip(fields, points, strict=False))
    if kind == "extreme rectangle" and all(isinstance(value, int | float) for value in points) and len(points) > 3:
        x, y = min(points[::2]), min(points[1::2])
        return {"name": "rect", "x": x, "y": y, "width": max(points[::2]) - x, "height": max(points[1::2]) - y}
    return {"name": kind, "all_points_x": points[::2], "all_points_y": points[1::2]}


def read_csv(path: Path) -> ViaContent:
    """Read VIA's CSV file. Raises SourceError, also for VIA 3's, which has numbers of options and not what they mean."""
    text = read_text(path)
    if text.startswith("# "):
        raise SourceError(f"{path}: VIA 3's CSV has the numbers of options, not their names; export the project as JSON")
    rows = csv.DictReader(io.StringIO(text.lstrip("#")), delimiter=_find_separator(text.partition("\n")[0]))
    if not set(rows.fieldnames or ()) >= CSV_COLUMNS:
        raise SourceError(f"{path}: found the columns {rows.fieldnames!r:.200}; expected {', '.join(sorted(CSV_COLUMNS))}")
    files: dict[str, dict[str, Any]] = {}
    for row in _read_rows(rows, path):
        try:
            shape, attributes = (json.loads(row[name] or "{}") for name in ("region_shape_attributes", "region_attributes"))
        except (TypeError, ValueError, RecursionError):
            shape, attributes = None, None
        file = files.setdefault(row["filename"], {"filename": row["filename"], "regions": []})
        if shape != {}:
            file["regions"].append({"shape_attributes": shape, "region_attributes": attributes, "line": rows.line_num})
    return ViaContent(list(files.values()))


def _read_rows(rows: csv.DictReader[str], path: Path) -> Iterator[dict[str, Any]]:
    try:
        yield from rows
    except csv.Error as error:  # above all a field longer than Python's reader takes
        raise SourceError(
            f"{path}: line {rows.line_num}: {error}; expected VIA's CSV; export the annotations as JSON"
        ) from None
