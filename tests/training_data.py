"""A small data set with its pictures on disk, selected for training, and a recipe that keeps them small."""

import cv2
import numpy as np

from coco_files import make_data, write
from maskzoo.datasets.annotations import select_for_training
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.zoo.rows import read_row

RECIPE = ("training.short_sides=[40,48,56]", "training.long_side=72")


def make_config(*overrides):
    return read_row("mask_rcnn_r50_fpn_1x_coco", [*RECIPE, *overrides])


def write_set(folder, images=10, objects=4, tall=0, empty=0, seed=0):
    """Write noise pictures, `tall` of them upright and `empty` without an object; return the data set to train on.

    Of four objects one is in run lengths. The pictures lie in `folder`.
    """
    data = make_data(images, objects, seed=seed)
    for image in data["images"][:tall]:
        image["height"] = 90
        data["annotations"] = [
            row for row in data["annotations"] if row["image_id"] != image["id"] or isinstance(row["segmentation"], list)
        ]
    bare = {image["id"] for image in data["images"][images - empty :]}
    data["annotations"] = [row for row in data["annotations"] if row["image_id"] not in bare]
    for image in data["images"]:
        pixels = np.random.default_rng(image["id"]).integers(0, 256, (image["height"], image["width"], 3), np.uint8)
        cv2.imwrite(str(folder / image["file_name"]), pixels)
    write(folder / "train.json", data)
    return select_for_training(read_annotations(folder / "train.json"), empty_images=empty > 0)[0]
