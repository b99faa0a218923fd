"""What can be wrong with a data set: for each code of a fault, how bad it is, a title, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from maskzoo.faults import Fault

__all__ = ["CODES", "SEVERITIES", "Code", "Severity", "choose_worst", "count_severities", "rank"]

Severity = Literal["error", "warning", "notice"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "notice")


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of fault. An error stops training or makes it wrong; a warning is dropped by it, or suspicious."""

    severity: Severity
    title: str
    advice: str


_FIX = "--fix OUT writes a file without it"
_LOOK = "look at it, correct it where it was made"
CODES: dict[str, Code] = {
    "unreadable-file": Code("error", "annotation file that cannot be read", "get or export the file again"),
    "bad-table": Code("error", "list that is missing or empty", "export the file again as COCO instances"),
    "odd-table": Code("error", "list that has another form", "--fix OUT writes a list of rows"),
    "classes-differ": Code("error", "classes that disagree between splits", "give all splits the same categories"),
    "nothing-to-learn": Code("error", "split without an object that trains", "annotate its images, or leave the split out"),
    "bad-row": Code("error", "row that is not an object", _FIX),
    "bad-id": Code(
        "error",
        "id that is no whole number, or too large",
        "--fix OUT reads '7' as 7, gives a new one else, and lets objects follow",
    ),
    "duplicate-category-id": Code("error", "category id given twice", "give each category its own id, or --fix OUT"),
    "duplicate-image-id": Code(
        "error", "image id given twice", "give each image its own id; --fix OUT drops both unless they are one file"
    ),
    "duplicate-annotation-id": Code("error", "annotation id given twice", "--fix OUT gives new ids"),
    "bad-category-name": Code(
        "error", "category without a name", "name it; --fix OUT takes a number as a text, or calls it by its id"
    ),
    "bad-size": Code("error", "image size that is not valid", "--fix OUT takes it from the file"),
    "bad-file-name": Code(
        "error",
        "image without a file name",
        "name its file; --fix OUT takes a number or a list of one as a text, and drops the image else",
    ),
    "no-images-folder": Code("error", "images that were not found at all", "give their folder with --images"),
    "misnamed-image": Code("error", "image whose name leads to no file", "--fix OUT writes the name of the one file that fits"),
    "missing-image": Code("error", "image file that is missing", "put it there, or --fix OUT drops the image"),
    "unreadable-image": Code(
        "error", "image file that cannot be read", "copy it again or correct its rights; --fix OUT drops it"
    ),
    "outside-image": Code(
        "error", "image outside of its folder", "if you trust it, name a folder of all with --images; --fix OUT drops it"
    ),
    "size-differs": Code(
        "error",
        "image of another size than the annotations say",
        "--fix OUT takes the file's where the objects fit, else drops the image",
    ),
    "size-rotated": Code(
        "error",
        "image whose size was noted before its EXIF rotation",
        "--fix OUT turns the size where the objects fit; look at them with `maskzoo data show`",
    ),
    "id-as-text": Code("error", "object that names an image or category by a text", "--fix OUT writes '7' as 7"),
    "unknown-image": Code("error", "object of an unknown image", _FIX),
    "unknown-category": Code("error", "object of an unknown category", "add the category, or --fix OUT drops the object"),
    "bad-flag": Code(
        "error", "iscrowd or ignore that is not 0 or 1", "--fix OUT reads null, '' and 'false' as 0, and drops the object else"
    ),
    "bad-area": Code("error", "area that is not a number", "--fix OUT takes it from the outline"),
    "bad-box": Code("error", "box that is not four numbers", "--fix OUT takes it from the outline"),
    "far-box": Code("error", "box far outside the image", "--fix OUT takes it from the outline"),
    "box-outside": Code("error", "box outside the image", "--fix OUT takes it from the outline"),
    "box-elsewhere": Code("error", "box that does not meet its outline", f"{_LOOK}; --fix OUT takes it from the outline"),
    "bad-score": Code("error", "score that is not a number", "have the results written again"),
    "no-outline": Code("error", "object without an outline", "draw one, or --fix OUT drops the object"),
    "bad-nesting": Code("error", "outline whose numbers are nested otherwise", "--fix OUT nests them as polygons"),
    "bad-polygon": Code("error", "polygon with too few points or an odd count", _FIX),
    "bad-coordinates": Code("error", "polygon with a coordinate that is not a finite number", _FIX),
    "far-polygon": Code("error", "polygon that goes far outside the image", _FIX),
    "outline-outside": Code("error", "outline wholly outside the image", f"{_LOOK}, or --fix OUT drops the object"),
    "outline-without-area": Code("error", "outline without area", "draw it, or --fix OUT drops the object"),
    "bad-runs": Code(
        "error",
        "run lengths that do not fit the image",
        "encode the mask again; --fix OUT reads other notations of it, and drops it else",
    ),
    "classes-spelt": Code(
        "warning", "class that train spells otherwise", "training takes the two as one; --fix OUT spells them alike"
    ),
    "classes-joined": Code("warning", "class that another split lacks", "training adds it; --fix OUT adds it too"),
    "classes-renumbered": Code("warning", "classes numbered differently from train", "number them alike; names decide"),
    "same-image-across": Code("warning", "same image in two splits", "keep it in one: it makes the evaluation too good"),
    "near-duplicate": Code("warning", "nearly the same image in two splits", "keep it in one, if it is the same"),
    "same-image-twice": Code("warning", "same image twice in a split", "keep one, with the objects of both"),
    "duplicate-file-name": Code("warning", "file name given twice", "keep one row, with the objects of both"),
    "unsafe-file-name": Code("warning", "file name that leaves its folder", "write it relative to the images' folder"),
    "duplicate-category-name": Code("warning", "category name given twice", "rename one, or --fix OUT joins them"),
    "duplicate-annotation": Code("warning", "object given twice", _FIX),
    "box-empty": Code("warning", "box without width or height", "training drops it; --fix OUT takes it from the outline"),
    "box-over-edge": Code("warning", "box slightly over the edge", "training clips it; --fix OUT too"),
    "box-differs": Code("warning", "box that is not that of its outline", f"{_LOOK}; --fix OUT takes it from the outline"),
    "vertices-outside": Code("warning", "outline that goes outside the image", f"{_LOOK}; what is outside is cut off"),
    "polygon-without-area": Code("warning", "polygon without area", _FIX),
    "no-area": Code("warning", "area that is 0 or less", "training drops it; --fix OUT takes it from the outline"),
    "area-differs": Code("warning", "area that is not that of its outline", "only small, medium, large in AP depend on it"),
    "crowd": Code("warning", "object that is a crowd", "training leaves it out; if a brush drew it, take --crowds-as-objects"),
    "crowd-polygons": Code("warning", "crowd given as polygons", "if it is one object, set iscrowd to 0"),
    "ignored": Code("warning", "object marked ignore", "nothing: training leaves it out"),
    "image-without-objects": Code("warning", "image without objects", "nothing: training leaves it out unless asked"),
    "category-without-objects": Code("warning", "category without objects", "it cannot be learned: annotate some"),
    "unnamed-image": Code("notice", "image files that no annotation file names", "annotate them, or leave them"),
}
_RANK = {code: place for place, code in enumerate(CODES)}


def rank(fault: Fault) -> int:
    """Return a fault's place in an order: errors first, code by code."""
    return _RANK[fault.code]


def count_severities(faults: Iterable[Fault]) -> Counter[Severity]:
    """Return how many faults of each severity there are, errors first."""
    return Counter(sorted((CODES[fault.code].severity for fault in faults), key=SEVERITIES.index))


def choose_worst(faults: Iterable[Fault], limit: int, each: int) -> list[Fault]:
    """Return the worst `limit` faults, errors first, at most `each` of a code: every code's first before any's second."""
    seen: Counter[str] = Counter()
    keyed = []
    for fault in faults:
        if seen[fault.code] < each:
            keyed.append((SEVERITIES.index(CODES[fault.code].severity), seen[fault.code], rank(fault), fault))
        seen[fault.code] += 1
    chosen = sorted(keyed, key=lambda key: key[:3])[:limit]
    return [key[3] for key in sorted(chosen, key=lambda key: (key[0], key[2], key[1]))]
