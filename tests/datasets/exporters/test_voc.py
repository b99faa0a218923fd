"""Pascal VOC's folders: pictures of numbers with its colours, and its limits of 8 bits."""

import json

import numpy as np
import pytest
from PIL import Image

from labelled_sets import make_masks, make_pictures, write_set
from maskzoo.datasets.importers.convert import convert_dataset
from maskzoo.errors import SourceError


def read(path):
    with Image.open(path) as picture:
        assert picture.mode == "P"
        return np.asarray(picture), picture.getpalette()


def test_numbers_classes_and_void_have_vocs_colours(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    made = convert_dataset(file, tmp_path / "out", to="voc")
    objects, palette = read(tmp_path / "out/SegmentationObject/c.png")
    classes, _ = read(tmp_path / "out/SegmentationClass/c.png")
    masks = make_masks()
    assert (objects[masks["parts"] > 0] == 1).all() and (classes[masks["parts"] > 0] == 3).all()
    assert (objects[masks["blob"] > 0] == 255).all() and (classes[masks["blob"] > 0] == 255).all()
    assert palette[:15] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128] and palette[-3:] == [224, 224, 192]
    assert (tmp_path / "out/class_names.txt").read_text() == "_background_\ncat\ndog\nbig tree\n"
    assert (tmp_path / "out/labelmap.txt").read_text().splitlines()[1:3] == ["background:0,0,0::", "cat:128,0,0::"]
    assert (tmp_path / "out/labelmap.txt").read_text().endswith("\nignore:224,224,192::\n")
    assert (tmp_path / "out/ImageSets/Segmentation/train.txt").read_text() == "a\nb\nc\nempty\n"
    assert made.lost["crowds"] == 1


def test_smaller_objects_lie_over_larger_ones_and_pixels_under_others_are_counted(tmp_path):
    masks = make_masks()
    pixel, cover = np.zeros_like(masks["blob"]), np.zeros_like(masks["blob"])
    pixel[24, 42], cover[23:26, 41:44] = 1, 1
    objects = [(cover, 0, {}), (masks["blob"], 1, {}), (pixel, 2, {}), (cover, 1, {})]
    made = convert_dataset(write_set(tmp_path / "set", {"a.png": objects}), tmp_path / "out", to="voc")
    numbers, _ = read(tmp_path / "out/SegmentationObject/a.png")
    assert numbers[24, 42] == 4 and numbers[23, 41] == 3 and numbers[30, 42] == 1
    assert made.lost["hidden"] == 1 and made.lost["pixels"] == 9 + 9 + 1


def test_more_than_254_objects_or_classes_are_told(tmp_path):
    objects = []
    for place in range(300):
        mask = np.zeros((40, 60), np.uint8)
        mask.flat[4 * place : 4 * place + 1 + place % 3] = 1
        objects.append((mask, 0, {}))
    file = write_set(tmp_path / "set", {"a.png": objects})
    made = convert_dataset(file, tmp_path / "out", to="voc")
    assert made.lost["surplus"] == 46 and read(tmp_path / "out/SegmentationObject/a.png")[0].max() == 254
    data = json.loads(file.read_text())
    data["categories"] += [{"id": number, "name": f"class {number}"} for number in range(4, 256)]
    file.write_text(json.dumps(data))
    with pytest.raises(SourceError, match="255 classes; Pascal VOC's pictures hold at most 254"):
        convert_dataset(file, tmp_path / "more", to="voc")
