"""Read a COCO instances file: check all of it, note every fault, pack the rest into arrays."""

from __future__ import annotations

from array import array
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.classes import ClassMap
from maskzoo.datasets.nesting import describe_nesting
from maskzoo.datasets.rle import measure_runs, read_runs
from maskzoo.datasets.sifted import Sifted, check_numbers, is_number, pack_rows
from maskzoo.datasets.sound_reader import read_sound
from maskzoo.errors import AnnotationsError, tell_plainly
from maskzoo.faults import NOUNS, Fault, Words
from maskzoo.images.find import IMAGE_SUFFIXES
from maskzoo.images.read import MAX_PIXELS
from maskzoo.system.files import read_regular
from maskzoo.system.json_text import parse_json

__all__ = ["TABLES", "find_first", "is_text", "pack_annotations", "read_annotations", "read_json", "sift", "sift_sound"]

TABLES = ("images", "annotations", "categories")
NAME_FIELDS = ("filename", "fileName", "image_name", "image_path", "path", "file", "name", "image")  # for file_name
LARGEST_ID = 2**63 - 1  # ids are kept in 64 bits


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises AnnotationsError, with the place, if it is not there or `parse_json` refuses it."""
    try:
        content = read_regular(Path(path))
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else tell_plainly(str(error))
        raise _refuse(path, Words(reason), "a JSON file that can be read") from None
    try:
        return parse_json(content)
    except ValueError as error:
        raise _refuse(path, Words(f"no JSON: {error}"), "a whole JSON file in UTF-8, each key of an object once") from None


def _refuse(path: str | Path, found: Any, expected: str) -> AnnotationsError:
    return AnnotationsError([Fault("unreadable-file", str(path), "file", found, expected)])


def read_annotations(path: str | Path) -> AnnotationSet:
    """Read a COCO instances file, check all of it, and pack it.

    Raises AnnotationsError with every fault of the file: wrong types, unknown or repeated ids, numbers that are not
    finite or absurd, outlines that no mask code should see. What training leaves out (crowds, empty boxes) is not a fault.
    """
    sound = read_sound(Path(path), str(path))
    return pack_annotations(read_json(path), str(path)) if sound is None else sound


def pack_annotations(data: Any, source: str, most: int = MAX_PIXELS) -> AnnotationSet:
    """Check and pack the content of a COCO instances file; `source` names it in faults. Raises AnnotationsError."""
    return sift_sound(data, source, most).packed


def sift_sound(data: Any, source: str, most: int = MAX_PIXELS) -> Sifted:
    """Check the content of a COCO instances file as `sift` does. Raises AnnotationsError if it has a fault."""
    sifted = sift(data, source, most=most)
    if sifted.faults:
        # Where a table is missing, most other faults follow from that.
        faults = [fault for fault in sifted.faults if not fault.table] or sifted.faults
        raise AnnotationsError(faults, f"Look with `maskzoo data check {source}`; its --fix OUT writes a cleaned copy")
    return sifted


def sift(data: Any, source: str, split: str = "", most: int = MAX_PIXELS) -> Sifted:
    """Check the content of a COCO instances file and pack what is sound; `source` and `split` name it in faults.

    An image has at most `most` pixels.

    Raises AnnotationsError if it has none of the tables.
    """
    if not isinstance(data, dict) or not any(name in data for name in TABLES):
        found = Words("an object with none of the tables") if isinstance(data, dict) else data
        expected = "a COCO instances file: an object with the tables images, annotations and categories"
        raise _refuse(source, found, f"{expected}; `maskzoo data check FILE --fix OUT` takes these out of something else")
    _name_files(data["images"] if isinstance(data.get("images"), list) else [])
    return _Sifter(source, split, most).sift(data)


def _name_files(images: Sequence[Any]) -> None:
    """Name images whose file stands elsewhere in their row: in another tool's field, or at the end of LVIS's address.

    Of an address (`.../val2017/000000000139.jpg`) folder and file are taken.
    """
    for row in images:
        if isinstance(row, dict) and row.get("file_name") in (None, ""):
            named = next((name for field in NAME_FIELDS if _names_picture(name := row.get(field))), None)
            if named is not None:
                row["file_name"] = named
            elif isinstance(row.get("coco_url"), str):
                row["file_name"] = "/".join(row["coco_url"].split("/")[-2:])


def _names_picture(value: Any) -> bool:
    return isinstance(value, str) and Path(value).suffix.lower() in IMAGE_SUFFIXES


class _Sifter:
    """Walks a data set once, keeps flat columns, and notes faults instead of stopping at the first."""

    def __init__(self, source: str, split: str, most: int) -> None:
        self.source, self.split, self.most = source, split, most
        self.faults: list[Fault] = []
        self.row: dict[str, Any] = {}  # table, place, row and image of what is being looked at
        self.sizes: dict[int, tuple[int, int] | None] = {}  # None: unsound, so nothing can be checked against it
        self.unnamed: set[int] = set()  # images whose file's name is unsound
        self.image_places: dict[int, int] = {}
        self.label: dict[int, int] = {}
        self.seen: set[int] = set()
        self.unsound: dict[str, set[Any]] = {name: set() for name in TABLES}  # ids that rows have, and that are none
        self.sound: list[int] = []  # places of annotations in which no fault was found
        self.runs: dict[int, bytes] = {}  # by the places of annotations

    def sift(self, data: dict[str, Any]) -> Sifted:
        tables = {name: self._open(name, data.get(name, Words("nothing"))) for name in TABLES}
        classes = self._read_categories(tables["categories"] or _stand_in(tables["annotations"]))
        for place, row in enumerate(tables["images"]):
            self._read_image(place, row)
        for place, row in enumerate(tables["annotations"]):
            self._read_annotation(place, row)
        images = {number: tables["images"][self.image_places[number]] for number, size in self.sizes.items() if size}
        packed, places = pack_rows(self.source, classes, images, tables["annotations"], self.sound, self.runs)
        image_places = np.array([self.image_places[number] for number in packed.image_ids.tolist()], dtype=np.int64)
        sifted = Sifted(tables, packed, self.faults, image_places, places, self.split)
        self._check_runs(tables["annotations"])
        self.faults += check_numbers(sifted)
        if not self.faults:
            return sifted
        named = ~np.isin(packed.image_ids, [*self.unnamed])
        wrong = [fault.place for fault in self.faults if fault.table == "annotations" and fault.place is not None]
        return sifted.select(named, ~np.isin(places, wrong))

    def _open(self, name: str, rows: Any) -> list[Any]:
        if not isinstance(rows, list):
            self._add("bad-table", name, rows, "a list")
            return []
        if not rows and name == "categories":
            self._add("bad-table", name, Words("none"), "at least one")
        return rows

    def _add(self, code: str, field: str, found: Any, expected: str, part: int | None = None) -> None:
        """Note a fault of the row that is being looked at."""
        fault = Fault(code, self.source, field, found, expected, part=part, split=self.split, **self.row)
        self.faults.append(fault)

    def _read_categories(self, rows: list[Any]) -> ClassMap:
        names: dict[int, str] = {}
        for place, row in enumerate(rows):
            number = self._read_id("categories", place, row, names)
            if number is None:
                continue
            names[number] = name = row.get("name")
            if not isinstance(name, str) or not name:
                self._add("bad-category-name", "name", name, "a text")
                names[number] = f"category {number}"
        self.label = {number: label for label, number in enumerate(names)}
        return ClassMap.from_classes(names)

    def _read_id(self, table: str, place: int, row: Any, seen: Container[int]) -> int | None:
        """Return the row's own id, or note why there is none; faults that follow are this row's."""
        self.row = {"table": table, "place": place}
        if not isinstance(row, dict):
            self._add("bad-row", "row", row, "an object")
            return None
        number = row.get("id")
        image = number if table == "images" else row.get("image_id")
        self.row["image"] = image if type(image) is int else None
        if type(number) is not int or not 0 <= number <= LARGEST_ID:
            self._add("bad-id", "id", number, f"a whole number from 0 to {LARGEST_ID}")
            if isinstance(number, str | int | float):
                self.unsound[table].add((type(number), number))
            return None
        if number in seen:
            self._add(f"duplicate-{NOUNS[table]}-id", "id", Words("{} again", number), "each id once")
            return None
        self.row["row"] = number
        return number

    def _read_image(self, place: int, row: Any) -> None:
        number = self._read_id("images", place, row, self.sizes)
        if number is None:
            return
        height, width, name = row.get("height"), row.get("width"), row.get("file_name")
        for field, side in (("height", height), ("width", width)):
            if type(side) is not int or side < 1:
                self._add("bad-size", field, side, "a whole number of pixels from 1 on")
        if type(height) is int and type(width) is int and height * width > self.most:
            self._add("bad-size", "width x height", Words("{} x {}", width, height), f"at most {self.most:,} pixels")
        if not isinstance(name, str) or not name or "\0" in name or not is_text(name):
            self._add("bad-file-name", "file_name", name, "the name of a file")
            self.unnamed.add(number)
        sound = type(height) is int and type(width) is int and 0 < height * width <= self.most
        self.sizes[number] = (height, width) if sound else None
        self.image_places[number] = place

    def _read_annotation(self, place: int, row: Any) -> None:
        number = self._read_id("annotations", place, row, self.seen)
        if number is None:
            return
        self.seen.add(number)
        before, image, category = len(self.faults), row.get("image_id"), row.get("category_id")
        if type(image) is not int or image not in self.sizes:
            self._check_reference("images", image, self.sizes)
        if type(category) is not int or category not in self.label:
            self._check_reference("categories", category, self.label)
        for field in ("iscrowd", "ignore"):
            if row.get(field, 0) not in (0, 1):
                self._add("bad-flag", field, row[field], "0 or 1")
        if not is_number(row.get("area")):
            self._add("bad-area", "area", row.get("area"), "a number of pixels")
        bbox = row.get("bbox")
        if not (isinstance(bbox, list) and len(bbox) == 4 and all(map(is_number, bbox))):
            self._add("bad-box", "bbox", bbox, "four finite numbers: x, y, width, height")
        size = self.sizes.get(image) if type(image) is int else None
        nesting = describe_nesting(row.get("segmentation"))
        if nesting is not None:
            self._add("bad-nesting", "segmentation", Words(nesting), "a list of polygons: [[x, y, x, y, ...], ...]")
        elif size is not None:
            self._read_outline(place, row.get("segmentation"), size)
        if len(self.faults) == before and size is not None and type(category) is int and category in self.label:
            self.sound.append(place)

    def _check_reference(self, table: str, number: Any, known: Container[int]) -> None:
        """Note what is wrong with an id that is none of a table's, unless it is that of a row whose id is at fault."""
        noun = NOUNS[table]
        if isinstance(number, str | int | float) and (type(number), number) in self.unsound[table]:
            return
        if isinstance(number, str) and number.isdecimal() and len(number) < 20 and int(number) in known:
            expected = f"the id of one of the {table}: {int(number)} without quotes is one"
            self._add("id-as-text", f"{noun}_id", number, expected)
        else:
            self._add(f"unknown-{noun}", f"{noun}_id", number, f"the id of one of the {table}")

    def _read_outline(self, place: int, outline: Any, size: tuple[int, int]) -> None:
        """Check an outline; of polygons only the types are looked at, of run lengths not their sum: numbers come later."""
        if isinstance(outline, dict):
            runs = read_runs(outline, size)
            if isinstance(runs, bytes):
                self.runs[place] = runs
            else:
                self._add("bad-runs", *runs)
        elif isinstance(outline, list) and outline:
            for part, polygon in enumerate(outline):
                self._read_polygon(part, polygon)
        else:
            self._add("no-outline", "segmentation", outline, "a list of polygons, or run lengths with size and counts")

    def _read_polygon(self, part: int, polygon: Any) -> None:
        if not isinstance(polygon, list) or len(polygon) % 2 or len(polygon) < 6:
            found = Words("{} numbers", len(polygon)) if isinstance(polygon, list) else polygon
            expected = "x and y of at least 3 points, an even count of numbers from 6 on"
            self._add("bad-polygon", "segmentation", found, expected, part=part)
            return
        try:
            array("d", polygon)
        except (TypeError, OverflowError):
            wrong = next(value for value in polygon if not is_number(value))
            self._add("bad-coordinates", "segmentation", wrong, "finite numbers", part=part)

    def _check_runs(self, rows: list[Any]) -> None:
        """Check the run lengths of all rows at once."""
        images = [rows[place]["image_id"] for place in self.runs]
        pixels = [height * width for height, width in (self.sizes[image] or (0, 0) for image in images)]
        sound = measure_runs([*self.runs.values()], pixels)[1]
        for number, (place, text) in enumerate(self.runs.items()):
            if not sound[number]:
                self.row = {"table": "annotations", "place": place, "row": rows[place]["id"], "image": images[number]}
                expected = f"compressed run lengths that sum to {pixels[number]}"
                self._add("bad-runs", "segmentation.counts", text.decode("ascii"), expected)


def _stand_in(annotations: list[Any]) -> list[Any]:
    """Return categories for the objects of a file without any, so that nothing else is checked against these."""
    ids = (row.get("category_id") for row in annotations if isinstance(row, dict))
    return [
        {"id": number, "name": f"category {number}"}
        for number in sorted({number for number in ids if type(number) is int and 0 <= number <= LARGEST_ID})
    ]


def find_first(rows: Sequence[Any]) -> dict[int, int]:
    """Return the place of the first row with each id that is a whole number, whatever else stands among the rows."""
    first: dict[int, int] = {}
    for place, row in enumerate(rows):
        if isinstance(row, dict) and type(row.get("id")) is int:
            first.setdefault(row["id"], place)
    return first


def is_text(name: str) -> bool:
    """Say whether a name is one of whole characters: JSON can hold half a one, and so can a file's name that is no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in name)
