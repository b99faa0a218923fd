"""A small set of 3 photos of 160 x 120 with 5 objects, as several tools would write it, and what is true of it."""

import copy
import json

import numpy as np
from PIL import Image

NAMES = ("a1.jpg", "a2.jpg", "a3.jpg")
WIDTH, HEIGHT = 160, 120
_OUTLINES = (
    (1, 1, [20, 20, 70, 25, 60, 80, 25, 70]),
    (1, 2, [90, 30, 140, 30, 140, 90, 90, 90]),
    (2, 2, [30, 40, 80, 40, 80, 100, 30, 100]),
    (2, 1, [100, 20, 150, 60, 105, 70]),
    (3, 1, [50, 30, 110, 35, 105, 95, 45, 90]),
)


def _bound(points):
    x, y = points[::2], points[1::2]
    return [min(x), min(y), max(x) - min(x), max(y) - min(y)]


BOXES = [_bound(points) for _, _, points in _OUTLINES]
CLASSES = [{1: "scratch", 2: "dent"}[category] for _, category, _ in _OUTLINES]
CONTENT = {
    "images": [{"id": place, "file_name": name, "width": WIDTH, "height": HEIGHT} for place, name in enumerate(NAMES, 1)],
    "annotations": [
        {"id": number, "image_id": image, "category_id": category, "segmentation": [list(map(float, points))]}
        | {"bbox": _bound(points), "area": 2000.0, "iscrowd": 0}
        for number, (image, category, points) in enumerate(_OUTLINES, 1)
    ],
    "categories": [{"id": 1, "name": "scratch"}, {"id": 2, "name": "dent"}],
}


def make_truth():
    """Return the content of a sound COCO file."""
    return copy.deepcopy(CONTENT)


def write_truth(folder, content, names=NAMES, file="train.json", size=(WIDTH, HEIGHT)):
    """Write a set: its file, and a photo of its own under each name; return the file."""
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size).save(path, "JPEG")
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def read_objects(content):
    """Return image name, class and box of each object, in order."""
    images = {row["id"]: row["file_name"] for row in content["images"]}
    names = {row["id"]: row["name"] for row in content["categories"]}
    return [(images[row["image_id"]], names[row["category_id"]], row["bbox"]) for row in content["annotations"]]


def list_truth(names=NAMES):
    """Return what `read_objects` gives for a set that is right."""
    images = [names[image - 1] for image, _, _ in _OUTLINES]
    return list(zip(images, CLASSES, BOXES, strict=True))
