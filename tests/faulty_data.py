"""A data set on disk with one fault of every kind, and the names of what is to be found."""

import copy
import json

import numpy as np
from PIL import Image

SIZE = (60, 80)  # height, width of every photo


def make_scene(seed, size=SIZE):
    """Return a photo-like picture uint8 RGB: soft shades and a few shapes, unlike that of any other seed."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (6, 7, 3), dtype=np.uint8))
    return np.array(coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC))


def make_object(number, image, x=10, y=10, width=20, height=16, **changes):
    row = {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [x, y, width, height],
        "area": width * height,
        "segmentation": [[x, y, x + width, y, x + width, y + height, x, y + height]],
        "iscrowd": 0,
    }
    return row | changes


def make_sound(folder, split="train", images=6, first=0):
    """Write a sound split: `split.json` and its photos in a folder beside it; return the file and its content."""
    (folder / split).mkdir(parents=True)
    data = {
        "info": {"about": "made up"},
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    for place in range(images):
        number = first + place + 1
        Image.fromarray(make_scene(number)).save(folder / split / f"{number}.png")
        data["images"].append({"id": number, "file_name": f"{number}.png", "height": SIZE[0], "width": SIZE[1]})
        data["annotations"].append(make_object(10 * number, number))
        data["annotations"].append(make_object(10 * number + 1, number, x=40, y=30, category_id=2))
    return rewrite(folder / f"{split}.json", data), data


def rewrite(file, data):
    file.write_text(json.dumps(data))
    return file


NAN = float("nan")
SQUARE = [30, 30, 40, 30, 40, 40, 30, 40]
OTHER = [30, 30, 42, 30, 42, 40, 30, 40]  # or two objects would be the same once they are repaired
LINE = [5, 5, 20, 5, 12, 5]
# One object of image 1 for each; the second value: what is left of it in a cleaned file.
FAULTY_OBJECTS = {
    "unknown-image": ({"image_id": 999}, "dropped"),
    "unknown-category": ({"category_id": 999}, "dropped"),
    "bad-flag": ({"iscrowd": "some"}, "dropped"),
    "bad-area": ({"area": None}, "repaired"),
    "bad-box": ({"bbox": [1, 2]}, "repaired"),
    "far-box": ({"bbox": [1e6, 2, 3, 4]}, "repaired"),
    "box-outside": ({"bbox": [10, 10, 120, 16]}, "repaired"),
    "box-elsewhere": ({"bbox": [50, 40, 10, 10]}, "repaired"),
    "no-outline": ({"segmentation": []}, "dropped"),
    "bad-polygon": ({"segmentation": [SQUARE, [1, 2, 3, 4]], "bbox": [30, 30, 10, 10], "area": 100}, "repaired"),
    "bad-coordinates": ({"segmentation": [[1, 1, NAN, 2, 3, 3]]}, "dropped"),
    "far-polygon": ({"segmentation": [[1, 1, 5000, 2, 3, 3]]}, "dropped"),
    "outline-outside": ({"segmentation": [[90, 10, 99, 10, 99, 20]]}, "dropped"),
    "outline-without-area": ({"segmentation": [LINE]}, "dropped"),
    "bad-runs": ({"segmentation": {"size": [60, 80], "counts": [4799]}}, "dropped"),
    "box-empty": ({"bbox": [10, 10, 0, 5]}, "repaired"),
    "box-over-edge": ({"bbox": [61, 10, 20, 16], "segmentation": [[61, 10, 80, 10, 80, 26, 61, 26]]}, "repaired"),
    "box-differs": ({"bbox": [5, 5, 60, 50]}, "repaired"),
    "vertices-outside": ({"segmentation": [[10, 10, 100, 10, 100, 26]], "bbox": [10, 10, 70, 16], "area": 700}, "kept"),
    "polygon-without-area": ({"segmentation": [OTHER, LINE], "bbox": [5, 5, 37, 35], "area": 120}, "repaired"),
    "no-area": ({"area": 0}, "repaired"),
    "area-differs": ({"area": 3}, "kept"),
    "crowd-polygons": ({"iscrowd": 1}, "kept"),
    "ignored": ({"ignore": 1}, "kept"),
    "bad-id": ({"id": "seven"}, "repaired"),
    "bad-nesting": ({"segmentation": [10, 10, 32, 10, 32, 26, 10, 26]}, "repaired"),
    "id-as-text": ({"image_id": "1"}, "repaired"),
}
FAULTY_TABLES = {
    "bad-row", "duplicate-category-id", "duplicate-image-id", "duplicate-annotation-id", "bad-category-name", "bad-size",
    "bad-file-name", "misnamed-image", "missing-image", "unreadable-image", "size-differs", "size-rotated", "same-image-twice",
    "duplicate-file-name", "unsafe-file-name", "duplicate-category-name", "duplicate-annotation", "crowd",
    "image-without-objects", "category-without-objects", "unnamed-image",
}  # fmt: skip
FAULTY_SPLITS = {"classes-differ", "same-image-across", "near-duplicate"}


def make_faulty(folder):
    """Write a split `train` with all of `FAULTY_OBJECTS` and `FAULTY_TABLES`; return file, content, fault -> object id."""
    file, data = make_sound(folder, images=12)
    photos, images, objects = folder / "train", data["images"], data["annotations"]
    numbers = {}
    for place, (kind, (changes, _)) in enumerate(FAULTY_OBJECTS.items()):
        numbers[kind] = 1000 + place
        # A box of its own, so that no two are the same object.
        row = make_object(1000 + place, 1, width=20 + place / 10)
        objects.append(row | copy.deepcopy(changes))
    (photos / "2.png").unlink()
    (photos / "3.png").write_bytes((photos / "3.png").read_bytes()[:300])
    Image.fromarray(make_scene(4, (50, 70))).save(photos / "4.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(make_scene(5)).save(photos / "5.jpg", exif=exif)
    images[4]["file_name"] = "5.jpg"
    (photos / "5.png").unlink()
    objects[9] |= {"bbox": [30, 60, 20, 16], "segmentation": [[30, 60, 50, 60, 50, 76, 30, 76]]}  # drawn upright
    images[5]["height"] = 0
    images[6]["file_name"] = ""
    (photos / "8.png").write_bytes((photos / "9.png").read_bytes())
    images[8]["file_name"] = "9.PNG"
    images[9]["file_name"] = "../train/10.png"
    images.append(images[10] | {"id": 50})
    images.append({"id": 12, "file_name": "12.png", "height": 60, "width": 79})  # the file says which is true
    images.append({"id": 11, "file_name": "12.png", "height": 60, "width": 80})  # which of both is image 11?
    images.append(None)
    objects += [make_object(10, 1, x=35), copy.deepcopy(objects[1]) | {"id": 500}]
    crowd = {"size": [60, 80], "counts": [600, 600, 3600]}
    objects.append(make_object(501, 1, 10, 0, 10, 60, segmentation=crowd, iscrowd=1))
    data["categories"] += [{"id": 3, "name": "dog"}, {"id": 4}, {"id": 1, "name": "cat"}]
    Image.fromarray(make_scene(77)).save(photos / "extra.png")
    return rewrite(file, data), data, numbers
