"""Go on after the strict reader refused a file: its faults as problems, and the rows that are sound."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskzoo.dataset_checks.problems import Problem, make_printable
from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.coco_reader import AnnotationsError, Fault, is_number, pack_annotations

__all__ = ["TABLES", "Rows", "SoundRows", "check_root", "keep_sound_rows"]

TABLES = ("images", "annotations", "categories")
Tables = dict[str, list[Any]]
_ROW = re.compile(r"(image|annotation|category) (at place )?([0-9]+)")
_TABLE = {"image": "images", "annotation": "annotations", "category": "categories"}
_KIND = {
    "row": "bad-row",
    "id": "bad-id",
    "name": "bad-category-name",
    "height": "bad-size",
    "width": "bad-size",
    "width x height": "bad-size",
    "file_name": "bad-file-name",
    "image_id": "unknown-image",
    "category_id": "unknown-category",
    "iscrowd": "bad-flag",
    "ignore": "bad-flag",
    "area": "bad-area",
    "segmentation": "no-outline",
    "segmentation.size": "bad-runs",
    "segmentation.counts": "bad-runs",
}


@dataclass(frozen=True, slots=True)
class SoundRows:
    """`problems` are the strict reader's faults, `packed` the rows without one; the places of these in the file by id."""

    problems: list[Problem]
    packed: AnnotationSet
    rows: Rows


class Rows:
    """The three tables of a COCO file's content, whatever they hold, and where each id stands first."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.tables: Tables = {name: data[name] if isinstance(data.get(name), list) else [] for name in TABLES}
        self.places: dict[str, dict[int, int]] = {name: {} for name in TABLES}
        for name, rows in self.tables.items():
            known = self.places[name]
            for place, row in enumerate(rows):
                if isinstance(row, dict) and type(row.get("id")) is int:
                    known.setdefault(row["id"], place)

    def find(self, row: str) -> tuple[str, int]:
        """Return table and place of a row that a fault names, ("", -1) for none."""
        match = _ROW.fullmatch(row)
        if match is None:
            return "", -1
        table, number = _TABLE[match[1]], int(match[3])
        return table, number if match[2] else self.places[table][number]

    def value(self, table: str, place: int, field: str) -> Any:
        """Return a value of a row, None where there is none."""
        row = self.tables[table][place] if place >= 0 else None
        return row.get(field) if isinstance(row, dict) else None


def check_root(data: Any, file: Path) -> dict[str, Any]:
    """Return the content of a file that has at least one of the tables. Raises AnnotationsError for anything else."""
    if not isinstance(data, dict) or not any(name in data for name in TABLES):
        found = "an object without any of these" if isinstance(data, dict) else f"a {type(data).__name__}"
        expected = "a COCO instances file: an object with images, annotations and categories"
        raise AnnotationsError([Fault(str(file), "", "file", found, expected)])
    return data


def keep_sound_rows(data: Mapping[str, Any], split: str, file: str) -> SoundRows:
    """Read the content of a COCO file strictly, again without the rows at fault until it passes."""
    problems: list[Problem] = []
    original = rows = Rows(data)
    # Which place of the file each row that is left came from.
    origin = {name: list(range(len(table))) for name, table in rows.tables.items()}
    current: Any = data
    while True:
        try:
            return SoundRows(problems, pack_annotations(current, file), original)
        except AnnotationsError as error:
            for fault in error.faults:
                table, place = rows.find(fault.row)
                problems.append(_to_problem(fault, split, original, table, origin[table][place] if table else -1))
            current = _leave_out(rows, error.faults, origin)
            rows = Rows(current)


def _to_problem(fault: Fault, split: str, rows: Rows, table: str, place: int) -> Problem:
    number = rows.value(table, place, "id")
    image = number if table == "images" else rows.value(table, place, "image_id")
    return Problem(
        kind=_name_kind(fault, rows, table, place),
        split=split,
        file=fault.file,
        row=fault.row,
        field=fault.field,
        found=make_printable(fault.found),
        expected=fault.expected,
        image_id=image if type(image) is int else None,
        annotation_id=number if table == "annotations" and type(number) is int else None,
        table=table,
        place=place,
    )


def _name_kind(fault: Fault, rows: Rows, table: str, place: int) -> str:
    if not table:
        return "bad-table"
    if fault.field == "id" and fault.found.endswith(" again"):
        return f"duplicate-{fault.row.split()[0]}-id"
    if fault.field == "bbox":
        box = rows.value(table, place, "bbox")
        return "far-box" if isinstance(box, list) and len(box) == 4 and all(map(is_number, box)) else "bad-box"
    if fault.field.startswith("segmentation["):
        polygon = rows.value(table, place, "segmentation")[int(fault.field[13:-1])]
        if not isinstance(polygon, list) or len(polygon) % 2 or len(polygon) < 6:
            return "bad-polygon"
        return "far-polygon" if all(map(is_number, polygon)) else "bad-coordinates"
    return _KIND[fault.field]


def _leave_out(rows: Rows, faults: Iterable[Fault], origin: dict[str, list[int]]) -> Tables:
    """Return the tables without the rows at fault, and without objects of images that are left out; updates `origin`.

    A category stays, under a stand-in name, so that its objects are not at fault for it.
    """
    out: dict[str, set[int]] = {name: set() for name in TABLES}
    tables = dict(rows.tables)
    categories = list(tables["categories"])
    for fault in faults:
        table, place = rows.find(fault.row)
        if fault.field == "name":
            categories[place] = {**categories[place], "name": f"category {categories[place]['id']}"}
        elif table:
            out[table].add(place)
    images = ((place, _id_of(rows.tables["images"][place])) for place in out["images"])
    lost = {number for place, number in images if rows.places["images"].get(number) == place}
    for place, row in enumerate(tables["annotations"]):
        if lost and isinstance(row, dict) and type(row.get("image_id")) is int and row["image_id"] in lost:
            out["annotations"].add(place)
    tables["categories"] = categories
    for name, every in tables.items():
        tables[name] = [row for place, row in enumerate(every) if place not in out[name]]
        origin[name] = [number for place, number in enumerate(origin[name]) if place not in out[name]]
    if not tables["categories"]:
        tables["categories"] = [{"id": number, "name": f"category {number}"} for number in _list_categories(tables)]
        origin["categories"] = [-1] * len(tables["categories"])
    return tables


def _id_of(row: Any) -> int:
    number = row.get("id") if isinstance(row, dict) else None
    return number if type(number) is int else -1


def _list_categories(tables: Tables) -> list[int]:
    ids = (row.get("category_id") for row in tables["annotations"] if isinstance(row, dict))
    return sorted({number for number in ids if type(number) is int and 0 <= number < 2**63}) or [0]
