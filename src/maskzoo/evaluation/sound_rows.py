"""Read a COCO result file without a fault by its schema, straight into columns.

Whatever is unusual is left to the reader that looks at each row and names what is wrong (`results.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.rle import measure_runs
from maskzoo.datasets.sifted import LARGEST_NUMBER
from maskzoo.evaluation.numbering import Numbering
from maskzoo.system.collecting import without_collecting
from maskzoo.system.files import read_regular
from maskzoo.system.json_text import UNUSUAL, has_keys

__all__ = ["SoundRows", "read_sound_rows"]

Integers = NDArray[np.int64]


class _Runs(Struct, gc=False):
    size: tuple[int, int]
    counts: str


class _Row(Struct, gc=False):
    image_id: int
    category_id: int
    score: float
    bbox: tuple[float, float, float, float] | UnsetType = UNSET
    segmentation: _Runs | UnsetType = UNSET


_ROWS = msgspec.json.Decoder(list[_Row])


@dataclass(frozen=True, slots=True, eq=False)
class SoundRows:
    """K rows of results: `images` (places in the data set) and `labels` (the data set's) int64 `[K]`, `scores` float64 `[K]`.

    `boxes` float64 `[K 4]`, x y width height, and `runs`, compressed run lengths, are None where the rows have none;
    `areas` int64 are those of the masks.
    """

    images: Integers
    labels: Integers
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64] | None
    runs: list[bytes] | None
    areas: Integers


def read_sound_rows(path: Path, annotations: AnnotationSet, numbering: Numbering) -> SoundRows | None:
    """Return the rows of a result file, or None unless all are sound, have the same fields, and fit the data set."""
    try:
        content = read_regular(path)
        with without_collecting():
            rows = _ROWS.decode(content)
            return _pack(rows, annotations, numbering) if rows and _have_same_keys(rows, content) else None
    except (OSError, OverflowError, *UNUSUAL):
        return None


def _have_same_keys(rows: list[_Row], content: bytes) -> bool:
    """Say whether each row has the same keys, each once."""
    masks, boxes = (sum(getattr(row, field) is not UNSET for row in rows) for field in ("segmentation", "bbox"))
    if {boxes, masks} not in ({len(rows)}, {0, len(rows)}):
        return False
    counts = dict.fromkeys(("image_id", "category_id", "score"), len(rows))
    counts |= {"bbox": boxes} | dict.fromkeys(("segmentation", "size", "counts"), masks)
    return has_keys(content, counts, rows=slice(None), others=masks)


def _pack(rows: list[_Row], annotations: AnnotationSet, numbering: Numbering) -> SoundRows | None:
    images = np.array([numbering.images.get(row.image_id, -1) for row in rows], np.int64)
    labels = np.array([numbering.labels.get(row.category_id, -1) for row in rows], np.int64)
    scores = np.array([row.score for row in rows], np.float64)
    boxes, runs, areas = None, None, np.zeros(0, np.int64)
    sound = min(images.min(), labels.min()) >= 0 and (np.abs(scores) < LARGEST_NUMBER).all()
    if rows[0].bbox is not UNSET:
        numbers = chain.from_iterable(row.bbox for row in rows if row.bbox is not UNSET)
        boxes = np.fromiter(numbers, np.float64, 4 * len(rows)).reshape(-1, 4)
        sound &= (np.abs(boxes) < LARGEST_NUMBER).all() and (boxes[:, 2:] >= 0).all()
    if rows[0].segmentation is not UNSET:
        masks = [row.segmentation for row in rows if row.segmentation is not UNSET]
        runs, sizes = [mask.counts.encode("ascii") for mask in masks], list(map(tuple, annotations.sizes.tolist()))
        areas, whole = measure_runs(runs, annotations.sizes.astype(np.int64).prod(axis=1)[images])
        sound &= whole.all() and all(sizes[image] == mask.size for image, mask in zip(images.tolist(), masks, strict=True))
    return SoundRows(images, labels, scores, boxes, runs, areas) if sound else None
