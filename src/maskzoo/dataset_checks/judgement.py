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


_BOXES = frozenset({"box-outside", "box-elsewhere", "box-differs", "far-box", "box-over-edge", "box-empty"})
_OUTSIDE = _BOXES | {"outline-outside", "vertices-outside", "far-polygon"}
_TAKEN = "--crowds-as-objects takes them as objects: in train, in eval, and in data check with --fix OUT"
_CLASSES = "rename, join or remove classes where the set is made"
# In the order in which they are told, after what is certain.
LOOKS: dict[str, Look] = {
    "parts-of-image": Look(
        "coordinates that are parts of the image",
        "the {what} of {within} of {objects} objects lie within the first pixel of their images",
        "coordinates that are parts of the image's width and height (0 to 1), not pixels",
        "--fix OUT multiplies them by the width and height, if it is certain, and takes boxes and areas from the outlines",
        _BOXES | {"area-differs", "no-area", "outline-without-area", "polygon-without-area"},
    ),
    "percent-of-image": Look(
        "coordinates that are percent of the image",
        "{within} of {objects} objects lie in the first 100 pixels of larger images, and reach {reach} in x and y; "
        "{proved} agree with their box or area if they are percent",
        "coordinates that are percent of the image's width and height (0 to 100), as Label Studio has them, not pixels",
        "--fix OUT multiplies them where boxes or areas prove it; else export the set again as COCO",
        _BOXES | {"area-differs"},
    ),
    "axes-exchanged": Look(
        "x and y, or width and height, exchanged",
        "{outside} of {objects} objects do not lie in their images, and nearly all would if x and y were exchanged",
        "y before x, or images whose width and height are exchanged",
        "--fix OUT turns sizes that the files show to be wrong, or exchanges x and y where files or boxes prove it",
        _OUTSIDE,
    ),
    "larger-scale": Look(
        "coordinates of larger images",
        "{outside} of {objects} objects go outside their images; they reach {reach} of the width and height{proof}",
        "coordinates of larger images than these: the images were made smaller after they were annotated",
        "take the images that were annotated; --fix OUT scales outlines whose boxes show the scale, and guesses nothing",
        _OUTSIDE,
    ),
    "images-resized": Look(
        "images that were resized after they were annotated",
        "the files of {differ} of {images} images have {scale} times the sides that the annotations say",
        "images that were made smaller or larger after they were annotated, without their outlines",
        "--fix OUT scales outlines and boxes to the files where it is certain",
        frozenset({"size-differs"}),
    ),
    "boxes-otherwise": Look(
        "boxes that are written in another way",
        "{wrong} of {objects} boxes are not those of their outlines, and {explained} of these are when they are read as {way}",
        "boxes given as {way}, not as x y width height",
        "--fix OUT takes them from the outlines",
        _BOXES,
    ),
    "names-otherwise": Look(
        "file names that lead to no file",
        "{wrong} of {images} file names lead to no file, and one file fits each; {begin}the first is {name}, its file {path}",
        "names that were written on another machine or by another tool: {ways}",
        "--fix OUT writes the names of the files",
        frozenset({"misnamed-image", "unsafe-file-name"}),
    ),
    "all-crowds": Look(
        "objects that are all crowds",
        "all {objects} annotations are crowds (iscrowd 1), {runs} of them with run lengths of their own",
        "objects drawn with a brush, as CVAT writes them: each one as a crowd",
        f"nothing is left to learn or to measure; {_TAKEN}",
        frozenset({"crowd", "crowd-polygons", "nothing-to-learn"}),
    ),
    "ids-shifted": Look(
        "objects that are numbered otherwise than the categories",
        "the categories have the ids {known}, and the {objects} objects name {used}",
        "categories that are numbered from {first}, and objects from {start}",
        "--fix OUT gives the objects the ids of their categories, if it is certain; else look at some with `maskzoo data show`",
        frozenset({"unknown-category", "category-without-objects"}),
    ),
    "specks": Look(
        "objects that are specks",
        "{specks} of {objects} objects in {images} images have at most {pixels} pixels, scattered over a larger box",
        "mask pictures with soft edges: each grey level of a resized or JPEG mask became an object",
        "save the masks again without smoothing (PNG, nearest neighbour), or threshold them, and convert again",
    ),
    "key-points": Look(
        "key points in place of outlines",
        "{points} of {objects} outlines are x, y and a visibility of 0, 1 or 2, or are missing beside key points",
        "key points of a pose, not outlines",
        "get outlines: Mask R-CNN learns masks, and key points enclose nothing",
        frozenset({"no-outline"}),
    ),
    "boxes-differ": Look(
        "boxes that are not those of their outlines",
        "{wrong} of {objects} boxes differ from their outlines, in no single way",
        "boxes or outlines of other objects, or from different stages of the work",
        "--fix OUT takes them from the outlines; look at some with --page FILE.html",
    ),
    "many-crowds": Look(
        "many objects that are crowds",
        "{crowds} of {objects} annotations are crowds (iscrowd 1), {runs} of them with run lengths",
        "objects drawn with a brush, which CVAT writes as crowds, unless they are meant to be left out",
        _TAKEN,
        frozenset({"crowd", "crowd-polygons"}),
    ),
    "smaller-scale": Look(
        "coordinates of smaller images",
        "all {objects} objects lie in the upper left; they reach {reach} of the width and height",
        "coordinates of smaller images than these: the images were enlarged after they were annotated",
        "look at some with `maskzoo data show`; --fix OUT does not guess the scale",
    ),
    "rotated-rectangles": Look(
        "outlines that are turned rectangles",
        "{rectangles} of {objects} outlines are rectangles, most of them turned",
        "oriented boxes, not outlines",
        "masks learned from them are rectangles; if you want shapes, draw outlines",
    ),
    "rectangles": Look(
        "outlines that are rectangles",
        "all {objects} outlines are upright rectangles",
        "boxes, not outlines",
        "masks learned from them are rectangles; if you want shapes, draw outlines",
    ),
    "one-class": Look(
        "one class that holds nearly everything",
        "{objects} of {total} objects ({share}) are {name}",
        "classes that are too uneven for the others to be learned",
        "annotate more of the others, or leave them out",
    ),
    "unused-supercategory": Look(
        "class that only groups others",
        "{names}, one of {classes} classes, has no object and stands for a group of the others",
        "the class 0 that Roboflow adds for the whole set",
        f"leave it, at the cost of an output that is never used; or {_CLASSES}",
    ),
    "empty-classes": Look(
        "classes without an object",
        "{empty} of {classes} classes have no object: {names}",
        "classes that were planned and not annotated, or a part of a larger set",
        f"they cannot be learned: annotate some; or {_CLASSES}",
    ),
    "names-alike": Look(
        "class names that are alike",
        "{count} names of classes stand more than once, but for capitals and spaces: {groups}",
        "one class under two ids",
        _CLASSES,
    ),
    "background-class": Look(
        "background as a class",
        "{names} is a class, with {objects} objects",
        "what a tool calls the background or a region to ignore; it would be learned as an object",
        _CLASSES,
    ),
    "shared-images": Look(
        "images that splits share",
        "{shared} of {images} images are in {other} too",
        "splits that were not kept apart: what is measured will be too good",
        "keep each image in one split: `maskzoo data split` divides a set anew",
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
