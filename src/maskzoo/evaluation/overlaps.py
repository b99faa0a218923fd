"""How much each detection of an image overlaps each of its objects, whatever their classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hotcoco.mask
import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.rle import encode_polygons
from maskzoo.evaluation.metrics import Kind
from maskzoo.evaluation.results import Results

__all__ = ["encode_outline", "walk_images"]

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]


def walk_images(
    annotations: AnnotationSet, results: Results, kind: Kind, threshold: float
) -> Iterator[tuple[int, Integers, Integers, Doubles]]:
    """Yield every image with its result rows from the threshold on, best first, its annotations, and IoU `[D G]`.

    Of a crowd it is the share of the detection that lies in it.
    """
    kept = np.flatnonzero(results.scores >= threshold)
    images, scores, bbox = results.images, results.scores, results.boxes
    order = kept[np.lexsort((-scores[kept], images[kept]))]
    first = np.searchsorted(images[order], np.arange(len(annotations) + 1))
    for image in range(len(annotations)):
        rows = order[first[image] : first[image + 1]]
        objects = np.arange(annotations.first[image], annotations.first[image + 1])
        if not len(rows) and not len(objects):
            continue
        crowd = annotations.crowd[objects].tolist()
        iou = np.zeros((len(rows), len(objects)))
        if iou.size and kind == "bbox":
            iou = hotcoco.mask.bbox_iou(bbox[rows], annotations.bbox[objects], crowd)
        elif iou.size:
            size = annotations.sizes[image].tolist()
            found = [{"size": size, "counts": results.runs[row]} for row in rows.tolist()]
            iou = hotcoco.mask.iou(found, [encode_outline(annotations, row) for row in objects.tolist()], crowd)
        yield image, rows, objects, iou


def encode_outline(annotations: AnnotationSet, row: int) -> dict[str, Any]:
    """Return the outline of annotation `row` as compressed run lengths, `{"size": [H, W], "counts": bytes}`."""
    size = annotations.sizes[annotations.image_index[row]].tolist()
    outline = annotations.outline(row)
    return {"size": size, "counts": outline if isinstance(outline, bytes) else encode_polygons(outline, size)}
