"""What a data set, or a split, looks like as a whole: the table of what can be judged, and a judgement as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maskzoo.dataset_checks.codes import Severity
from maskzoo.errors import list_some
from maskzoo.faults import Fault, Words, make_printable, quote

__all__ = ["LOOKS", "Judgement", "Look"]


@dataclass(frozen=True, slots=True)
class Look:
    """One kind of judgement, as texts into which its evidence is put.

    `title` is a few words for a table, `sentence` the evidence in numbers, `look` what that looks like, `remedy` what
    `--fix` does about it, or what a person does. `symptoms` are the codes of faults that only follow from it.
    """

    title: str
    sentence: str
    look: str
    remedy: str
    symptoms: frozenset[str] = frozenset()


LOOKS: dict[str, Look] = {
    "all-crowds": Look(
        "objects that are all crowds",
        "all {objects} annotations are crowds (iscrowd 1), {runs} of them with run lengths of their own",
        "objects that CVAT's brush drew: it writes each one as a crowd",
        "training and evaluation leave crowds out, so nothing is left",
        frozenset({"crowd", "crowd-polygons", "nothing-to-learn"}),
    ),
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """One thing that is wrong, or looks so, with a data set or a split as a whole.

    Attributes:
        code: what kind of judgement it is; `LOOKS` has the words for each.
        certain: whether nothing else can be meant: then it is an error, else a warning.
        evidence: the numbers and names that it rests on, by the names that the words use.
        split: `train`, `val` or `test`; empty if it is about the whole set.
        examples: some of the rows that show it.
    """

    code: str
    certain: bool
    evidence: Mapping[str, Any]
    split: str = ""
    examples: tuple[Fault, ...] = field(default=())

    @property
    def severity(self) -> Severity:
        """How bad it is: `error` or `warning`."""
        return "error" if self.certain else "warning"

    def __str__(self) -> str:
        return f"{self.split or 'the whole set'}: {self.describe()}; it looks like {self.name_look()}"

    def describe(self) -> str:
        """Return the evidence as a sentence."""
        return self._fill(LOOKS[self.code].sentence)

    def name_look(self) -> str:
        """Return what it looks like, as a noun."""
        return self._fill(LOOKS[self.code].look)

    def advise(self) -> str:
        """Return what `--fix` does about it, or what a person can do."""
        return self._fill(LOOKS[self.code].remedy)

    def explains(self, fault: Fault) -> bool:
        """Say whether a fault only follows from this judgement."""
        return self.certain and fault.code in LOOKS[self.code].symptoms and self.split in ("", fault.split)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "code": self.code,
            "severity": self.severity,
            "split": self.split,
            "evidence": {name: _to_json(value) for name, value in self.evidence.items()},
            "sentence": self.describe(),
            "looks_like": self.name_look(),
            "advice": self.advise(),
            "examples": [example.to_dict() for example in self.examples],
        }

    def _fill(self, text: str) -> str:
        return make_printable(text.format(**{name: _show(value) for name, value in self.evidence.items()}))


def _show(value: Any) -> str:
    """Return a piece of evidence in a sentence: the data's own texts stand in quotes."""
    if isinstance(value, list | tuple):
        return list_some(map(_show, value), 5)
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
    return str(value) if isinstance(value, Words) else quote(value)


def _to_json(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_to_json(one) for one in value]
    return str(value) if isinstance(value, Words) else value
