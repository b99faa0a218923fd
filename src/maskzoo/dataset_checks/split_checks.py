"""Check every split's annotations and images, and what the splits have to do with each other: all faults at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskzoo.dataset_checks import annotation_checks, table_checks
from maskzoo.dataset_checks.codes import CODES, rank
from maskzoo.dataset_checks.image_checks import ImageFiles, Looks, check_images
from maskzoo.dataset_checks.judgements import judge_splits
from maskzoo.dataset_checks.report import DatasetReport, SplitFacts
from maskzoo.dataset_checks.table_forms import list_tables
from maskzoo.datasets.class_edits import ClassEdits, edit_contents
from maskzoo.datasets.coco_reader import read_json, sift
from maskzoo.datasets.image_folders import look_for_images
from maskzoo.datasets.image_places import ImagePlaces, find_places
from maskzoo.datasets.sifted import Sifted
from maskzoo.errors import AnnotationsError
from maskzoo.faults import Fault, Words
from maskzoo.images.bounds import Bounds
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing

__all__ = ["Contents", "check_annotations", "check_contents", "check_splits"]

Contents = dict[str, dict[str, Any]]  # what each split's file holds


def check_splits(
    splits: Mapping[str, Path],
    *,
    images: Path | None = None,
    edits: ClassEdits | None = None,
    duplicates: bool = True,
    looks: Looks | None = None,
    on_progress: OnProgress = say_nothing,
) -> tuple[DatasetReport, Contents]:
    """Check the annotation file of each split and the images of all; see `maskzoo.check_dataset`.

    Returns the report, and the content of each file that could be read; `looks` is filled with what was read of images.

    Raises AnnotationsError if no split's file can be read as COCO instances, ConfigError if `images` is not a folder.
    """
    faults: list[Fault] = []
    contents: Contents = {}
    for number, (split, file) in enumerate(splits.items()):
        on_progress(ProgressEvent("Reading annotations", number, len(splits), "files"))
        try:
            contents[split], odd = list_tables(read_json(file))
            expected = "an object with images, annotations and categories, each a list of rows"
            faults += [Fault("odd-table", str(file), field, Words(form), expected, split=split) for field, form in odd]
        except AnnotationsError as error:
            faults += [replace(fault, split=split) for fault in error.faults]
    if edits is not None:
        contents = edit_contents(contents, edits, on_progress)
    options: dict[str, Any] = {"duplicates": duplicates, "on_progress": on_progress}
    report = check_contents(splits, contents, images=images, looks={} if looks is None else looks, faults=faults, **options)
    return report, {split: contents[split] for split in report.splits}


def check_contents(
    files: Mapping[str, Path],
    contents: Contents,
    *,
    looks: Looks,
    images: Path | None = None,
    places: Mapping[str, ImagePlaces] | None = None,
    duplicates: bool = True,
    faults: Iterable[Fault] = (),
    on_progress: OnProgress = say_nothing,
) -> DatasetReport:
    """Check what the files of a data set hold, as `check_splits`; `places`, if given, are those of each split's images."""
    faults = [*faults]
    objects: dict[str, annotation_checks.Objects] = {}
    for split, content in contents.items():
        try:
            objects[split] = annotation_checks.measure_objects(sift(content, str(files[split]), split))
            faults += _check_objects(objects[split])
        except AnnotationsError as error:
            faults += [replace(fault, split=split) for fault in error.faults]
    if not objects:
        raise AnnotationsError(faults)
    sifted = {split: part.sifted for split, part in objects.items()}
    unsure = {f.split for f in faults if CODES[f.code].severity == "error" and f.table in ("", "categories")}
    faults += table_checks.check_classes({split: part for split, part in sifted.items() if split not in unsure})
    for part in sifted.values():
        faults += table_checks.check_trainable(part)
    if places is None:
        found = _find_places(sifted, images)
        faults += [place for place in found.values() if isinstance(place, Fault)]
        places = {split: place for split, place in found.items() if isinstance(place, ImagePlaces)}
    there = {split: ImageFiles(sifted[split], place) for split, place in places.items()}
    faults += check_images(there, duplicates=duplicates, looks=looks, on_progress=on_progress)
    problems = tuple(sorted(faults, key=rank))  # stable: within a code as found
    facts = {split: SplitFacts(files[split], *_count(part), places.get(split)) for split, part in sifted.items()}
    return DatasetReport(facts, problems, judgements=judge_splits(objects, problems))


def _count(part: Sifted) -> tuple[int, int, int]:
    return len(part.tables["images"]), len(part.tables["annotations"]), len(part.tables["categories"])


def _find_places(parts: Mapping[str, Sifted], given: Path | None) -> dict[str, ImagePlaces | Fault]:
    """Return where each split's images are, or that there are none; nothing for a split where no image has a name."""
    names = {split: list(_list_names(part)) for split, part in parts.items()}
    folders = {split: look_for_images(own, parts[split].packed.source, given, split) for split, own in names.items() if own}
    found: dict[str, ImagePlaces | Fault] = {}
    for split, (folder, where) in folders.items():
        others = ((folders[other][0], names[other]) for other in folders if other != split)
        taken = (place / name for place, theirs in others if place is not None for name in theirs)
        places = find_places(names[split], Path(parts[split].packed.source), given, split, folder, taken)
        if places is None and given is not None:  # without any of them too: then each is told as missing
            places = ImagePlaces(given, Bounds([given]))
        nowhere = parts[split].name_file("no-images-folder", "images", Words(where), "the folder of the images")
        found[split] = nowhere if places is None else places
    return found


def _list_names(part: Sifted) -> Iterator[str]:
    for row in part.tables["images"]:
        name = row.get("file_name") if isinstance(row, dict) else None
        if isinstance(name, str) and name:
            yield name


def check_annotations(data: Any, file: str, split: str) -> tuple[list[Fault], Sifted]:
    """Check the content of one file without reading its images; also return its sound rows.

    Raises AnnotationsError if it is not a COCO instances file at all.
    """
    objects = annotation_checks.measure_objects(sift(data, file, split))
    return _check_objects(objects), objects.sifted


def _check_objects(objects: annotation_checks.Objects) -> list[Fault]:
    faults = [*objects.sifted.faults]
    for check in annotation_checks.CHECKS:
        faults += check(objects)
    for check_table in table_checks.CHECKS:
        faults += check_table(objects.sifted)
    return faults
