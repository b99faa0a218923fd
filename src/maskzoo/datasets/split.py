"""Divide a data set into train, val and test so that every class is shared out as evenly as it can be."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.coco_reader import pack_annotations, read_json
from maskzoo.datasets.coco_writer import advise_on_images, write_coco
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.datasets.layout import find_splits
from maskzoo.errors import ArgumentError, ConfigError, MaskzooError, SourceError
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_target

__all__ = ["SplitDataset", "SplitPart", "assign", "group_images", "split_coco", "split_dataset"]

Integers = NDArray[np.int64]
# The number of images counts as much as ten classes. Measured on COCO pictures with 80 classes, most of them rare: parts
# of 0.2 get 0.22 of the images, and classes lie nearer to their shares than where each goes to the part that lacks most.
IMAGES_WEIGHT = 10.0
LEAST_SHARE = 1e-9  # of the images, that train must be left


@dataclass(frozen=True, slots=True)
class SplitPart:
    """One part of a divided data set: its annotation `file`, and how many `images` and `annotations` it holds."""

    file: Path
    images: int
    annotations: int


@dataclass(frozen=True, slots=True)
class SplitDataset:
    """What `split_dataset` wrote: `splits` by name; `classes` as `id`, `name` and objects in each part, without crowds.

    Classes without an object are left out. `note` says where the images are if the new files do not lead to them.
    """

    data: Path
    seed: int
    splits: dict[str, SplitPart]
    classes: tuple[dict[str, Any], ...]
    note: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        splits = {name: asdict(part) | {"file": str(part.file)} for name, part in self.splits.items()}
        classes = list(self.classes)
        return {"data": str(self.data), "seed": self.seed, "splits": splits, "classes": classes, "note": self.note}


def split_dataset(
    data: str | Path,
    out: str | Path,
    *,
    val: float = 0.2,
    test: float = 0.0,
    seed: int = 0,
    group_by: str | None = None,
    force: bool = False,
    on_progress: OnProgress = say_nothing,
) -> SplitDataset:
    """Divide a data set into train, val and test, every class shared out as evenly as it can be.

    Every image with its annotations is in exactly one new file; `data` and the images stay as they are.

    Args:
        data: a COCO instances file (JSON), or a folder that holds one, as `convert_dataset` writes it.
        out: the folder for train.json, val.json and test.json.
        val: the part of the images for val, 0 to 1; train gets what val and test leave. A part of 0 is not written.
        test: the part of the images for test.
        seed: another number, another division; the same, the same, whatever the order of the rows.
        group_by: a regular expression; images whose names agree in what it finds (frames of a video) stay together.
        force: overwrite files of `out`.
        on_progress: is called for each file.

    Returns:
        The files with their counts.

    Raises:
        ArgumentError: `val` and `test` leave nothing for one of the parts.
        SourceError: a folder holds no annotation file, or is divided already.
        AnnotationsError: the file has faults.
        ConfigError: `group_by` is not valid, or a part would get no image.
        MaskzooError: a file is there already, is `data` itself, or cannot be written.
    """
    data, out = Path(data), Path(out)
    if not (val >= 0 and test >= 0 and 0 < val + test < 1 - LEAST_SHARE):
        raise ArgumentError(f"val is {val:g} and test is {test:g}; expected some images for them and some for train")
    data = _find_file(data)
    content = read_json(data)
    annotations = pack_annotations(content, str(data))
    shares = {name: share for name, share in (("train", 1 - val - test), ("val", val), ("test", test)) if share > 0}
    parts = split_coco(content, shares, seed=seed, group_by=group_by)
    files = {name: out / f"{name}.json" for name in parts}
    for path in files.values():
        check_target(path, force=force)
        if path.exists() and path.samefile(data):
            raise MaskzooError(f"{path}: is the data to be divided itself; expected a new file; choose another folder")
    for done, (name, part) in enumerate(parts.items(), 1):
        write_coco(files[name], part, force=force)
        on_progress(ProgressEvent("Writing", done, len(parts), "files"))
    try:
        note = advise_on_images(annotations, find_image_folder(annotations), next(iter(files.values())), out)
    except SourceError:  # the images are not here at all
        note = None
    sizes = {name: SplitPart(files[name], len(part["images"]), len(part["annotations"])) for name, part in parts.items()}
    return SplitDataset(data, seed, sizes, _count_objects(content["categories"], parts), note)


def _find_file(data: Path) -> Path:
    """Return the one annotation file of a data set that is not divided yet."""
    if not data.is_dir():
        return data
    found = find_splits(data)
    if len(found) > 1:
        raise SourceError(
            f"{data}: is divided already: {', '.join(found)}; expected one annotation file; to divide one of them again, name "
            f"its file, as {next(iter(found.values()))}"
        )
    return next(iter(found.values()))


def _count_objects(categories: list[Any], parts: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    rows = {row["id"]: {"id": row["id"], "name": row["name"], **dict.fromkeys(parts, 0)} for row in categories}
    for name, part in parts.items():
        for annotation in part["annotations"]:
            if not annotation.get("iscrowd", 0):
                rows[annotation["category_id"]][name] += 1
    return tuple(row for row in rows.values() if any(row[name] for name in parts))


def split_coco(
    data: Mapping[str, Any], shares: Mapping[str, float], *, seed: int = 0, group_by: str | None = None
) -> dict[str, dict[str, Any]]:
    """Divide the checked content of a COCO file into one for each name of `shares`, parts of the images that sum to 1.

    Each image, with all its annotations, goes to exactly one; rows and all other keys are carried over as they are.
    The same seed gives the same result, whatever the order of the rows. Images whose names agree in what the regular
    expression `group_by` finds stay together. Raises ConfigError for shares or an expression that cannot be.
    """
    images, annotations = data["images"], data["annotations"]
    place = {row["id"]: number for number, row in enumerate(images)}
    group = group_images([row["file_name"] for row in images], group_by)
    counts = _count(data, group, place)
    names = [""] * len(counts)
    for number, row in zip(group.tolist(), images, strict=True):
        names[number] = min(names[number] or row["file_name"], row["file_name"])
    # A hash of the name, not a place in the file, decides between equals: the order of the rows does not matter.
    ties = np.argsort([hashlib.sha256(f"{seed} {name}".encode()).hexdigest() for name in names], kind="stable")
    part = assign(counts, list(shares.values()), ties)
    empty = [name for number, name in enumerate(shares) if not (part == number).any()]
    if empty:
        raise ConfigError(
            f"{' and '.join(empty)} would get no image: {len(images)} images in {len(counts)} groups are too few for "
            f"{', '.join(f'{name} {share:g}' for name, share in shares.items())}; choose larger shares or fewer parts"
        )
    chosen = {row["id"]: int(part[group[number]]) for number, row in enumerate(images)}
    return {
        name: {
            **data,
            "images": [row for row in images if chosen[row["id"]] == number],
            "annotations": [row for row in annotations if chosen[row["image_id"]] == number],
        }
        for number, name in enumerate(shares)
    }


def _count(data: Mapping[str, Any], group: Integers, place: Mapping[int, int]) -> Integers:
    """Return how many objects of each class, and in the last column images, each group has, int64 `[G C+1]`."""
    label = {row["id"]: number for number, row in enumerate(data["categories"])}
    rows = [row for row in data["annotations"] if not row.get("iscrowd", 0)]
    owner = group[np.array([place[row["image_id"]] for row in rows], dtype=np.int64)]
    kind = np.array([label[row["category_id"]] for row in rows], dtype=np.int64)
    kinds, groups = len(label) + 1, int(group.max(initial=-1)) + 1
    cells = np.concatenate([owner * kinds + kind, group * kinds + len(label)])
    return np.bincount(cells, minlength=groups * kinds).reshape(groups, kinds)


def group_images(names: Sequence[str], expression: str | None) -> Integers:
    """Return each image's group, 0 to G-1: those whose stem gives the same match (its groups, if it has some) are one.

    Without an expression, or where it finds nothing, an image is on its own. Raises ConfigError if it is not valid.
    """
    try:
        pattern = None if expression is None else re.compile(expression)
    except re.error as error:
        raise ConfigError(f"--group-by {expression!r}: not a regular expression: {error}") from error
    keys: dict[Any, int] = {}
    group = []
    for number, name in enumerate(names):
        path = PurePosixPath(name)
        found = pattern.search(str(path.with_suffix(""))) if pattern else None
        key = number if found is None else found.groups() or found.group()
        group.append(keys.setdefault(key, len(keys)))
    return np.array(group, dtype=np.int64)


def assign(counts: Integers, shares: Sequence[float], order: Integers) -> Integers:
    """Return the part 0 to P-1 of each of the G groups. `counts` `[G K]`: how much of each of K kinds a group holds;
    the last kind is images, of which each has one or more.

    The groups with the rarest kind that is left go first, those with most of it before others, so that there is still
    a choice for them; `order` decides between equal ones. Each goes where it brings all parts nearest to their shares:
    the least sum, over its kinds, of squared differences by what is wanted. Raises ConfigError for impossible shares.
    """
    wanted = np.asarray(shares, np.float64)
    if not (np.isfinite(wanted).all() and (wanted > 0).all() and abs(wanted.sum() - 1) < 1e-9):
        raise ConfigError(f"shares of the parts are {list(shares)}; expected each above 0, and 1 in all")
    left = counts.sum(axis=0)
    lacking = wanted[:, None] * left
    weight = 1 / (wanted[:, None] * np.maximum(left, 1))
    weight[:, -1] *= IMAGES_WEIGHT
    part = np.full(len(counts), -1, np.int64)
    rank = np.argsort(order)
    while (part < 0).any():
        present = np.flatnonzero(left[:-1])
        kind = int(present[left[present].argmin()]) if len(present) else counts.shape[1] - 1
        waiting = np.flatnonzero((part < 0) & (counts[:, kind] > 0))
        for group in waiting[np.lexsort((rank[waiting], -counts[waiting, kind]))].tolist():
            change = (weight * counts[group] * (counts[group] - 2 * lacking)).sum(axis=1)
            chosen = int(np.round(change, 9).argmin())  # rounded: sums in another order shall not decide
            part[group] = chosen
            lacking[chosen] -= counts[group]
            left -= counts[group]
    return part
