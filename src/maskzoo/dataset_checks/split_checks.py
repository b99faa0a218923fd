"""Check every split's annotations and images, and what the splits have to do with each other: all faults at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskzoo.dataset_checks import annotation_checks, table_checks
from maskzoo.dataset_checks.codes import CODES, rank
from maskzoo.dataset_checks.image_checks import ImageFiles, check_images
from maskzoo.dataset_checks.report import DatasetReport, SplitFacts
from maskzoo.datasets.annotations import look_for_images
from maskzoo.datasets.class_edits import ClassEdits, edit_contents
from maskzoo.datasets.coco_reader import TABLES, read_json, sift
from maskzoo.datasets.sifted import Sifted
from maskzoo.errors import AnnotationsError
from maskzoo.faults import Fault, Words
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing

__all__ = ["check_annotations", "check_splits"]

Contents = dict[str, dict[str, Any]]  # what each split's file holds


def check_splits(
    splits: Mapping[str, Path],
    *,
    images: Path | None = None,
    edits: ClassEdits | None = None,
    duplicates: bool = True,
    on_progress: OnProgress = say_nothing,
) -> tuple[DatasetReport, Contents]:
    """Check the annotation file of each split and the images of all; see `maskzoo.check_dataset`.

    Returns the report, and the content of each file that could be read.

    Raises AnnotationsError if no split's file can be read as COCO instances, ConfigError if `images` is not a folder.
    """
    faults: list[Fault] = []
    contents: Contents = {}
    sifted: dict[str, Sifted] = {}
    for number, (split, file) in enumerate(splits.items()):
        on_progress(ProgressEvent("Reading annotations", number, len(splits), "files"))
        try:
            contents[split] = read_json(file)
        except AnnotationsError as error:
            faults += [replace(fault, split=split) for fault in error.faults]
    if edits is not None:
        contents = edit_contents(contents, edits, on_progress)
    for split, content in contents.items():
        try:
            found, sifted[split] = check_annotations(content, str(splits[split]), split)
            faults += found
        except AnnotationsError as error:
            faults += [replace(fault, split=split) for fault in error.faults]
    contents = {split: contents[split] for split in sifted}
    if not sifted:
        raise AnnotationsError(faults)
    unsure = {f.split for f in faults if CODES[f.code].severity == "error" and f.table in ("", "categories")}
    faults += table_checks.check_classes({split: part for split, part in sifted.items() if split not in unsure})
    files: dict[str, ImageFiles] = {}
    facts: dict[str, SplitFacts] = {}
    for split, part in sifted.items():
        faults += table_checks.check_trainable(part)
        found_folder = _find_folder(part, images)
        if isinstance(found_folder, Fault):
            faults.append(found_folder)
        elif found_folder is not None:
            files[split] = ImageFiles(part, found_folder)
        numbers = [len(part.tables[name]) for name in TABLES]
        facts[split] = SplitFacts(splits[split], files[split].folder if split in files else None, *numbers)
    faults += check_images(files, duplicates=duplicates, on_progress=on_progress)
    return DatasetReport(facts, tuple(sorted(faults, key=rank))), contents  # stable: within a code as found


def _find_folder(part: Sifted, given: Path | None) -> Path | Fault | None:
    """Return the folder of a split's images, or that there is none; None where no image is sound."""
    if not len(part.packed):
        return None
    folder, where = look_for_images(part.packed, given, part.split)
    folder = folder or given  # a given folder without any of them too: then each is told as missing
    return folder or part.name_file("no-images-folder", "images", Words(where), "the folder of the images")


def check_annotations(data: Any, file: str, split: str) -> tuple[list[Fault], Sifted]:
    """Check the content of one file without reading its images; also return its sound rows.

    Raises AnnotationsError if it is not a COCO instances file at all.
    """
    sifted = sift(data, file, split)
    objects = annotation_checks.measure_objects(sifted)
    faults = [*sifted.faults]
    for check in annotation_checks.CHECKS:
        faults += check(objects)
    for check_table in table_checks.CHECKS:
        faults += check_table(sifted)
    return faults, sifted
