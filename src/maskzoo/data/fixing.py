"""Clean the annotation files of a checked data set: repair what leaves nothing to guess, drop the rest, count both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskzoo.data.checking import Report, check_annotations
from maskzoo.data.problems import KINDS, Problem
from maskzoo.data.repairs import Outline, clip_box, measure_sound, rewrite_numbers, to_corners, turn_size
from maskzoo.data.row_checks import check_classes
from maskzoo.data.sifting import TABLES
from maskzoo.errors import MaskzooError

__all__ = ["Fixed", "fix_data"]

Row = dict[str, Any]
Tables = dict[str, list[Any]]
NOUNS = {"images": "image", "annotations": "object", "categories": "category"}
BAD_FILES = frozenset({"missing-image", "unreadable-image", "size-differs"})
BAD_OUTLINE = frozenset({"bad-polygon", "bad-coordinates", "far-polygon", "polygon-without-area"})
BOX_FROM_OUTLINE = frozenset({"bad-box", "far-box", "box-empty"})
BOX_TO_CLIP = frozenset({"box-outside", "box-over-edge"})
AREA_FROM_OUTLINE = frozenset({"bad-area", "no-area"})
REPAIRED = BAD_OUTLINE | BOX_FROM_OUTLINE | BOX_TO_CLIP | AREA_FROM_OUTLINE | {"duplicate-annotation-id"}
DROPPED = frozenset(
    {
        "bad-row", "bad-size", "bad-file-name", "unknown-image", "unknown-category", "bad-flag", "no-outline", "bad-runs",
        "outline-outside", "outline-without-area", "box-elsewhere", "duplicate-annotation",
    }
)
HANDLED = REPAIRED | DROPPED | {"bad-id", "duplicate-image-id", "duplicate-category-id", "bad-category-name"}
LARGEST_COMMON = 2**53  # every program's JSON can hold whole numbers below
ROUNDS = 5  # a repair may bring up another problem; from then on, a row that is still at fault is dropped


@dataclass(frozen=True, slots=True)
class Fixed:
    """A split's cleaned content, how often each kind of change was made, and the errors that a person has to settle."""

    data: dict[str, Any]
    changes: Counter[str] = field(default_factory=Counter)
    left: tuple[Problem, ...] = ()


def fix_data(report: Report) -> dict[str, Fixed]:
    """Return a cleaned copy of each split's file; rows without a problem stay as they are, nothing is written.

    Raises MaskzooError if a file has no list of images, annotations or categories, or if nothing would be left of it.
    """
    fixed = {}
    for split, facts in report.splits.items():
        files = [p for p in report.problems if p.split == split and p.kind in BAD_FILES | {"size-rotated"}]
        fixed[split] = _fix_split(facts.content, split, facts.file, files)
    _share_categories(fixed)
    classes = {}
    left = {split: [p for p in report.problems if p.split == split and p.kind == "no-images-folder"] for split in fixed}
    for split, part in fixed.items():
        problems, sifted = check_annotations(part.data, split, str(report.splits[split].file))
        classes[split] = (str(report.splits[split].file), sifted.packed.classes)
        left[split] += [problem for problem in problems if problem.severity == "error"]
    for problem in check_classes(classes):
        left[problem.split] += [problem] if problem.severity == "error" else []
    return {split: Fixed(part.data, part.changes, tuple(left[split])) for split, part in fixed.items()}


def _fix_split(data: dict[str, Any], split: str, file: Path, bad_files: Sequence[Problem]) -> Fixed:
    for name in TABLES:
        if not isinstance(data.get(name), list) or (name == "categories" and not data[name]):
            raise MaskzooError(
                f"{file}: {name} is missing, empty or no list, which nothing can make up for; export the file again"
            )
    cleaner = _Cleaner({name: data[name] for name in TABLES})
    cleaner.clean_numbers()
    cleaner.clean_files(bad_files)
    for number in range(2 * ROUNDS):
        problems, _ = check_annotations(cleaner.tables, split, str(file))
        errors = [problem for problem in problems if problem.severity == "error" and problem.table]
        wanted = errors if number >= ROUNDS else [problem for problem in problems if problem.kind in HANDLED]
        if not wanted:
            break
        cleaner.clean(wanted, drop=number >= ROUNDS)
    tables = cleaner.tables
    if not tables["images"] or not tables["categories"] or (data["annotations"] and not tables["annotations"]):
        empty = ", ".join(name for name in TABLES if not tables[name])
        raise MaskzooError(f"{file}: nothing would be left of {empty} in a cleaned file; export the data set again")
    return Fixed({**data, **tables}, cleaner.changes)


class _Cleaner:
    """The three tables of a file, replaced round by round; rows are never changed in place."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.changes: Counter[str] = Counter()
        self._taken: set[int] = set()
        self._last_id = 0

    def clean_numbers(self) -> None:
        """Rewrite whole numbers that are written otherwise, so that ids mean the same everywhere."""
        for table, rows in self.tables.items():
            changed = rewrite_numbers(table, rows)
            self.tables = {**self.tables, table: [changed.get(place, row) for place, row in enumerate(rows)]}
            if changed:
                self.changes[f"{NOUNS[table]} with a whole number written as text or with a point: rewritten"] += len(changed)
        self._taken = set(_find_first(self.tables["annotations"]))
        self._last_id = max((number for number in self._taken if 0 <= number < LARGEST_COMMON), default=0)

    def clean_files(self, problems: Sequence[Problem]) -> None:
        """Drop images whose file is bad, and turn the sizes that EXIF explains."""
        kinds = {problem.image_id: problem.kind for problem in problems}
        images: dict[int, int] = {}
        for place, row in enumerate(self.tables["images"]):
            if isinstance(row, dict) and type(row.get("id")) is int and row["id"] in kinds:
                images.setdefault(row["id"], place)
        objects = defaultdict(list)
        for row in self.tables["annotations"]:
            if isinstance(row, dict) and type(row.get("image_id")) is int and row["image_id"] in images:
                objects[row["image_id"]].append(row)
        changed: dict[int, Row | None] = {}
        for number, place in images.items():
            row, kind = self.tables["images"][place], kinds[number]
            changed[place] = turn_size(row, objects[number]) if kind == "size-rotated" else None
            self._count(kind, "images", "size turned" if changed[place] else "image dropped")
        self._replace("images", changed)

    def clean(self, problems: Sequence[Problem], drop: bool) -> None:
        """Repair or drop each row that has a problem; with `drop`, drop it in any case."""
        kinds: dict[tuple[str, int], list[str]] = defaultdict(list)
        for problem in problems:
            kinds[problem.table, problem.place].append(problem.kind)
        first = {name: _find_first(rows) for name, rows in self.tables.items()}
        objects = () if drop else (place for table, place in kinds if table == "annotations")
        outlines = self._measure_outlines(objects, first["images"])
        changed: dict[str, dict[int, Row | None]] = {name: {} for name in TABLES}
        for (table, place), found in kinds.items():
            row = self.tables[table][place]
            if drop or (kind := next((kind for kind in found if kind in DROPPED), None)) is not None:
                self._count(found[0] if drop else str(kind), table, f"{NOUNS[table]} dropped")
                changed[table][place] = None
            elif table == "annotations":
                changed[table][place] = self._repair_object(row, found, first[table], outlines.get(place))
            else:
                self._repair_entry(table, place, found[0], first[table], changed[table])
        for table in ("annotations", "images", "categories"):  # the later ones drop objects: places would be others
            self._replace(table, changed[table])

    def _count(self, kind: str, table: str, action: str) -> None:
        self.changes[f"{KINDS[kind].title}: {action}" + (" with its objects" if action == "image dropped" else "")] += 1

    def _replace(self, table: str, changed: Mapping[int, Row | None]) -> None:
        """Put the changed rows in place; what belonged to a dropped image or category goes too."""
        if not changed:
            return
        before = self.tables[table]
        gone = {place for place, row in changed.items() if row is None}
        after = [changed.get(place, row) for place, row in enumerate(before) if place not in gone]
        self.tables = {**self.tables, table: after}
        if table == "annotations":
            return
        name = "image_id" if table == "images" else "category_id"
        lost = {number for place in gone if (number := _read_id(before[place])) is not None}
        lost -= set(_find_first(self.tables[table]))
        kept = [row for row in self.tables["annotations"] if not (isinstance(row, dict) and _is_in(row.get(name), lost))]
        dropped = len(self.tables["annotations"]) - len(kept)
        if dropped:
            self.changes[f"{NOUNS[table]} that was dropped: object of it dropped"] += dropped
        self.tables = {**self.tables, "annotations": kept}

    def _repair_entry(
        self, table: str, place: int, kind: str, first: Mapping[int, int], changed: dict[int, Row | None]
    ) -> None:
        """Repair an image or a category. Of two with one id that differ, nobody knows which one objects mean: both go."""
        rows = self.tables[table]
        row = rows[place]
        if kind == "bad-category-name":
            self._count(kind, table, "named by its id")
            changed[place] = {**row, "name": f"category {row['id']}"}
            return
        places = [place]
        if kind.startswith("duplicate"):
            before = rows[first[row["id"]]]
            same = row.get("name") == before.get("name") if table == "categories" else row == before
            if not same and changed.get(first[row["id"]], before) is not None:
                places.append(first[row["id"]])
        for gone in places:
            self._count(kind, table, f"{NOUNS[table]} dropped")
            changed[gone] = None

    def _measure_outlines(self, places: Iterable[int], images: Mapping[int, int]) -> dict[int, Outline]:
        outlines = {}
        for place in places:
            row = self.tables["annotations"][place]
            image = row.get("image_id") if isinstance(row, dict) else None
            if type(image) is int and image in images:
                outlines[place] = row.get("segmentation"), self.tables["images"][images[image]]
        return measure_sound(outlines)

    def _repair_object(self, row: Row, kinds: Sequence[str], first: Mapping[int, int], outline: Outline | None) -> Row | None:
        new = dict(row)
        if "bad-id" in kinds or "duplicate-annotation-id" in kinds:
            kind = next(kind for kind in kinds if kind.endswith("-id"))
            if kind != "bad-id" and row == self.tables["annotations"][first[row["id"]]]:
                self._count("duplicate-annotation", "annotations", "object dropped")
                return None
            new["id"] = self._find_new_id()
            self._count(kind, "annotations", "new id")
            return new  # the strict reader has not looked at the rest of it yet
        if outline is None:
            self._count(kinds[0], "annotations", "object dropped")
            return None
        if len(outline.polygons) < outline.given:
            new["segmentation"] = outline.polygons
            kind = next((kind for kind in kinds if kind in BAD_OUTLINE), "bad-polygon")
            self.changes[f"{KINDS[kind].title}: left out of its outline"] += outline.given - len(outline.polygons)
        return self._repair_numbers(new, kinds, outline)

    def _repair_numbers(self, new: Row, kinds: Sequence[str], outline: Outline) -> Row | None:
        clipped = None
        for kind in kinds:
            if kind in BOX_TO_CLIP:
                clipped = clip_box(to_corners(new["bbox"]), outline.size)
                if clipped is not None:
                    new["bbox"] = clipped
                    self._count(kind, "annotations", "clipped to the image")
            if kind in BOX_FROM_OUTLINE or (kind in BOX_TO_CLIP and clipped is None):
                box = clip_box(outline.extent, outline.size)
                if box is None:
                    self._count(kind, "annotations", "object dropped")
                    return None
                new["bbox"] = box
                self._count(kind, "annotations", "taken from the outline")
            if kind in AREA_FROM_OUTLINE:
                new["area"] = outline.area
                self._count(kind, "annotations", "taken from the outline")
        return new

    def _find_new_id(self) -> int:
        self._last_id += 1
        while self._last_id in self._taken:
            self._last_id += 1
        return self._last_id


def _read_id(row: Any) -> int | None:
    number = row.get("id") if isinstance(row, dict) else None
    return number if type(number) is int else None


def _is_in(value: Any, numbers: set[int]) -> bool:
    return type(value) is int and value in numbers


def _find_first(rows: Sequence[Any]) -> dict[int, int]:
    first: dict[int, int] = {}
    for place, row in enumerate(rows):
        number = _read_id(row)
        if number is not None:
            first.setdefault(number, place)
    return first


def _share_categories(fixed: Mapping[str, Fixed]) -> None:
    """Add to each split the categories that only others have, unless an id or a name means something else there."""
    own = {split: {row["id"]: row["name"] for row in part.data["categories"]} for split, part in fixed.items()}
    known: dict[int, tuple[Row, str]] = {}  # and the split that it is from
    for split, part in fixed.items():
        for row in part.data["categories"]:
            known.setdefault(row["id"], (row, split))
    for split, part in fixed.items():
        if any(known[number][0]["name"] != name for number, name in own[split].items()):
            continue
        missing = []
        for number, (row, origin) in known.items():
            namesakes = {other for other, name in own[split].items() if name == row["name"]}
            if number not in own[split] and namesakes <= own[origin].keys():
                missing.append(row)
        if missing:
            part.data["categories"] = [*part.data["categories"], *missing]
            part.changes[f"{KINDS['classes-differ'].title}: category of another split added"] += len(missing)
