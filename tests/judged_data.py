"""Sound data sets of any size, and what turns all their objects or some into what other tools write."""

import copy

import numpy as np

from coco_files import count_runs
from faulty_data import make_object


def make_set(images=6, each=3, size=(240, 320), seed=0, classes=("cat", "dog"), runs=False):
    """Return a sound set of five-cornered objects, or masks, that lie anywhere in images of height, width `size`."""
    random = np.random.default_rng(seed)
    height, width = size
    data = {
        "images": [{"id": n, "file_name": f"{seed}-{n}.jpg", "height": height, "width": width} for n in range(1, images + 1)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(classes, 1)],
        "annotations": [],
    }
    for number in range(images * each):
        w, h = random.uniform(0.15, 0.3) * width, random.uniform(0.3, 0.5) * height
        x, y = random.uniform(0, width - w), random.uniform(0, height - h)
        outline = [x, y + h / 2, x + w / 2, y, x + w, y + h / 3, x + 0.8 * w, y + h, x + 0.1 * w, y + h]
        area, bbox = polygon_area(outline), [x, y, w, h]
        if runs:
            x, y, w, h = (round(value) for value in bbox)
            mask = np.zeros(size, np.uint8)
            mask[y : y + h, x : x + w] = 1
            mask[y : y + h // 2, x : x + w // 2] = 0
            outline, bbox, area = {"size": [height, width], "counts": count_runs(mask)}, [x, y, w, h], int(mask.sum())
        row = make_object(number + 1, number % images + 1, category_id=number % len(classes) + 1)
        outline = outline if runs else [outline]
        data["annotations"].append(row | {"bbox": bbox, "segmentation": outline, "area": area})
    return data


def polygon_area(outline):
    x, y = np.reshape(outline, (-1, 2)).T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)


def change(data, share=1.0, **fields):
    """Return a set with some fields of the first part of its objects changed by functions of object, width and height."""
    data = copy.deepcopy(data)
    sides = {image["id"]: (image["width"], image["height"]) for image in data["images"]}
    for row in data["annotations"][: round(share * len(data["annotations"]))]:
        row |= {name: function(row, *sides[row["image_id"]]) for name, function in fields.items()}
    return data


def scale_outline(x, y):
    return lambda row, w, h: [
        (np.reshape(polygon, (-1, 2)) * (x / w, y / h)).ravel().tolist() for polygon in row["segmentation"]
    ]


def scale_box(x, y):
    return lambda row, w, h: (np.array(row["bbox"]) * np.tile((x / w, y / h), 2)).tolist()


WAYS = {
    "x1 y1 x2 y2": lambda b, w, h: [b[0], b[1], b[0] + b[2], b[1] + b[3]],
    "y1 x1 y2 x2": lambda b, w, h: [b[1], b[0], b[1] + b[3], b[0] + b[2]],
    "x1 x2 y1 y2": lambda b, w, h: [b[0], b[0] + b[2], b[1], b[1] + b[3]],
    "centre x, centre y": lambda b, w, h: [b[0] + b[2] / 2, b[1] + b[3] / 2, b[2], b[3]],
    "y x height width": lambda b, w, h: [b[1], b[0], b[3], b[2]],
    "x y height width": lambda b, w, h: [b[0], b[1], b[3], b[2]],
    "x y width height in parts": lambda b, w, h: [b[0] / w, b[1] / h, b[2] / w, b[3] / h],
    "centre x, centre y, width, height in parts": lambda b, w, h: [
        (b[0] + b[2] / 2) / w, (b[1] + b[3] / 2) / h, b[2] / w, b[3] / h
    ],
    "x1 y1 x2 y2 (two corners) in parts": lambda b, w, h: [b[0] / w, b[1] / h, (b[0] + b[2]) / w, (b[1] + b[3]) / h],
    "x y width height in percent": lambda b, w, h: [100 * b[0] / w, 100 * b[1] / h, 100 * b[2] / w, 100 * b[3] / h],
    "x y width height at 0.5 times": lambda b, w, h: [value / 2 for value in b],
    "x y width height at 1.6 times": lambda b, w, h: [value * 1.6 for value in b],
}  # fmt: skip


def turn(row, w, h):
    return [np.reshape(polygon, (-1, 2))[:, ::-1].ravel().tolist() for polygon in row["segmentation"]]
