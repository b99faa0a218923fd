"""The objects of one image as `maskzoo.drawing` draws them: annotations, or what was found, from COCO's outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.rle import decode_runs, rasterize_polygons
from maskzoo.errors import ImageError
from maskzoo.images.read import read_image

__all__ = ["DrawnObjects", "OutlinedMasks", "describe_annotations", "describe_objects", "read_annotated_photo"]

Size = tuple[int, int]  # height, width
Outline = Sequence[NDArray[np.float64]] | bytes  # polygons, or compressed run lengths


@dataclass(frozen=True, slots=True)
class OutlinedMasks:
    """Masks from outlines on an image of `size`, made one by one on a picture of the size `drawn`."""

    outlines: Sequence[Outline]
    size: Size
    drawn: Size

    def crop(self, index: int) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        """Return the smallest bool array `[h w]` that holds mask `index`, and the x, y of its first pixel."""
        outline, (height, width) = self.outlines[index], self.drawn
        if not isinstance(outline, bytes):
            mask = rasterize_polygons(outline, self.drawn, scale=(width / self.size[1], height / self.size[0]))
        elif self.drawn == self.size:
            mask = decode_runs(outline, self.size)
        else:
            full = decode_runs(outline, self.size) * np.uint8(255)
            mask = (np.asarray(cv2.resize(full, (width, height))) > 127).astype(np.uint8)
        x, y, wide, high = cv2.boundingRect(mask)
        return mask[y : y + high, x : x + wide].astype(np.bool_), (x, y)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnObjects:
    """N objects of one image: `boxes` float32 `[N 4]` in pixels of the picture, `scores`, `names`, ids, masks."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    names: tuple[str, ...]
    category_ids: NDArray[np.int64]
    masks: OutlinedMasks

    def __len__(self) -> int:
        return len(self.boxes)


def describe_objects(
    bbox: NDArray[np.float64],
    scores: NDArray[np.float64],
    names: Sequence[str],
    category_ids: NDArray[np.int64],
    outlines: Sequence[Outline],
    size: Size,
    drawn: Size | None = None,
) -> DrawnObjects:
    """Return objects from their `bbox` `[N 4]` (x y width height) and outlines in pixels of an image.

    `size` is that of the image, `drawn` that of its picture, if it is another: height, width each.
    """
    drawn = size if drawn is None else drawn
    corners = np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]], axis=1).astype(np.float32)
    boxes = corners.clip(0, np.array(size[::-1] * 2, np.float32))
    boxes *= np.array([drawn[1] / size[1], drawn[0] / size[0]] * 2, np.float32)
    return DrawnObjects(boxes, scores.astype(np.float32), tuple(names), category_ids, OutlinedMasks(outlines, size, drawn))


def describe_annotations(
    annotations: AnnotationSet, image: int, rows: NDArray[np.int64], drawn: Size | None = None
) -> DrawnObjects:
    """Return the annotations `rows` of image `image` as if each had been found with certainty; see `describe_objects`."""
    names = [annotations.classes.names[label] for label in annotations.labels[rows].tolist()]
    names = [f"crowd of {name}" if crowd else name for name, crowd in zip(names, annotations.crowd[rows], strict=True)]
    outlines = [annotations.outline(row) for row in rows.tolist()]
    height, width = annotations.sizes[image].tolist()
    ids = annotations.classes.to_ids(annotations.labels[rows])
    return describe_objects(annotations.bbox[rows], np.ones(len(rows)), names, ids, outlines, (height, width), drawn)


def read_annotated_photo(annotations: AnnotationSet, image: int, folder: Path) -> NDArray[np.uint8]:
    """Return the photo of image `image` in `folder`. Raises ImageError if it cannot be read or has another size than said."""
    path = folder / annotations.file_name(image)
    photo = read_image(path)
    height, width = annotations.sizes[image].tolist()
    if photo.shape[:2] != (height, width):
        found = f"{photo.shape[1]} x {photo.shape[0]} pixels"
        raise ImageError(f"{path}: {found}; expected the {width} x {height} that {annotations.source} says")
    return photo
