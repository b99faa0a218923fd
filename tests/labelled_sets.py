"""Small data sets with awkward masks, with their pictures, and how near another one is to such a set."""

import json

import hotcoco.mask
import numpy as np
from PIL import Image

from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.rle import decode_runs, encode_polygons


def make_masks():
    """Return masks in one picture of 40 x 60: a ring, two parts, a pixel, touching corners, one along the border."""
    masks = {}
    for name in ("ring", "parts", "pixel", "corners", "border", "blob"):
        masks[name] = np.zeros((40, 60), np.uint8)
    masks["ring"][2:16, 2:20] = 1
    masks["ring"][6:12, 8:14] = 0
    masks["ring"][7, 3] = 0
    masks["parts"][20:26, 2:9] = masks["parts"][30:38, 14:20] = masks["parts"][22, 12] = 1
    masks["pixel"][18, 30] = 1
    masks["corners"][4:8, 30:36] = masks["corners"][8:12, 36:40] = 1
    masks["border"][:, 59] = masks["border"][39, 45:] = 1
    y, x = np.mgrid[:40, :60]
    masks["blob"][(x - 42) ** 2 / 1.7 + (y - 24) ** 2 < 90] = 1
    return masks


def write_set(folder, pictures, *, names=("cat", "dog", "big tree"), file="data.json"):
    """Write a COCO file and a picture for each name of `pictures`: {file name: objects}; return the file.

    An object is a mask, or a list of polygons, as the first of a tuple; then its label and more fields of the row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = {"images": [], "categories": [{"id": n, "name": name} for n, name in enumerate(names, 1)], "annotations": []}
    for number, (name, objects) in enumerate(pictures.items(), 7):
        height, width = next((one[0].shape for one in objects if isinstance(one[0], np.ndarray)), (40, 60))
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((height, width, 3), number, np.uint8)).save(path)
        data["images"].append({"id": number, "file_name": name, "height": height, "width": width})
        for shape, label, more in objects:
            runs = to_runs(shape, (height, width))
            row = {"id": 100 + len(data["annotations"]), "image_id": number, "category_id": label + 1, "iscrowd": 0}
            row["area"] = float(hotcoco.mask.area([runs])[0])
            row["bbox"] = [float(value) for value in hotcoco.mask.to_bbox(runs)]
            row["segmentation"] = shape if isinstance(shape, list) else {**runs, "counts": runs["counts"].decode()}
            data["annotations"].append(row | more)
    path = folder / file
    path.write_text(json.dumps(data))
    return path


def make_pictures():
    """Return what `write_set` takes: every kind of mask, polygons of a person, a crowd, attributes, an empty picture."""
    masks = make_masks()
    house = [[20.5, 30, 30.25, 30, 30.25, 38.5, 25, 35, 20.5, 38.5]]
    return {
        "a.png": [(mask, place % 3, {}) for place, mask in enumerate(masks.values())],
        "in/b.jpg": [
            (house, 1, {"attributes": {"colour": "red & <blue>", "age": 3}}),
            (trace(masks["ring"])[0].reshape(1, -1).tolist(), 0, {"attributes": {"old": True}}),
            ([[40, 2, 50, 2, 50, 9, 40, 9], [45, 5, 55, 5, 55, 12, 45, 12]], 2, {}),
        ],
        "c.png": [(masks["blob"], 0, {"iscrowd": 1}), (masks["parts"], 2, {})],
        "empty.png": [],
    }


def to_runs(shape, size):
    if isinstance(shape, list):
        return {"size": list(size), "counts": encode_polygons(shape, size)}
    return hotcoco.mask.encode(np.asfortranarray(shape.astype(np.uint8)))


def list_objects(file, root=None):
    """Return (picture's name without ending, class, crowd, attributes, mask) of each object of a COCO file."""
    data = json.loads(file.read_text())
    images = {row["id"]: row for row in data["images"]}
    names = {row["id"]: row["name"] for row in data["categories"]}
    found = []
    for row in data["annotations"]:
        image = images[row["image_id"]]
        size, outline = (image["height"], image["width"]), row["segmentation"]
        counts = encode_polygons(outline, size) if isinstance(outline, list) else outline["counts"].encode()
        name = image["file_name"].rsplit("/", 1)[-1].rsplit(".", 1)[0]
        attributes = row.get("attributes", {})
        found.append((name, names[row["category_id"]], row["iscrowd"], attributes, decode_runs(counts, size)))
    return found


def compare_sets(before, after, least=0.99):
    """Return what of `before` has no object in `after` of the same picture and class, at an IoU of `least`, left for it."""
    left, missing = list(after), []
    for one in before:
        same = [other for other in left if other[:2] == one[:2]]
        near = {place: measure_iou(one[-1], other[-1]) for place, other in enumerate(same)}
        best = max(near, key=near.get, default=None)
        if best is None or near[best] < least:
            missing.append((*one[:4], near.get(best)))
        else:
            place = next(place for place, other in enumerate(left) if other is same[best])
            del left[place]
    return missing


def measure_iou(one, other):
    if one.shape != other.shape:
        return 0.0
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0
