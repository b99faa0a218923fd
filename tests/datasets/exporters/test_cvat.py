"""CVAT's XML: polygons, masks row by row, attributes that its labels have."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from labelled_sets import make_masks, make_pictures, measure_iou, write_set
from maskzoo.datasets.importers.convert import convert_dataset
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.errors import MaskzooError


def read_mask(tag, size):
    if tag.tag == "polygon":
        points = [float(number) for pair in tag.get("points").split(";") for number in pair.split(",")]
        return rasterize_polygons([points], size)
    counts = [int(count) for count in tag.get("rle").split(",")]
    left, top, width, height = (int(tag.get(name)) for name in ("left", "top", "width", "height"))
    mask = np.zeros(size, np.uint8)
    inner = np.repeat(np.arange(len(counts)) % 2, counts)
    mask[top : top + height, left : left + width] = inner.reshape(height, width)
    return mask


def test_the_file_has_all_objects_and_every_attribute_stands_with_its_label(tmp_path):
    pictures = make_pictures()
    pictures["in/b.jpg"].insert(0, (pictures["a.png"][0][0], 0, {"score": 0.5}))
    file = write_set(tmp_path / "set", pictures, names=("cat", "dog", 'big "tree" <&>'))
    convert_dataset(file, tmp_path / "out.xml", to="cvat")
    root = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert root.tag == "annotations" and root.findtext("version") == "1.1"
    assert root.findtext("meta/task/size") == "4"
    for label in root.iterfind("meta/task/labels/label"):
        assert {tag.findtext("name") for tag in label.iterfind("attributes/attribute")} >= {"age", "colour", "iscrowd", "score"}
    labels = [tag.findtext("name") for tag in root.iterfind("meta/task/labels/label")]
    assert labels == ["cat", "dog", 'big "tree" <&>']
    images = {tag.get("name"): tag for tag in root.iterfind("image")}
    assert list(images) == list(pictures) and [tag.get("id") for tag in images.values()] == ["0", "1", "2", "3"]
    for name in ("a.png", "c.png"):
        for (mask, label, _), tag in zip(pictures[name], images[name], strict=True):
            assert measure_iou(mask, read_mask(tag, (40, 60))) >= 0.99 and tag.get("label") == labels[label]
    assert [tag.tag for tag in images["in/b.jpg"]] == ["mask", "polygon", "mask", "mask"]
    ring, house = [{inner.get("name"): inner.text for inner in tag} for tag in images["in/b.jpg"]][:2]
    assert ring == {"score": "0.5"} and house == {"colour": "red & <blue>", "age": "3"}
    assert (images["empty.png"].get("width"), images["empty.png"].get("subset")) == ("60", None)


def test_splits_are_subsets(tmp_path):
    mask = make_masks()["blob"]
    write_set(tmp_path / "set", {"a.png": [(mask, 0, {})]}, file="train.json")
    write_set(tmp_path / "set", {"b.png": [(mask, 1, {})]}, file="val.json")
    convert_dataset(tmp_path / "set", tmp_path / "out.xml", to="cvat")
    root = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert {tag.get("name"): tag.get("subset") for tag in root.iterfind("image")} == {"a.png": "train", "b.png": "val"}
    back = convert_dataset(tmp_path / "out.xml", tmp_path / "back", images=tmp_path / "set")
    assert list(back.splits) == ["train", "val"]


def test_a_name_that_xml_cannot_hold_is_named(tmp_path):
    file = write_set(tmp_path / "set", make_pictures(), names=("a\x01b", "dog", "tree"))
    with pytest.raises(MaskzooError, match=r"'\\x01' stands in a name"):
        convert_dataset(file, tmp_path / "out.xml", to="cvat")
    assert not (tmp_path / "out.xml").exists()
