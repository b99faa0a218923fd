"""What is only written otherwise, in all three tables together: ids and who names them, flags, nesting, classes given twice."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from maskzoo.dataset_checks.annotation_checks import SLIGHT_PIXELS
from maskzoo.dataset_checks.report import Change
from maskzoo.datasets.coco_reader import LARGEST_ID
from maskzoo.datasets.nesting import describe_nesting, join_columns, nest
from maskzoo.datasets.picture_names import split_address
from maskzoo.faults import NOUNS

__all__ = ["LARGEST_COMMON", "Row", "rewrite_tables"]

Row = dict[str, Any]
Raw = tuple[type, Any]  # a value and its type: 1, 1.0, True and '1' are four
LARGEST_COMMON = 2**53  # up to here a double stands for one whole number, and every program's JSON holds it
_NO, _YES = ("", "0", "0.0", "false", "no", "n", "f", "none", "null", "nan"), ("1", "1.0", "true", "yes", "y", "t")
FLAGS = {**dict.fromkeys(_NO, 0), **dict.fromkeys(_YES, 1)}
_WHOLE = re.compile(r"\s*([0-9]{1,19})(?:\.0*)?\s*")
CLASS_FIELDS = ("category_name", "category", "class", "class_name", "label", "name", "type")


def rewrite_tables(tables: Mapping[str, Sequence[Any]]) -> tuple[dict[str, dict[int, Row | None]], Counter[Change]]:
    """Return the rows that are written otherwise than a COCO file has them, rewritten, by table and place, and how often.

    A row that is None is the same as an earlier one. Nothing is guessed: what a value may mean besides is left as it is.
    """
    rewriter = _Rewriter(tables)
    rewriter.rewrite()
    return rewriter.changed, rewriter.changes


class _Rewriter:
    def __init__(self, tables: Mapping[str, Sequence[Any]]) -> None:
        self.tables = tables
        self.changed: dict[str, dict[int, Row | None]] = {name: {} for name in tables}
        self.changes: Counter[Change] = Counter()
        self.ids: dict[str, dict[Raw, int]] = {}  # what an id of a table means, as it is written
        self.names: dict[str, dict[str, int]] = {}
        self._counted: set[tuple[int, Change]] = set()

    def rewrite(self) -> None:
        for table, field, why in (("images", "file_name", "bad-file-name"), ("categories", "name", "bad-category-name")):
            for place, row in self._list(table):
                self._write(place, table, row, _read_name(row, field), why, "written as text")
            self._join_rows(table)
            self._number(table)
        self._tell_apart()
        for place, row in self._list("images"):
            self._write(place, "images", row, _read_wholes(row, ("width", "height")), "number", "rewritten")
        self.names = {"images": self._name_images(), "categories": self._name_categories()}
        for place, row in self._list("annotations"):
            self._rewrite_object(place, row)

    def _list(self, table: str) -> Iterable[tuple[int, Row]]:
        for place, before in enumerate(self.tables[table]):
            row = self.changed[table].get(place, before)
            if isinstance(row, dict):
                yield place, row

    def _write(self, place: int, table: str, row: Row, values: Mapping[str, Any], why: str, action: str) -> Row:
        """Change some fields of a row, if there are any, and count it."""
        if not values:
            return row
        noun = "object" if table == "annotations" else NOUNS[table]
        why = f"{noun} with a whole number written as text or with a point" if why == "number" else why
        change = Change(table, why, action)
        if (place, change) not in self._counted:  # two fields of a row are one change of it
            self._counted.add((place, change))
            self.changes[change] += 1
        self.changed[table][place] = row = {**row, **values}
        return row

    def _join_rows(self, table: str) -> None:
        """Leave out a row that says again what an earlier one does: of a category its name decides, of an image its file."""
        first: dict[tuple[Raw, Any], int] = {}
        field = "name" if table == "categories" else "file_name"
        for place, row in self._list(table):
            raw, name = _type(row.get("id")), row.get(field)
            if isinstance(name, str) and first.setdefault((raw, name), place) != place:
                self.changes[Change(table, f"duplicate-{NOUNS[table]}-id", f"{NOUNS[table]} of the same {field} joined")] += 1
                self.changed[table][place] = None

    def _number(self, table: str) -> None:
        """Give each row an id that is a whole number, its own where it says one that no other row has."""
        named = {row.get("image_id") for _, row in self._list("annotations") if isinstance(row.get("image_id"), str)}
        rows = [(place, row, _type(row.get("id"))) for place, row in self._list(table)]
        rows.sort(key=lambda item: item[2][0] is not int)  # stable: what is a number already keeps it
        ids: dict[Raw, int] = {}
        taken: set[int] = set()
        last = max(
            (number for *_, (_, one) in rows if (number := _to_id(one)) is not None and number <= LARGEST_COMMON), default=0
        )
        for place, row, raw in rows:
            name = row.get("file_name")
            if raw in ids or (raw[1] is None and not (isinstance(name, str) and name in named)):
                continue  # told as given twice; or nothing that an object could name
            number = _to_id(raw[1])
            if number is None or number in taken:
                number = last = last + 1
            ids |= {} if raw[1] is None else {raw: number}
            taken.add(number)
            if raw != (int, number):
                written = _to_id(raw[1]) == number
                why, action = ("number", "rewritten") if written else ("bad-id", "new id, in its objects too")
                self._write(place, table, row, {"id": number}, why, action)
        self.ids[table] = ids

    def _tell_apart(self) -> None:
        """Give images that share an id, and each its objects, ids of their own, where each object is of one of them alone."""
        shared: dict[Raw, list[tuple[int, Row]]] = defaultdict(list)
        for place, row in self._list("images"):
            shared[_type(row.get("id"))].append((place, row))
        shared = {raw: rows for raw, rows in shared.items() if len(rows) > 1 and raw in self.ids["images"]}
        if not shared:
            return
        objects: dict[Raw, list[tuple[int, Row]]] = defaultdict(list)
        for place, row in self._list("annotations"):
            objects[_type(row.get("image_id"))].append((place, row))
        last = max((number for number in self.ids["images"].values() if number <= LARGEST_COMMON), default=0)
        for raw, rows in shared.items():
            owners = {place: [image for image, row in rows if _belongs(one, row)] for place, one in objects[raw]}
            if not owners or not all(len(images) == 1 for images in owners.values()):
                continue
            numbers = {rows[0][0]: raw[1]} | {place: last + number for number, (place, _) in enumerate(rows[1:], 1)}
            last += len(rows) - 1
            for place, row in rows[1:]:
                self._write(place, "images", row, {"id": numbers[place]}, "duplicate-image-id", "new id, in its objects too")
            for place, one in objects[raw]:
                value = {"image_id": numbers[owners[place][0]]}
                self._write(
                    place, "annotations", one, value, "object of one of two images with one id", "told by its place or size"
                )
            self.ids["images"] |= {(int, number): number for number in numbers.values()}

    def _name_images(self) -> dict[str, int]:
        """Return the id of each image that a file's name, its last part, or that without its ending names alone."""
        owners: dict[str, set[int]] = defaultdict(set)
        for _, row in self._list("images"):
            if isinstance(row.get("file_name"), str) and type(row.get("id")) is int:
                path = PurePosixPath(row["file_name"].replace("\\", "/"))
                for name in {row["file_name"], path.name, path.stem}:
                    owners[name].add(row["id"])
        return {name: next(iter(ids)) for name, ids in owners.items() if len(ids) == 1}

    def _name_categories(self) -> dict[str, int]:
        """Return the id of each category by its name, once categories of one name are joined."""
        first: dict[str, Row] = {}
        joined: dict[int, int] = {}
        for place, row in self._list("categories"):
            name, number = row.get("name"), row.get("id")
            if not isinstance(name, str) or not name or type(number) is not int:
                continue
            other = first.setdefault(name, row)
            kinds = {one.get("supercategory") or None for one in (row, other)}
            if other is not row and other["id"] != number and (len(kinds) == 1 or None in kinds):
                joined[number] = other["id"]
                self.changed["categories"][place] = None
                self.changes[Change("categories", "duplicate-category-name", "joined, with its objects")] += 1
        self.ids["categories"] = {raw: joined.get(number, number) for raw, number in self.ids["categories"].items()}
        alike = Counter(name.strip().casefold() for name in first)
        loose = {key: row["id"] for name, row in first.items() if alike[key := name.strip().casefold()] == 1}
        return loose | {name: row["id"] for name, row in first.items()}

    def _rewrite_object(self, place: int, row: Row) -> None:
        for table in ("images", "categories"):
            field = f"{NOUNS[table]}_id"
            written = row.get(field)
            if type(written) is int and self.ids[table].get((int, written)) == written:
                continue  # nearly always
            if written is None and field == "category_id":
                written = self._find_class(row)
            value = self._find(table, written)
            if value is not None:
                why, action = f"unknown-{NOUNS[table]}", "found by its name"
                if _to_id(row.get(field)) == value:
                    why, action = "number", "rewritten"
                elif _type(written) in self.ids[table]:
                    why, action = f"object whose {NOUNS[table]} has another id now", f"{field} follows it"
                row = self._write(place, "annotations", row, {field: value}, why, action)
        row = self._write(place, "annotations", row, _read_wholes(row, ("id",)), "number", "rewritten")
        odd = [field for field in ("iscrowd", "ignore") if field in row and row[field] not in (0, 1)]
        flags: dict[str, Any] = {field: value for field in odd if (value := _to_flag(row[field])) is not None}
        row = self._write(place, "annotations", row, flags, "bad-flag", "read as 0 or 1")
        self._rewrite_outline(place, row)

    def _rewrite_outline(self, place: int, row: Row) -> None:
        outline, bbox = row.get("segmentation"), row.get("bbox")
        if (columns := join_columns(outline, bbox)) is not None:
            self._write(place, "annotations", row, {"segmentation": columns}, "bad-nesting", "x and y put together")
        elif describe_nesting(outline) is not None and (polygons := nest(outline)) is not None:
            self._write(place, "annotations", row, {"segmentation": polygons}, "bad-nesting", "nested as polygons")

    def _find(self, table: str, value: Any) -> int | None:
        """Return the id of the row that a value names: as it is written, as a number, or by the row's name."""
        if isinstance(value, list) and len(value) == 1:
            (value,) = value
        if not isinstance(value, str | int | float):
            return None
        ids = self.ids[table]
        if (found := ids.get((type(value), value))) is not None:
            return found
        number = _to_id(value)
        if number is not None and (found := ids.get((int, number))) is not None:
            return found
        if not isinstance(value, str):
            return None
        other = value.strip().casefold() if table == "categories" else "".join(split_address(value)[-1:])
        return self.names[table].get(value, self.names[table].get(other))

    def _find_class(self, row: Row) -> str | None:
        """Return the one class that an object without a category names elsewhere, as VIA's attributes do."""
        places = [row, *(row[name] for name in ("attributes", "region_attributes") if isinstance(row.get(name), dict))]
        said = {place[field] for place in places for field in CLASS_FIELDS if isinstance(place.get(field), str)}
        known = {name for name in said if self._find("categories", name) is not None}
        return known.pop() if len(known) == 1 else None


def _read_name(row: Row, field: str) -> dict[str, str]:
    """Return a name that is a number, or stands alone in a list, as a text."""
    value = row.get(field)
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    value = str(value) if type(value) is int else value
    return {field: value} if isinstance(value, str) and value != row.get(field) else {}


def _belongs(one: Row, image: Row) -> bool:
    """Say whether an object can be of an image: its run lengths have the size, its points lie inside, it names the file."""
    said = [one[field] for field in ("file_name", "image_name") if isinstance(one.get(field), str)]
    if said:
        return image.get("file_name") in said
    height, width, outline = image.get("height"), image.get("width"), one.get("segmentation")
    if isinstance(outline, dict) and "size" in outline:
        return bool(outline["size"] == [height, width])
    polygons = nest(outline)
    if polygons is None or type(height) is not int or type(width) is not int:
        return True  # it may be
    points = [(x, y) for polygon in polygons for x, y in zip(polygon[::2], polygon[1::2], strict=False)]
    return all(
        -SLIGHT_PIXELS <= x <= width + SLIGHT_PIXELS and -SLIGHT_PIXELS <= y <= height + SLIGHT_PIXELS for x, y in points
    )


def _type(value: Any) -> Raw:
    return (type(value), value) if isinstance(value, str | int | float) else (type(value), None)


def _to_id(value: Any) -> int | None:
    """Return the id that a value stands for, None if it is no whole number from 0 to 2^63 - 1."""
    if type(value) is int:
        return value if 0 <= value <= LARGEST_ID else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and 0 <= value <= LARGEST_COMMON else None
    if isinstance(value, str) and (match := _WHOLE.fullmatch(value)):
        return int(match[1]) if int(match[1]) <= LARGEST_ID else None
    return None


def _read_wholes(row: Row, fields: Sequence[str]) -> dict[str, int]:
    """Return the fields with a whole number written as "7" or 7.0, as that number."""
    values = {field: _to_id(row.get(field)) for field in fields if type(row.get(field)) is not int}
    return {field: value for field, value in values.items() if value is not None}


def _to_flag(value: Any) -> int | None:
    """Return 0 or 1 for what a tool writes for yes and no, None for anything else."""
    if value is None:
        return 0
    return FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
