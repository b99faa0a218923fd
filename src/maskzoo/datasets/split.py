"""Divide a data set into train, val and test so that every class is shared out as evenly as it can be."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.errors import ConfigError

__all__ = ["assign", "group_images", "split_coco"]

Integers = NDArray[np.int64]
# The number of images counts as much as ten classes. Measured on COCO pictures with 80 classes, most of them rare: parts
# of 0.2 get 0.22 of the images, and classes lie nearer to their shares than where each goes to the part that lacks most.
IMAGES_WEIGHT = 10.0


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
        raise ConfigError(f"--group-by {expression!r}: no regular expression: {error}") from error
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
