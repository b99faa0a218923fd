"""Check a data set as a whole: every split's annotations and images, all problems at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskzoo.dataset_checks.annotation_checks import check_classes, check_rows
from maskzoo.dataset_checks.image_checks import ImageFiles, Progress, check_images, find_folder
from maskzoo.dataset_checks.problems import RANK, SEVERITIES, Problem
from maskzoo.dataset_checks.sound_rows import SoundRows, check_root, keep_sound_rows
from maskzoo.datasets.annotations import find_trainable
from maskzoo.datasets.coco_reader import AnnotationsError, Fault, read_json
from maskzoo.errors import SourceError

__all__ = ["DatasetReport", "SplitFacts", "check_annotations", "check_data"]


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """A split that was checked: its file and what that holds, its images' folder if found, how many rows it has."""

    file: Path
    folder: Path | None
    images: int
    objects: int
    categories: int
    content: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """All that was found, errors first, kind by kind. A split whose file could not be read is not in `splits`."""

    splits: dict[str, SplitFacts]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        return sum(problem.severity == "error" for problem in self.problems)

    def count(self) -> dict[str, int]:
        """Return how many problems there are of each kind that was found."""
        return dict(Counter(problem.kind for problem in self.problems))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        severities = Counter(problem.severity for problem in self.problems)
        return {
            "splits": {
                split: {
                    "file": str(facts.file),
                    "folder": None if facts.folder is None else str(facts.folder),
                    "images": facts.images,
                    "objects": facts.objects,
                    "categories": facts.categories,
                }
                for split, facts in self.splits.items()
            },
            **{f"{severity}s": severities[severity] for severity in SEVERITIES},
            "counts": self.count(),
            "problems": [problem.to_dict() for problem in self.problems],
        }


def check_data(
    splits: Mapping[str, Path], *, images: Path | None = None, duplicates: bool = True, progress: Progress | None = None
) -> DatasetReport:
    """Check the annotation file of each split, the images of all, and what the splits have to do with each other.

    The images are looked for near each file, or in `images` or its folder for the split. With `duplicates`, equal
    and nearly equal images are looked for. `progress` gets a stage, how much of it is done, and of how much.

    A fault in the data is a problem of the report. Raises AnnotationsError if no split's file can be read as COCO
    instances, ConfigError if `images` is no folder.
    """
    problems: list[Problem] = []
    faults: list[Fault] = []
    contents: dict[str, dict[str, Any]] = {}
    sifted: dict[str, SoundRows] = {}
    for number, (split, file) in enumerate(splits.items()):
        if progress is not None:
            progress("Reading annotations", number, len(splits))
        try:
            contents[split] = check_root(read_json(file), file)
            found, sifted[split] = check_annotations(contents[split], split, str(file))
            problems += found
        except AnnotationsError as error:
            faults += error.faults
            problems += [_to_problem(fault, split) for fault in error.faults]
    if not sifted:
        raise AnnotationsError(faults)
    unsure = {p.split for p in problems if p.severity == "error" and p.table in ("", "categories")}
    classes = {split: (str(splits[split]), part.packed.classes) for split, part in sifted.items() if split not in unsure}
    problems += check_classes(classes) if classes else ()
    problems += _find_empty(sifted)
    files, lost = _find_folders(sifted, images)
    problems += [*lost, *check_images(files, duplicates=duplicates, progress=progress)]
    problems.sort(key=lambda problem: RANK[problem.kind])  # stable: within a kind as found
    facts = {}
    for split, part in sifted.items():
        counts = {name: len(table) for name, table in part.rows.tables.items()}
        folder = files[split].folder if split in files else None
        facts[split] = SplitFacts(
            splits[split], folder, counts["images"], counts["annotations"], counts["categories"], contents[split]
        )
    return DatasetReport(facts, tuple(problems))


def check_annotations(data: Mapping[str, Any], split: str, file: str) -> tuple[list[Problem], SoundRows]:
    """Check the content of one file without a look at its images; also return its sound rows."""
    sifted = keep_sound_rows(data, split, file)
    return [*sifted.problems, *check_rows(sifted, split)], sifted


def _to_problem(fault: Fault, split: str) -> Problem:
    return Problem("unreadable-file", split, fault.file, fault.row, fault.field, fault.found, fault.expected)


def _find_empty(sifted: Mapping[str, SoundRows]) -> Iterator[Problem]:
    for split, part in sifted.items():
        if not find_trainable(part.packed).any():
            found = f"{len(part.rows.tables['annotations'])} annotations, none that trains"
            yield Problem("nothing-to-learn", split, part.packed.source, "", "annotations", found, "one object at least")


def _find_folders(sifted: Mapping[str, SoundRows], given: Path | None) -> tuple[dict[str, ImageFiles], list[Problem]]:
    files, problems = {}, []
    for split, part in sifted.items():
        packed = part.packed
        if not len(packed):
            continue
        try:
            files[split] = ImageFiles(split, part, find_folder(packed, split, given))
        except SourceError as error:
            found = str(error).removeprefix(f"{packed.source}: ").split("; give")[0]
            problems.append(Problem("no-images-folder", split, packed.source, "", "images", found, "the folder of the images"))
    return files, problems
