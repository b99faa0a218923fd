"""Cityscapes' masks and polygons become objects of its eight classes; groups are crowds."""

import json

import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.cityscapes import is_cityscapes, is_cityscapes_json, read_cityscapes
from maskzoo.errors import SourceError

ROAD, PERSON, CAR, CARAVAN = 7, 24, 26, 29


def make_ids():
    ids = np.full((40, 60), ROAD, np.uint16)
    ids[2:12, 3:13] = CAR * 1000
    ids[5:9, 5:8] = PERSON * 1000 + 1
    ids[20:30, 20:40] = CAR  # a group
    ids[32:36, 1:9] = CARAVAN * 1000
    return ids


OBJECTS = [
    ("road", [[0, 0], [59, 0], [59, 39], [0, 39]]),
    ("car", [[3, 2], [12, 2], [12, 11], [3, 11]]),
    ("person", [[5, 5], [7, 5], [7, 8], [5, 8]]),
    ("cargroup", [[20, 20], [39, 20], [39, 29], [20, 29]]),
    ("caravan", [[1, 32], [8, 32], [8, 35], [1, 35]]),
]


def make(folder, split="train", city="aachen", name="aachen_000001_000019", ids=True, polygons=True, pictures="leftImg8bit"):
    labels, photos = folder / "gtFine" / split / city, folder / pictures / split / city
    labels.mkdir(parents=True, exist_ok=True)
    photos.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(photos / f"{name}_leftImg8bit.png")
    if ids:
        Image.fromarray(make_ids()).save(labels / f"{name}_gtFine_instanceIds.png")
    if polygons:
        rows = [{"label": label, "polygon": points} for label, points in OBJECTS]
        content = {"imgHeight": 40, "imgWidth": 60, "objects": rows}
        assert is_cityscapes_json(content)
        (labels / f"{name}_gtFine_polygons.json").write_text(json.dumps(content))
    return folder


def describe(draft):
    return [(draft.names[row["category_id"] - 1], row["bbox"], row["area"], row["iscrowd"]) for row in draft.annotations]


TRUTH = [("car", [20, 20, 20, 10], 200, 1), ("person", [5, 5, 3, 4], 12, 0), ("car", [3, 2, 10, 10], 88, 0)]


@pytest.mark.parametrize("ids", [True, False])
def test_masks_and_painted_polygons_give_the_same_objects(tmp_path, ids):
    source = make(make(tmp_path, ids=ids), split="val", city="bonn", name="bonn_1", ids=ids)
    assert is_cityscapes(source)
    drafts = read_cityscapes(source, ImportOptions())
    assert list(drafts) == ["train", "val"] and drafts["val"].pictures[0].name == "bonn_1_leftImg8bit.png"
    for draft in drafts.values():
        assert len(draft.names) == 8 and draft.skipped == [] and draft.notes == []
        assert describe(draft) == TRUTH


def test_the_folder_of_labels_itself_and_other_classes_can_be_named(tmp_path):
    source = make(tmp_path)
    (draft,) = read_cityscapes(source / "gtFine", ImportOptions(["caravan", "person"])).values()
    assert describe(draft) == [("person", [5, 5, 3, 4], 12, 0), ("caravan", [1, 32, 8, 4], 32, 0)]
    with pytest.raises(SourceError, match=r"classes are person, .*; found cow"):
        read_cityscapes(source, ImportOptions(["cow"]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="expected files such as a_gtFine_instanceIds"):
        read_cityscapes(tmp_path / "empty", ImportOptions())


def test_cvats_own_classes_are_the_lines_of_its_list(tmp_path):
    source = make(tmp_path, polygons=False, pictures="imgsFine/leftImg8bit")
    ids = np.zeros((40, 60), np.uint16)
    ids[2:12, 3:13], ids[20:30, 20:40] = 1001, 2001
    Image.fromarray(ids).save(next((source / "gtFine").rglob("*.png")))
    (source / "label_colors.txt").write_text("0 0 0 background\n250 50 83 scratch\n51 221 255 dent\n")
    (draft,) = read_cityscapes(source, ImportOptions()).values()
    assert describe(draft) == [("scratch", [3, 2, 10, 10], 100, 0), ("dent", [20, 20, 20, 10], 200, 0)]
    assert draft.notes == []


def test_a_test_split_without_objects_is_left_out_and_told(tmp_path):
    source = make(make(tmp_path), split="test", ids=False)
    for file in (source / "gtFine/test").rglob("*.json"):
        file.write_text(json.dumps({"imgHeight": 40, "imgWidth": 60, "objects": []}))
    drafts = read_cityscapes(source, ImportOptions())
    assert list(drafts) == ["train"] and "labels of test hold no object" in drafts["train"].notes[0]


def test_what_does_not_fit_is_named(tmp_path):
    source = make(make(tmp_path, name="a"), name="b", ids=False)
    (source / "leftImg8bit/train/aachen/a_leftImg8bit.png").unlink()
    (source / "gtFine/train/notes.json").write_text("{}")
    file = next((source / "gtFine").rglob("b_*.json"))
    content = json.loads(file.read_text())
    content["objects"][1]["polygon"] = [[1, 1], [2, "x"]]
    content["objects"][2]["polygon"] = [[1, 1], [2, 2]]
    file.write_text(json.dumps(content))
    (draft,) = read_cityscapes(source, ImportOptions()).values()
    assert [(row.file.rsplit("/", 1)[-1], row.row) for row in draft.skipped] == [
        ("a_gtFine_instanceIds.png", ""), ("b_gtFine_polygons.json", "object 1"), ("b_gtFine_polygons.json", "object 2"),
        ("notes.json", ""),
    ]  # fmt: skip
    file.write_text(json.dumps(content | {"imgWidth": 61}))
    (draft,) = read_cityscapes(source, ImportOptions()).values()
    assert "says the picture is 61 x 40 pixels; found 60 x 40" in draft.skipped[1].reason
