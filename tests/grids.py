"""Data sets of squares in rows, with results whose faults are known one by one."""

import numpy as np

from coco_files import encode
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.evaluation.results import check_results

SIDE, STEP = 20, 40  # pixels: no square touches another, nor does one that is shifted by half a side


def make_grid(images=4, objects=8):
    """Return a COCO file's content: squares in two rows on each image, classes a and b in turns."""
    rows = []
    for image in range(1, images + 1):
        for place in range(objects):
            x, y = 10 + STEP * (place // 2), 10 + STEP * (place % 2)
            row = {"id": 100 + len(rows), "image_id": image, "category_id": 1 + place // 2 % 2, "iscrowd": 0}
            rows.append(row | {"bbox": [x, y, SIDE, SIDE], "area": SIDE**2, "segmentation": [_outline(x, y)]})
    size = {"height": 2 * STEP + 10, "width": STEP * (objects // 2) + 10}
    return {
        "images": [{"id": image, "file_name": f"{image}.png", **size} for image in range(1, images + 1)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": rows,
    }


def find_all(data, score=0.9):
    """Return result rows that are the truth."""
    return [detect(data, row, score=score) for row in data["annotations"]]


def detect(data, annotation, *, score=0.9, shift=0, category=None):
    """Return a result row of an annotation, shifted to the right or of another class."""
    image = data["images"][annotation["image_id"] - 1]
    x, y, width, height = annotation["bbox"]
    return {
        "image_id": annotation["image_id"],
        "category_id": category or annotation["category_id"],
        "bbox": [x + shift, y, width, height],
        "score": score,
        "segmentation": encode([_outline(x + shift, y)], image),
    }


def load(data, rows):
    annotations = pack_annotations(data, "a.json")
    return annotations, check_results(rows, annotations, "rows.json")


def _outline(x, y):
    return np.array([x, y, x + SIDE, y, x + SIDE, y + SIDE, x, y + SIDE], float).tolist()
