"""A fault in a file of data, as data; the sentence about it is made when it is shown, by `str(fault)` alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Fault", "Words", "make_printable", "quote"]

LONGEST = 120  # characters of a value in a sentence
NOUNS = {"images": "image", "annotations": "annotation", "categories": "category", "results": "row"}


class Words:
    """Words of ours around values of the data: `Words("{} again", 7)`. The values are quoted when it is shown."""

    __slots__ = ("text", "values")

    def __init__(self, text: str, *values: Any) -> None:
        self.text, self.values = text, values

    def __str__(self) -> str:
        if not self.values:  # the text may be another error's: a brace means nothing then
            return make_printable(self.text)
        return make_printable(self.text.format(*(one if _is_short_number(one) else quote(one) for one in self.values)))


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, or looks so, in a file of annotations or results.

    Attributes:
        code: what kind of fault it is; `dataset_checks.codes` has the severity, a title and advice for each.
        file: the file, as the user named it.
        table: `images`, `annotations`, `categories` or `results`; empty if it is about the file as a whole.
        row: the row's id; None if it has no id, or none that can be told from another row's.
        place: the row's place in its table, from 0 on.
        field: the field of the row, or what else was looked at; `part` is a polygon's place in a segmentation.
        found: the value in the file as it is, or `Words` about it.
        expected: what should stand there.
        split: `train`, `val` or `test` where a data set is judged as a whole.
        image: the id of the image that it is about.
        like: split and id of the other image of a pair.
    """

    code: str
    file: str
    field: str
    found: Any
    expected: str | Words
    table: str = ""
    row: int | None = None
    place: int | None = None
    part: int | None = None
    split: str = ""
    image: int | None = None
    like: tuple[str, int] | None = None

    def __str__(self) -> str:
        parts = [self.file, self.name_row(), self.name_field(), f"found {self.describe_found()}; expected {self.expected}"]
        return make_printable(": ".join(filter(None, parts)))

    def name_row(self) -> str:
        """Return the row as a reader finds it: `annotation 7`, or `annotation at place 3` where its id tells nothing."""
        if not self.table:
            return ""
        return f"{NOUNS[self.table]} {f'at place {self.place}' if self.row is None else self.row}"

    def name_field(self) -> str:
        """Return the field, such as `bbox` or `segmentation[1]`."""
        return self.field if self.part is None else f"{self.field}[{self.part}]"

    def describe_found(self) -> str:
        """Return what was found as a short text."""
        return quote(self.found)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what was found is a text, for not every value that is found is one of JSON."""
        return {
            "code": self.code,
            "split": self.split,
            "file": self.file,
            "table": self.table,
            "row": self.row,
            "place": self.place,
            "field": self.name_field(),
            "found": self.describe_found(),
            "expected": str(self.expected),
            "image_id": self.image,
            "like": self.like and list(self.like),
        }


def quote(value: object) -> str:
    """Return a value of a file as a short text without control characters; texts stand in quotes, words of ours do not."""
    if isinstance(value, Words):
        return str(value)
    if isinstance(value, list | str):
        value = value[:LONGEST]  # all of a long list would be written out to be cut off again
    try:
        text = repr(value)
    except RecursionError:
        return "a value nested too deep to be shown"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def make_printable(text: str) -> str:
    """Replace what a terminal or a page should not see (control characters, half characters) by its escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def _is_short_number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)
