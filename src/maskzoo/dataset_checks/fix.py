"""Clean the annotation files of a checked data set: repair what leaves nothing to guess, drop the rest, count both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskzoo.dataset_checks.annotation_checks import measure_objects
from maskzoo.dataset_checks.codes import CODES, rank
from maskzoo.dataset_checks.image_checks import Looks, look_at_all
from maskzoo.dataset_checks.judgement import Judgement
from maskzoo.dataset_checks.judgements import judge_splits
from maskzoo.dataset_checks.repairs import REPAIRS, Evidence, Outline, drop, measure_sound
from maskzoo.dataset_checks.report import Change, DatasetReport, Fixed, SplitFacts
from maskzoo.dataset_checks.rewrites import LARGEST_COMMON, Row, rewrite_tables
from maskzoo.dataset_checks.run_rewrites import rewrite_runs
from maskzoo.dataset_checks.split_checks import Contents, check_annotations, check_contents
from maskzoo.dataset_checks.table_checks import find_spelt
from maskzoo.dataset_checks.tally import count_rows
from maskzoo.dataset_checks.whole_repairs import repair_whole, rescale
from maskzoo.datasets.coco_reader import TABLES, find_first, sift
from maskzoo.datasets.coco_writer import encode_json
from maskzoo.datasets.image_places import ImagePlaces
from maskzoo.faults import NOUNS, Fault
from maskzoo.progress import OnProgress, say_nothing
from maskzoo.system.files import make_folder, write_file

__all__ = ["fix_splits"]

ORDER = {code: place for place, code in enumerate(REPAIRS)}
ROUNDS = 5  # a repair may bring up another fault; from then on, a row that is still at fault is dropped


def fix_splits(
    report: DatasetReport,
    contents: Contents,
    files: Mapping[str, Path],
    *,
    crowds: bool = False,
    duplicates: bool = True,
    looks: Looks | None = None,
    on_progress: OnProgress = say_nothing,
) -> tuple[dict[str, Fixed], DatasetReport | None]:
    """Write a cleaned copy of each split's file to `files` and check it; rows without a fault stay as they are.

    A split of which nothing would be left is not written. Returns what was made of each split, and the report about
    the written files, None if there are none. With `crowds`, crowds are taken as objects. `looks` has what was read of
    images already.

    Raises MaskzooError if a file cannot be written.
    """
    looks = {} if looks is None else looks
    cleaners = _clean(report, contents, looks, crowds)
    whole = {split: cleaner for split, cleaner in cleaners.items() if not cleaner.reason}
    _share_categories(whole)
    fixed = {split: Fixed(files[split], one.changes, (), {}, one.reason) for split, one in cleaners.items() if one.reason}
    if not whole:
        return fixed, None
    cleaned: Contents = {split: {**contents[split], **cleaner.tables} for split, cleaner in whole.items()}
    texts = {split: encode_json(content, files[split]) for split, content in cleaned.items()}
    for split, text in texts.items():
        make_folder(files[split].parent)
        write_file(files[split], text)
    places = {split: ImagePlaces(known.folder, known.bounds) for split in whole if (known := report.splits[split].places)}
    options: dict[str, Any] = {"duplicates": duplicates, "on_progress": on_progress}
    after = check_contents(files, cleaned, looks=looks, places=places, **options)
    nowhere = [fault for fault in report.problems if fault.code == "no-images-folder" and fault.split in whole]
    after = replace(after, problems=tuple(sorted([*nowhere, *after.problems], key=rank)))
    for split, cleaner in whole.items():
        left = [one for one in after.problems if one.split == split and CODES[one.code].severity == "error"]
        tallies = count_rows(contents[split], report.problems, cleaned[split], after.problems, cleaner.origins, split)
        fixed[split] = Fixed(files[split], cleaner.changes, tuple(left), tallies)
    return {split: fixed[split] for split in cleaners}, after


def _clean(report: DatasetReport, contents: Contents, looks: Looks, crowds: bool) -> dict[str, _Cleaner]:
    """Clean the tables of each split."""
    cleaners = {}
    for split, facts in report.splits.items():
        scaled, changes = rescale(contents[split], report, split)
        cleaners[split] = _Cleaner(scaled, facts, split)
        cleaners[split].changes += changes
        cleaners[split].prepare(looks)
    judgements = report.judgements
    if any(cleaner.changes for cleaner in cleaners.values()):  # what could not be read before can be judged now
        parts = {split: sift(one.tables, str(one.file), split) for split, one in cleaners.items() if not one.reason}
        judgements = judge_splits({split: measure_objects(part) for split, part in parts.items()})
    for split, cleaner in cleaners.items():
        cleaner.clean([one for one in judgements if one.split in ("", split)], crowds)
    return cleaners


class _Cleaner:
    """The three tables of a file, replaced round by round; rows are never changed in place.

    `origins` say at which place of the file each row stood, `reason` why there is nothing to write, if that is so.
    """

    def __init__(self, content: Mapping[str, Any], facts: SplitFacts, split: str) -> None:
        self.file, self.split, self.places = facts.file, split, facts.places
        self.tables = {name: content[name] if isinstance(content.get(name), list) else [] for name in TABLES}
        self.origins = {name: list(range(len(rows))) for name, rows in self.tables.items()}
        self.changes: Counter[Change] = Counter()
        bad = [
            name for name in TABLES if not isinstance(content.get(name), list) or (name == "categories" and not content[name])
        ]
        self.reason = f"{', '.join(bad)} missing, empty or no list: export the file again" if bad else ""
        self._sizes: dict[int, tuple[int, int]] = {}  # height and width of files, by the images' places
        self._taken: set[int] = set()
        self._last_id = 0
        self._objects = bool(self.tables["annotations"])

    def prepare(self, looks: Looks) -> None:
        """Write what is only written otherwise, and what the files of the images say, of which `looks` has some already."""
        if self.reason:
            return
        changed, changes = rewrite_tables(self.tables)
        self.changes += changes
        for table in TABLES:
            self._put(table, changed[table])
        self._taken = set(find_first(self.tables["annotations"]))
        self._last_id = max((number for number in self._taken if 0 <= number < LARGEST_COMMON), default=0)
        faults = self._look_at_files(looks)
        runs = rewrite_runs(self.tables, self._sizes)
        self._put("annotations", runs)
        self.changes += Counter({Change("annotations", "bad-runs", "written as COCO has them"): len(runs)})
        self._repair(faults)
        self._sizes = {}

    def clean(self, judgements: Sequence[Judgement], crowds: bool) -> None:
        """Repair what all annotations have in common, then row by row; with `crowds`, crowds become objects."""
        if self.reason:
            return
        known = self.places is not None
        self.tables["annotations"], changes = repair_whole(self.tables, judgements, sizes_known=known, crowds=crowds)
        self.changes += changes
        for number in range(2 * ROUNDS):
            found, _ = check_annotations(self.tables, str(self.file), self.split)
            last = number >= ROUNDS
            errors = [fault for fault in found if CODES[fault.code].severity == "error" and fault.table]
            wanted = errors if last else [fault for fault in found if fault.code in REPAIRS]
            if not wanted:
                break
            self._repair(wanted, last=last)
        empty = [name for name in TABLES if not self.tables[name] and (self._objects or name != "annotations")]
        self.reason = f"nothing would be left of {', '.join(empty)}: export the data set again" if empty else ""

    def _look_at_files(self, looks: Looks) -> list[Fault]:
        """Write the names of files that were found otherwise, and return what is wrong with the files."""
        if self.places is None:
            return []
        faults: list[Fault] = []
        named: dict[int, Row | None] = {}
        rows = {place: row for place, row in enumerate(self.tables["images"]) if isinstance(row, dict)}
        names = {place: name for place, row in rows.items() if isinstance(name := row.get("file_name"), str) and name}
        found = look_at_all([self.places.path(name) for name in names.values()], looks)
        for (place, name), look in zip(names.items(), found, strict=True):
            row = rows[place]
            if (match := self.places.matches.get(name)) is not None:
                named[place] = {**row, "file_name": match.path}
                why = "misnamed-image" if match.how else "image of another folder"
                self.changes[Change("images", why, "name of its file written")] += 1
            if look.size is not None:
                self._sizes[place] = look.size
            said: Any = (row.get("height"), row.get("width"))
            code = look.compare(said) if all(type(side) is int and side > 0 for side in said) else "bad-size"
            if code is not None:
                code = code if look.size is not None else look.compare((0, 0)) or code
                faults.append(Fault(code, str(self.file), "", "", "", table="images", place=place))
        self._put("images", named)
        return faults

    def _put(self, table: str, changed: Mapping[int, Row | None]) -> None:
        """Put changed rows in place; those that are None go."""
        kept = [place for place in range(len(self.tables[table])) if changed.get(place, self) is not None]
        self.tables[table] = [changed.get(place, self.tables[table][place]) for place in kept]
        self.origins[table] = [self.origins[table][place] for place in kept]

    def _repair(self, faults: Sequence[Fault], *, last: bool = False) -> None:
        """Repair or drop each row that has a fault; with `last`, drop it in any case."""
        first = {name: find_first(rows) for name, rows in self.tables.items()}
        codes: dict[tuple[str, int], dict[str, None]] = defaultdict(dict)  # in the order in which they were found
        for fault in [*faults, *self._name_firsts(faults, first)]:
            if fault.place is not None:
                codes[fault.table, fault.place][fault.code] = None
        outlines = {} if last else self._measure_outlines((place for table, place in codes if table == "annotations"), first)
        objects = self._group_objects() if any(table == "images" for table, _ in codes) else {}
        changed: dict[str, dict[int, Row | None]] = {name: {} for name in TABLES}
        for (table, place), found in codes.items():
            row = self.tables[table][place]
            number = row.get("id") if isinstance(row, dict) and type(row.get("id")) is int else None
            before = place if number is None else first[table][number]
            copy = before != place and row == self.tables[table][before]
            size = self._sizes.get(place) if table == "images" else None
            evidence = Evidence(table, outlines.get(place), objects.get(number, []), size, copy, self._find_new_id)
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
        self._put(table, changed)
        if table == "annotations":
            return
        gone = find_first([before[place] for place, row in changed.items() if row is None])
        lost = gone.keys() - find_first(self.tables[table]).keys()
        name, objects = f"{NOUNS[table]}_id", self.tables["annotations"]
        orphans = [
            place
            for place, row in enumerate(objects)
            if isinstance(row, dict) and type(row.get(name)) is int and row[name] in lost
        ]
        dropped = Change("annotations", f"{NOUNS[table]} that was dropped", "object of it dropped")
        self.changes += Counter({dropped: len(orphans)})
        self._put("annotations", dict.fromkeys(orphans))

    def _find_new_id(self) -> int:
        self._last_id += 1
        while self._last_id in self._taken:
            self._last_id += 1
        return self._last_id


def _spell_alike(cleaners: Mapping[str, _Cleaner]) -> None:
    """Name classes as the first split does where they are only spelt otherwise."""
    names = [{row["id"]: row["name"] for row in one.tables["categories"]} for one in cleaners.values()]
    for cleaner, own in zip(cleaners.values(), names, strict=True):
        spelt = find_spelt(names[0], own)
        rows = cleaner.tables["categories"]
        cleaner.tables["categories"] = [row | {"name": names[0][row["id"]]} if row["id"] in spelt else row for row in rows]
        cleaner.changes += Counter({Change("categories", "classes-spelt", "name written as in the first split"): len(spelt)})


def _share_categories(cleaners: Mapping[str, _Cleaner]) -> None:
    """Add to each split the categories that only others have, unless an id or a name means something else there."""
    _spell_alike(cleaners)
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
