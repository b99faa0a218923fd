"""Clean the annotation files of a checked data set: repair what leaves nothing to guess, drop the rest, count both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from maskzoo.dataset_checks.codes import CODES
from maskzoo.dataset_checks.repairs import REPAIRS, Evidence, Outline, drop, measure_sound, rewrite_numbers
from maskzoo.dataset_checks.report import Change, DatasetReport, Fixed
from maskzoo.dataset_checks.split_checks import Contents, check_annotations
from maskzoo.dataset_checks.table_checks import check_classes
from maskzoo.dataset_checks.whole_repairs import is_size, repair_whole, rescale
from maskzoo.datasets.coco_reader import TABLES, find_first
from maskzoo.datasets.coco_writer import encode_json
from maskzoo.errors import MaskzooError
from maskzoo.faults import NOUNS, Fault
from maskzoo.system.files import make_folder, write_file

__all__ = ["fix_splits"]

Row = dict[str, Any]
WholeRepair = Callable[[dict[str, list[Any]]], tuple[list[Any], Counter[Change]]]
ORDER = {code: place for place, code in enumerate(REPAIRS)}
FROM_FILES = frozenset({"missing-image", "unreadable-image", "size-differs", "size-rotated"})
LARGEST_COMMON = 2**53  # every program's JSON can hold whole numbers below
ROUNDS = 5  # a repair may bring up another fault; from then on, a row that is still at fault is dropped


def fix_splits(
    report: DatasetReport, contents: Contents, files: Mapping[str, Path], *, crowds: bool = False
) -> dict[str, Fixed]:
    """Write a cleaned copy of each split's file to `files`; rows without a fault stay as they are.

    With `crowds`, crowds are taken as objects.

    Raises MaskzooError if a file has no list of images, annotations or categories, if nothing would be left of it, or
    if one cannot be written.
    """
    scaled = {split: rescale(contents[split], report, split) for split in report.splits}
    cleaners = {split: _Cleaner(scaled[split][0], facts.file, split) for split, facts in report.splits.items()}
    for split, cleaner in cleaners.items():
        judgements = [one for one in report.judgements if one.split in ("", split)]
        repair = partial(
            repair_whole, judgements=judgements, sizes_known=report.splits[split].folder is not None, crowds=crowds
        )
        faults = [fault for fault in report.problems if fault.split == split]
        resized = cleaner.tables["images"]  # those at the scale of their files are sound
        cleaner.clean(
            [one for one in faults if one.code != "size-differs" or not is_size(resized[one.place or 0], one)], repair
        )
        cleaner.changes += scaled[split][1]
    _share_categories(cleaners)
    left = [fault for fault in report.problems if fault.code == "no-images-folder"]
    sifted = {}
    for split, cleaner in cleaners.items():
        found, sifted[split] = check_annotations(cleaner.tables, str(cleaner.file), split)
        left += found
    left = [fault for fault in [*left, *check_classes(sifted)] if CODES[fault.code].severity == "error"]
    texts = {split: encode_json({**contents[split], **cleaner.tables}, files[split]) for split, cleaner in cleaners.items()}
    for split, text in texts.items():
        make_folder(files[split].parent)
        write_file(files[split], text)
    return {
        split: Fixed(files[split], cleaner.changes, tuple(fault for fault in left if fault.split == split))
        for split, cleaner in cleaners.items()
    }


class _Cleaner:
    """The three tables of a file, replaced round by round; rows are never changed in place."""

    def __init__(self, content: Mapping[str, Any], file: Path, split: str) -> None:
        for name in TABLES:
            if not isinstance(content.get(name), list) or (name == "categories" and not content[name]):
                raise MaskzooError(
                    f"{file}: {name} is missing, empty or no list, which nothing can make up for; export the file again"
                )
        self.file, self.split = file, split
        self.tables: dict[str, list[Any]] = {name: content[name] for name in TABLES}
        self.changes: Counter[Change] = Counter()
        self._taken: set[int] = set()
        self._last_id = 0

    def clean(self, faults: Sequence[Fault], repair_all: WholeRepair) -> None:
        """Clean all of it; `faults` are those of the check, for what is wrong with image files is not seen in the tables.

        `repair_all` repairs what all annotations have in common.

        Raises MaskzooError if nothing would be left.
        """
        objects = bool(self.tables["annotations"])
        self._rewrite_numbers()
        self._repair([fault for fault in faults if fault.code in FROM_FILES])
        self.tables["annotations"], changes = repair_all(self.tables)
        self.changes += changes
        for number in range(2 * ROUNDS):
            found, _ = check_annotations(self.tables, str(self.file), self.split)
            last = number >= ROUNDS
            errors = [fault for fault in found if CODES[fault.code].severity == "error" and fault.table]
            wanted = errors if last else [fault for fault in found if fault.code in REPAIRS]
            if not wanted:
                break
            self._repair(wanted, last=last)
        if not self.tables["images"] or not self.tables["categories"] or (objects and not self.tables["annotations"]):
            empty = ", ".join(name for name in TABLES if not self.tables[name])
            raise MaskzooError(f"{self.file}: nothing would be left of {empty} in a cleaned file; export the data set again")

    def _rewrite_numbers(self) -> None:
        """Rewrite whole numbers that are written otherwise, so that ids mean the same everywhere."""
        for table, rows in self.tables.items():
            changed = rewrite_numbers(table, rows)
            self.tables[table] = [changed.get(place, row) for place, row in enumerate(rows)]
            noun = "object" if table == "annotations" else NOUNS[table]
            why = f"{noun} with a whole number written as text or with a point"
            self.changes += Counter({Change(table, why, "rewritten"): len(changed)})
        self._taken = set(find_first(self.tables["annotations"]))
        self._last_id = max((number for number in self._taken if 0 <= number < LARGEST_COMMON), default=0)

    def _repair(self, faults: Sequence[Fault], *, last: bool = False) -> None:
        """Repair or drop each row that has a fault; with `last`, drop it in any case."""
        first = {name: find_first(rows) for name, rows in self.tables.items()}
        codes: dict[tuple[str, int], dict[str, None]] = defaultdict(dict)  # in the order in which they were found
        for fault in [*faults, *self._name_firsts(faults, first)]:
            if fault.place is not None:
                codes[fault.table, fault.place][fault.code] = None
        outlines = {} if last else self._measure_outlines((place for table, place in codes if table == "annotations"), first)
        objects = self._group_objects() if any("size-rotated" in found for found in codes.values()) else {}
        changed: dict[str, dict[int, Row | None]] = {name: {} for name in TABLES}
        for (table, place), found in codes.items():
            row = self.tables[table][place]
            number = row.get("id") if isinstance(row, dict) and type(row.get("id")) is int else None
            before = place if number is None else first[table][number]
            copy = before != place and row == self.tables[table][before]
            evidence = Evidence(table, outlines.get(place), objects.get(number, []), copy, self._find_new_id)
            for code in [next(iter(found))] if last else sorted(found, key=ORDER.__getitem__):
                row, action, count = (drop if last else REPAIRS[code])(row, evidence)
                self.changes += Counter({Change(table, code, action): count})
                if row is None:
                    break
            changed[table][place] = row
        for table in ("annotations", "images", "categories"):  # the later ones drop objects: places would be others
            self._replace(table, changed[table])

    def _name_firsts(self, faults: Iterable[Fault], first: Mapping[str, Mapping[int, int]]) -> Iterable[Fault]:
        """Yield for two rows with one id that differ a fault of the first too: nobody knows which one objects mean."""
        for fault in faults:
            if fault.code in ("duplicate-image-id", "duplicate-category-id") and fault.place is not None:
                row = self.tables[fault.table][fault.place]
                place = first[fault.table][row["id"]]
                before = self.tables[fault.table][place]
                if row.get("name") != before.get("name") if fault.table == "categories" else row != before:
                    yield replace(fault, place=place)

    def _measure_outlines(self, places: Iterable[int], first: Mapping[str, Mapping[int, int]]) -> dict[int, Outline]:
        outlines = {}
        for place in places:
            row = self.tables["annotations"][place]
            image = row.get("image_id") if isinstance(row, dict) else None
            if type(image) is int and image in first["images"]:
                outlines[place] = row.get("segmentation"), self.tables["images"][first["images"][image]]
        return measure_sound(outlines)

    def _group_objects(self) -> dict[Any, list[Row]]:
        objects = defaultdict(list)
        for row in self.tables["annotations"]:
            if isinstance(row, dict) and type(row.get("image_id")) is int:
                objects[row["image_id"]].append(row)
        return objects

    def _replace(self, table: str, changed: Mapping[int, Row | None]) -> None:
        """Put the changed rows in place; what belonged to a dropped image or category goes too."""
        before = self.tables[table]
        gone = {place for place, row in changed.items() if row is None}
        self.tables[table] = [changed.get(place, row) for place, row in enumerate(before) if place not in gone]
        if table == "annotations":
            return
        lost = find_first([before[place] for place in gone]).keys() - find_first(self.tables[table]).keys()
        name, objects = f"{NOUNS[table]}_id", self.tables["annotations"]
        kept = [row for row in objects if not (isinstance(row, dict) and type(row.get(name)) is int and row[name] in lost)]
        dropped = Change("annotations", f"{NOUNS[table]} that was dropped", "object of it dropped")
        self.changes += Counter({dropped: len(objects) - len(kept)})
        self.tables["annotations"] = kept

    def _find_new_id(self) -> int:
        self._last_id += 1
        while self._last_id in self._taken:
            self._last_id += 1
        return self._last_id


def _share_categories(cleaners: Mapping[str, _Cleaner]) -> None:
    """Add to each split the categories that only others have, unless an id or a name means something else there."""
    own = {split: {row["id"]: row["name"] for row in one.tables["categories"]} for split, one in cleaners.items()}
    known: dict[int, tuple[Row, str]] = {}  # and the split that it is from
    for split, cleaner in cleaners.items():
        for row in cleaner.tables["categories"]:
            known.setdefault(row["id"], (row, split))
    for split, cleaner in cleaners.items():
        if any(known[number][0]["name"] != name for number, name in own[split].items()):
            continue
        missing = []
        for number, (row, origin) in known.items():
            namesakes = {other for other, name in own[split].items() if name == row["name"]}
            if number not in own[split] and namesakes <= own[origin].keys():
                missing.append(row)
        cleaner.tables["categories"] = [*cleaner.tables["categories"], *missing]
        change = Change("categories", "classes-differ", "category of another split added")
        cleaner.changes += Counter({change: len(missing)})
