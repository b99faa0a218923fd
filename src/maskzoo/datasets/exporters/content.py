"""What is exported: pictures one by one, each with its objects, and a count of what a format cannot hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.sifted import Sifted, is_number
from maskzoo.errors import count_words

__all__ = [
    "LOSSES",
    "ExportJob",
    "ExportSplit",
    "LabelledObject",
    "LabelledPicture",
    "PictureMode",
    "describe_losses",
    "to_text",
]

Points = NDArray[np.float64]
PictureMode = Literal["link", "copy", "none"]
FIELDS = {"id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd", "ignore", "score", "attributes"}
LOSSES = {  # how a count is told: what stands before the number, and its noun
    "crowds": ("", "crowd"),
    "ignored": ("", "object marked ignore"),
    "below_score": ("", "prediction below the score"),
    "empty": ("", "object without a pixel"),
    "unread": ("", "object whose picture cannot be read"),
    "unplaced": ("", "object without a place on the map"),
    "hidden": ("", "object wholly under others"),
    "pixels": ("", "pixel under other objects"),
    "surplus": ("", "object beyond the format's numbers"),
    "attributes": ("attributes of ", "object"),
    "scores": ("scores of ", "object"),
    "other_fields": ("fields that are not COCO's of ", "object"),
    "object_ids": ("ids of ", "object"),
    "image_ids": ("ids of ", "image"),
    "class_ids": ("ids of ", "class"),
    "same_names": ("", "class of a name that stands twice"),
}


@dataclass(frozen=True, slots=True, eq=False)
class LabelledObject:
    """One object: its `outline` is a list of polygons (flat x y x y ..., pixels) or compressed run lengths.

    `attributes` are JSON values; `score` is a model's, None of an object that a person drew.
    """

    number: int
    label: int
    outline: list[Points] | bytes
    crowd: bool
    ignore: bool
    score: float | None
    attributes: dict[str, Any]

    def describe(self) -> dict[str, Any]:
        """Return the attributes with all that is said in the same way: the score, `iscrowd` and `ignore`."""
        flags = {"score": self.score, "iscrowd": self.crowd or None, "ignore": self.ignore or None}
        return self.attributes | {name: value for name, value in flags.items() if value is not None}


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPicture:
    """One picture: `name` as the data set has it, `path` where it is (None: not found), height and width, objects."""

    number: int
    name: str
    path: Path | None
    size: tuple[int, int]
    objects: list[LabelledObject]


@dataclass(frozen=True, slots=True, eq=False)
class ExportSplit:
    """The content of a COCO file, checked.

    `find` says where a picture's name leads; `labels` has the export's class of each of its own.
    """

    name: str
    sifted: Sifted
    find: Callable[[str], Path | None]
    labels: Sequence[int]

    def __len__(self) -> int:
        return len(self.sifted.packed)

    def pictures(self) -> Iterator[LabelledPicture]:
        """Yield the pictures by rising id."""
        packed, sizes = self.sifted.packed, self.sifted.packed.sizes.tolist()
        for image, (height, width) in enumerate(sizes):
            name = packed.file_name(image)
            objects = [self._read(row) for row in range(*packed.first[image : image + 2].tolist())]
            yield LabelledPicture(int(packed.image_ids[image]), name, self.find(name), (height, width), objects)

    def _read(self, row: int) -> LabelledObject:
        packed, entry = self.sifted.packed, self.entry(row)
        given = entry.get("attributes")
        attributes = dict(given) if isinstance(given, Mapping) else {}
        said = entry.get("score", attributes.get("score"))
        score = float(said) if said is not None and is_number(said) else None
        if score is not None:
            attributes.pop("score", None)
        return LabelledObject(
            number=int(packed.ids[row]),
            label=self.labels[int(packed.labels[row])],
            outline=packed.outline(row),
            crowd=bool(packed.crowd[row]),
            ignore=bool(packed.ignore[row]),
            score=score,
            attributes={name: value for name, value in attributes.items() if name not in ("iscrowd", "is_crowd")},
        )

    def entry(self, row: int) -> dict[str, Any]:
        """Return the row of the file of annotation `row`."""
        entry: dict[str, Any] = self.sifted.tables["annotations"][int(self.sifted.annotation_places[row])]
        return entry

    def count_other_fields(self) -> int:
        """Count the objects of which the file says more than any export holds (keypoints, tags)."""
        rows = map(self.entry, range(len(self.sifted.packed.ids)))
        return sum(not (row.keys() <= FIELDS and isinstance(row.get("attributes") or {}, Mapping)) for row in rows)


@dataclass(slots=True)
class ExportJob:
    """What an exporter is given, and what it fills: `lost` by the names of LOSSES, and `notes` for the user.

    `out` is the file or folder. `keeps` are the things that the format holds; `pictures` counts and takes away the rest.
    `model` names what made predictions, None of a data set that people labelled; `force` lets files be overwritten.
    """

    out: Path
    classes: tuple[str, ...]
    splits: dict[str, ExportSplit]
    mode: PictureMode
    keeps: frozenset[str]
    model: str | None = None
    force: bool = False
    lost: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    on_picture: Callable[[], None] = lambda: None
    images: Counter[str] = field(default_factory=Counter)  # by split, as the next two
    empty_images: Counter[str] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)

    def pictures(self, split: str) -> Iterator[LabelledPicture]:
        """Yield the pictures of a split with the objects that the format can hold."""
        for picture in self.splits[split].pictures():
            self.lost["image_ids"] += "image_ids" not in self.keeps
            picture.objects[:] = [one for one in picture.objects if self._take(one)]
            self.images[split] += 1
            self.empty_images[split] += not picture.objects
            self.objects[split] += len(picture.objects)
            yield picture
            self.on_picture()

    def _take(self, one: LabelledObject) -> bool:
        for what, there in (("crowds", one.crowd), ("ignored", one.ignore and not one.crowd)):
            if there and what not in self.keeps:
                self.lost[what] += 1
                return False
        self.lost["attributes"] += bool(one.attributes) and "attributes" not in self.keeps
        self.lost["scores"] += one.score is not None and "scores" not in self.keeps
        self.lost["object_ids"] += "object_ids" not in self.keeps
        return True


def describe_losses(lost: Mapping[str, int]) -> list[str]:
    """Return what was lost in words: `3 crowds`, `attributes of 12 objects`."""
    return [f"{before}{_count(lost[what], noun)}" for what, (before, noun) in LOSSES.items() if lost.get(what)]


def _count(number: int, noun: str) -> str:
    first, *rest = noun.split(" ", 1)
    words = f"{number:,} classes" if first == "class" and number != 1 else count_words(number, first)
    return " ".join([words, *rest])


def to_text(value: Any) -> str:
    """Return an attribute's value as the text that formats without types hold."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
