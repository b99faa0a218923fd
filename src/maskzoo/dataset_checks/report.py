"""The result of a check: what was looked at, what is wrong with it, and what was made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maskzoo.dataset_checks.codes import CODES, SEVERITIES, Severity, count_severities
from maskzoo.dataset_checks.judgement import LOOKS, Judgement
from maskzoo.dataset_checks.tally import Tally
from maskzoo.datasets.image_places import ImagePlaces
from maskzoo.faults import Fault

__all__ = ["Change", "DatasetReport", "Fixed", "SplitFacts"]


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """A split that was checked: its file, how many rows it has, and where its images are, if that was found."""

    file: Path
    images: int
    objects: int
    categories: int
    places: ImagePlaces | None = None

    @property
    def folder(self) -> Path | None:
        """The folder of the images."""
        return None if self.places is None else self.places.folder

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        numbers = {"images": self.images, "objects": self.objects, "categories": self.categories}
        return {"file": str(self.file), "folder": self.folder and str(self.folder), **numbers}


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change that a cleaned file has: in which table, why (a fault's code, or words), and what was done."""

    table: str
    why: str
    action: str

    def __str__(self) -> str:
        return f"{CODES[self.why].title if self.why in CODES else self.why}: {self.action}"


@dataclass(frozen=True, slots=True)
class Fixed:
    """A cleaned file: how often each change was made in it, and the errors that are left to a person.

    `rows` say what became of its images and annotations. `reason` says why it was not written; empty if it was.
    """

    file: Path
    changes: Mapping[Change, int]
    left: tuple[Fault, ...]
    rows: Mapping[str, Tally] = field(default_factory=dict)
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        changes = [{**asdict(change), "count": count} for change, count in self.changes.items()]
        return {
            "file": str(self.file),
            "written": not self.reason,
            "reason": self.reason,
            "rows": {table: tally.to_dict() for table, tally in self.rows.items()},
            "changes": changes,
            "left": [_judge(fault) for fault in self.left],
        }


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What `maskzoo.check_dataset` found and made.

    Attributes:
        splits: what was checked; a split whose file could not be read is not among them.
        problems: all that was found, errors first, code by code.
        data: the data set as it was named.
        fixed: the cleaned file of each split, if cleaning was asked for.
        page: the page, if one was asked for.
        judgements: what the set, or a split, looks like as a whole, certain ones first.
        after: what a check of the cleaned files found; None if none was written.
    """

    splits: dict[str, SplitFacts]
    problems: tuple[Fault, ...]
    data: Path | None = None
    fixed: dict[str, Fixed] = field(default_factory=dict)
    page: Path | None = None
    judgements: tuple[Judgement, ...] = ()
    after: DatasetReport | None = None

    @property
    def errors(self) -> int:
        """How many problems and judgements are errors: they would stop training, or make it wrong."""
        return self.count_severities()["error"]

    def count_severities(self) -> Counter[Severity]:
        """Return how many problems and judgements there are of each severity, errors first."""
        found = count_severities(self.problems) + Counter(judgement.severity for judgement in self.judgements)
        return Counter({severity: found[severity] for severity in SEVERITIES if found[severity]})

    def list_unexplained(self) -> list[Fault]:
        """Return the problems that do not only follow from what is certain of the whole."""
        return [fault for fault in self.problems if not any(one.explains(fault) for one in self.judgements)]

    def count(self) -> dict[str, int]:
        """Return how many problems there are of each code that was found."""
        return dict(Counter(fault.code for fault in self.problems))

    def compare(self) -> list[tuple[str, int, int]]:
        """Return the title of each kind of problem and judgement, and how many there were before and after cleaning."""
        parts = (self, self.after or self)
        before, after = (
            Counter([*(one.code for one in each.judgements), *(one.code for one in each.problems)]) for each in parts
        )
        titles = {code: look.title for code, look in LOOKS.items()} | {code: kind.title for code, kind in CODES.items()}
        return [(title, before[code], after[code]) for code, title in titles.items() if before[code] or after[code]]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; each problem with its severity and what to do about it."""
        severities = self.count_severities()
        return {
            "data": self.data and str(self.data),
            "splits": {split: facts.to_dict() for split, facts in self.splits.items()},
            **{f"{severity}s": severities[severity] for severity in SEVERITIES},
            "judgements": [judgement.to_dict() for judgement in self.judgements],
            "counts": self.count(),
            "problems": [_judge(fault) for fault in self.problems],
            "fixed": {split: fixed.to_dict() for split, fixed in self.fixed.items()} or None,
            "after": self.after and self.after.to_dict(),
            "page": self.page and str(self.page),
        }


def _judge(fault: Fault) -> dict[str, Any]:
    code = CODES[fault.code]
    return {"severity": code.severity, **fault.to_dict(), "advice": code.advice}
