"""What can be wrong with a data set: the kinds, how bad each is, and what to do about it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

__all__ = ["KINDS", "RANK", "SEVERITIES", "Kind", "Problem", "Severity", "choose_worst", "make_printable", "quote"]

Severity = Literal["error", "warning", "notice"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "notice")
LONGEST = 120  # characters of a value in a report


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. An error stops training or makes it wrong; a warning is dropped by it, or suspicious."""

    severity: Severity
    title: str
    advice: str


_FIX = "--fix OUT writes a file without it"
_LOOK = "look at it, correct it where it was made"
KINDS: dict[str, Kind] = {
    "unreadable-file": Kind("error", "annotation file that cannot be read", "get or export the file again"),
    "bad-table": Kind("error", "list that is missing or empty", "export the file again as COCO instances"),
    "classes-differ": Kind("error", "classes that disagree between splits", "give all splits the same categories"),
    "nothing-to-learn": Kind("error", "split without an object that trains", "annotate its images, or leave the split out"),
    "bad-row": Kind("error", "row that is no object", _FIX),
    "bad-id": Kind("error", "id that is no whole number", "--fix OUT reads '7' as 7; objects get a new one, other rows go"),
    "duplicate-category-id": Kind("error", "category id given twice", "give each category its own id, or --fix OUT"),
    "duplicate-image-id": Kind("error", "image id given twice", "give each image its own id; --fix OUT drops both"),
    "duplicate-annotation-id": Kind("error", "annotation id given twice", "--fix OUT gives new ids"),
    "bad-category-name": Kind("error", "category without a name", "name it; --fix OUT calls it by its id"),
    "bad-size": Kind("error", "image size that is none", "correct it; --fix OUT reads 640.0 as 640, else drops the image"),
    "bad-file-name": Kind("error", "image without a file name", "name its file, or --fix OUT drops the image"),
    "no-images-folder": Kind("error", "images that were not found at all", "give their folder with --images"),
    "missing-image": Kind("error", "image file that is missing", "put it there, or --fix OUT drops the image"),
    "unreadable-image": Kind("error", "image file that is damaged", "copy it again, or --fix OUT drops the image"),
    "size-differs": Kind("error", "image of another size than the annotations say", f"{_LOOK}, or --fix OUT drops the image"),
    "size-rotated": Kind(
        "error",
        "image whose size was noted before its EXIF rotation",
        "--fix OUT turns the size where the objects fit; look at them with `maskzoo data show`",
    ),
    "unknown-image": Kind("error", "object of an unknown image", _FIX),
    "unknown-category": Kind("error", "object of an unknown category", "add the category, or --fix OUT drops the object"),
    "bad-flag": Kind("error", "iscrowd or ignore that is not 0 or 1", "correct it, or --fix OUT drops the object"),
    "bad-area": Kind("error", "area that is no number", "--fix OUT takes it from the outline"),
    "bad-box": Kind("error", "box that is not four numbers", "--fix OUT takes it from the outline"),
    "far-box": Kind("error", "box far outside the image", "--fix OUT takes it from the outline"),
    "box-outside": Kind("error", "box outside the image", f"{_LOOK}; --fix OUT clips it"),
    "box-elsewhere": Kind("error", "box that does not meet its outline", f"{_LOOK}, or --fix OUT drops the object"),
    "no-outline": Kind("error", "object without an outline", "draw one, or --fix OUT drops the object"),
    "bad-polygon": Kind("error", "polygon with too few points or an odd count", _FIX),
    "bad-coordinates": Kind("error", "polygon with a coordinate that is no finite number", _FIX),
    "far-polygon": Kind("error", "polygon that goes far outside the image", _FIX),
    "outline-outside": Kind("error", "outline wholly outside the image", f"{_LOOK}, or --fix OUT drops the object"),
    "outline-without-area": Kind("error", "outline without area", "draw it, or --fix OUT drops the object"),
    "bad-runs": Kind("error", "run lengths that do not fit the image", "encode the mask again, or --fix OUT drops it"),
    "classes-renumbered": Kind("warning", "classes numbered otherwise than in train", "number them alike; names decide"),
    "same-image-across": Kind("warning", "same image in two splits", "keep it in one: it makes the evaluation too good"),
    "near-duplicate": Kind("warning", "nearly the same image in two splits", "keep it in one, if it is the same"),
    "same-image-twice": Kind("warning", "same image twice in a split", "keep one, with the objects of both"),
    "duplicate-file-name": Kind("warning", "file name given twice", "keep one row, with the objects of both"),
    "unsafe-file-name": Kind("warning", "file name that leaves its folder", "write it relative to the images' folder"),
    "duplicate-category-name": Kind("warning", "category name given twice", "join the categories, or name them apart"),
    "duplicate-annotation": Kind("warning", "object given twice", _FIX),
    "box-empty": Kind("warning", "box without width or height", "training drops it; --fix OUT takes it from the outline"),
    "box-over-edge": Kind("warning", "box slightly over the edge", "training clips it; --fix OUT too"),
    "box-differs": Kind("warning", "box that is not that of its outline", _LOOK),
    "vertices-outside": Kind("warning", "outline that goes outside the image", f"{_LOOK}; what is outside is cut off"),
    "polygon-without-area": Kind("warning", "polygon without area", _FIX),
    "no-area": Kind("warning", "area that is 0 or less", "training drops it; --fix OUT takes it from the outline"),
    "area-differs": Kind("warning", "area that is not that of its outline", "only small, medium, large in AP depend on it"),
    "crowd": Kind("warning", "object that is a crowd", "nothing: training leaves crowds out"),
    "crowd-polygons": Kind("warning", "crowd given as polygons", "if it is one object, set iscrowd to 0"),
    "ignored": Kind("warning", "object marked ignore", "nothing: training leaves it out"),
    "image-without-objects": Kind("warning", "image without objects", "nothing: training leaves it out unless asked"),
    "category-without-objects": Kind("warning", "category without objects", "it cannot be learned: annotate some"),
    "unnamed-image": Kind("notice", "image files that no annotation file names", "annotate them, or leave them"),
}
RANK = {kind: place for place, kind in enumerate(KINDS)}


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing found: in which file and row, which field, what was found, what was expected.

    `table` and `place` say where the row stands in the file; place is -1 where it is not about one row. `like` names the
    other image of a pair: its split and id.
    """

    kind: str
    split: str
    file: str
    row: str
    field: str
    found: str
    expected: str
    image_id: int | None = None
    annotation_id: int | None = None
    table: str = dataclasses.field(default="", compare=False)
    place: int = dataclasses.field(default=-1, compare=False)
    like: tuple[str, int] | None = None

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity

    def __str__(self) -> str:
        row = f"{self.row}: " if self.row else ""
        name = f"{self.field}: " if self.field else ""
        return f"{self.file}: {row}{name}found {self.found}; expected {self.expected}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, with its severity and what to do."""
        values = dataclasses.asdict(self)
        del values["table"], values["place"]
        return {"severity": self.severity, **values, "advice": KINDS[self.kind].advice}


def choose_worst(problems: Iterable[Problem], limit: int, each: int) -> list[Problem]:
    """Return the worst `limit` problems, errors first, at most `each` of a kind: every kind's first before any's second."""
    seen: Counter[str] = Counter()
    keyed = []
    for problem in problems:
        if seen[problem.kind] < each:
            keyed.append((SEVERITIES.index(problem.severity), seen[problem.kind], RANK[problem.kind], problem))
        seen[problem.kind] += 1
    keyed.sort(key=lambda key: key[:3])
    chosen = keyed[:limit]
    return [key[3] for key in sorted(chosen, key=lambda key: (key[0], key[2], key[1]))]


def make_printable(text: str) -> str:
    """Replace what a terminal or a page should not see (control characters, half characters) by its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def quote(value: object) -> str:
    """Return a short text of a value of a JSON file, for a report."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > LONGEST:
        value = value[:LONGEST]  # all of a long list would be written out to be cut off again
    text = make_printable(value if isinstance(value, str) else repr(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
