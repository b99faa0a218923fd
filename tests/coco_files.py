"""Small COCO data sets with every kind of outline, detections that are nearly right, and the judge's numbers."""

import contextlib
import io
import json

import numpy as np
from pycocotools import mask as judge_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def make_data(images=3, objects=4, ids=(1, 2, 5), seed=0, crowd=True):
    """Return a COCO instances file's content: rectangles and triangles as polygons, some as run lengths, a crowd."""
    random = np.random.default_rng(seed)
    data = {
        "images": [
            {"id": 10 * (images - place), "file_name": f"{place}.png", "height": 60 + place, "width": 80}
            for place in range(images)
        ],
        "categories": [{"id": number, "name": f"class {place}"} for place, number in enumerate(ids)],
        "annotations": [],
    }
    for image in data["images"]:
        for place in range(objects):
            x, y, width, height = (round(float(value), 2) for value in random.uniform((0, 0, 5, 5), (50, 30, 30, 30)))
            polygon = [x, y, x + width, y, x + width, y + height, *([x, y + height] if place % 2 else [])]
            outline, area = [polygon], width * height / (1 if place % 2 else 2)
            if place == 3:
                outline = encode(outline, image)
            data["annotations"].append(
                {
                    "id": 100 + len(data["annotations"]),
                    "image_id": image["id"],
                    "category_id": ids[int(random.integers(len(ids)))],
                    "bbox": [x, y, width, height],
                    "area": area,
                    "segmentation": outline,
                    "iscrowd": 0,
                }
            )
    if crowd:
        image = data["images"][0]
        mask = np.zeros((image["height"], image["width"]), np.uint8)
        mask[5:25, 10:40] = 1
        data["annotations"].append(
            {
                "id": 99,
                "image_id": image["id"],
                "category_id": ids[0],
                "bbox": [10, 5, 30, 20],
                "area": 600,
                "segmentation": {"size": list(mask.shape), "counts": count_runs(mask)},
                "iscrowd": 1,
            }
        )
    return data


def encode(polygons, image):
    """Return polygons as compressed run lengths by the judge."""
    size = image["height"], image["width"]
    merged = judge_masks.merge(judge_masks.frPyObjects(polygons, *size))
    return {"size": list(size), "counts": merged["counts"].decode()}


def count_runs(mask):
    """Return the uncompressed counts of a mask, the plain way."""
    counts, value = [0], 0
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def disturb(data, seed=0, false=20):
    """Return result rows made of the ground truth: shifted, dropped, doubled, of wrong classes, and wholly false ones.

    Scores are rounded, so that some are equal; crowds are covered by several detections.
    """
    random = np.random.default_rng(seed)
    images = {image["id"]: image for image in data["images"]}
    ids = [category["id"] for category in data["categories"]]
    rows = []
    for annotation in data["annotations"]:
        image = images[annotation["image_id"]]
        for _ in range(3 if annotation["iscrowd"] else int(random.choice([0, 1, 1, 1, 2]))):
            x, y, width, height = annotation["bbox"]
            shift = random.normal(0, 0.06, 2) * (width, height)
            scale = np.exp(random.normal(0, 0.06))
            box = [x + shift[0], y + shift[1], width * scale, height * scale]
            if isinstance(annotation["segmentation"], list):
                polygons = [
                    ((np.reshape(polygon, (-1, 2)) - (x, y)) * scale + (x, y) + shift).ravel().tolist()
                    for polygon in annotation["segmentation"]
                ]
            else:
                polygons = [_to_polygon(box)]
            category = annotation["category_id"] if random.random() < 0.9 else random.choice(ids)
            rows.append(_make_row(image, category, box, polygons, random))
    for _ in range(false):
        image = images[random.choice(list(images))]
        box = (random.uniform(0, 0.5, 4) * np.tile((image["width"], image["height"]), 2) + 1).tolist()
        rows.append(_make_row(image, random.choice(ids), box, [_to_polygon(box)], random))
    return [rows[place] for place in random.permutation(len(rows))]


def _to_polygon(box):
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def _make_row(image, category, box, polygons, random):
    return {
        "image_id": image["id"],
        "category_id": int(category),
        "bbox": [float(value) for value in box],
        "score": round(float(random.random()), 2),
        "segmentation": encode(polygons, image),
    }


def judge(data, rows, kind, categories=None):
    """Return pycocotools' twelve numbers, -1 as None, of some `categories` (ids) or all.

    For masks, the mask's area decides between small and large.
    """
    if kind == "segm":
        rows = [{key: value for key, value in row.items() if key != "bbox"} for row in rows]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(data)) | {"info": {}}
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(json.loads(json.dumps(rows))), kind)
        if categories is not None:
            evaluator.params.catIds = list(categories)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return tuple(None if value == -1 else float(value) for value in evaluator.stats), evaluator


def write(path, content):
    path.write_text(json.dumps(content))
    return path
