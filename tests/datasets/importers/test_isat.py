"""ISAT's files become COCO: groups, crowds, and background that cuts holes."""

import json

import hotcoco.mask
import numpy as np
import pytest

from five_objects import HEIGHT, OUTLINES, TRUTH, WIDTH, list_objects, write_pictures
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.isat import is_isat, read_isat
from maskzoo.errors import SourceError


def thing(category, points, group="", layer=1.0, **more):
    x, y = zip(*points, strict=True)
    fixed = {"area": 1.0, "bbox": [min(x), min(y), max(x), max(y)], "iscrowd": False, "note": ""}
    return {"category": category, "group": group, "segmentation": points, "layer": layer} | fixed | more


def write(folder, name, objects, **info):
    info = {"description": "ISAT", "folder": "x", "name": name, "width": WIDTH, "height": HEIGHT, "depth": 3, "note": ""} | info
    (folder / f"{name.rsplit('.', 1)[0]}.json").write_text(json.dumps({"info": info, "objects": objects}))


def square(begin, end):
    return [[begin, begin], [end, begin], [end, end], [begin, end]]


def test_a_file_for_each_picture_gives_its_objects(tmp_path):
    write_pictures(tmp_path)
    for name, rows in OUTLINES.items():
        write(tmp_path, name, [thing(label, points, group) for group, (label, points) in enumerate(rows, 1)])
    draft = read_isat(tmp_path, ImportOptions())[""]
    assert list_objects(draft) == TRUTH and draft.skipped == [] and draft.notes == []


def test_polygons_of_a_category_and_group_are_one_object_and_crowds_stay_apart(tmp_path):
    write_pictures(tmp_path, ["a.png"])
    objects = [
        thing("leaf", square(5, 15), 1),
        thing("leaf", square(20, 30), 1, note="torn"),
        thing("stem", square(5, 15), 1),
        thing("leaf", square(40, 60), 1, iscrowd=True),
        thing("leaf", square(70, 80)),
        thing("leaf", square(90, 100)),
    ]
    write(tmp_path, "a.png", objects)
    draft = read_isat(tmp_path, ImportOptions())[""]
    found = [(draft.names[row["category_id"] - 1], row["bbox"], row["iscrowd"]) for row in draft.annotations]
    assert found == [
        ("leaf", [5, 5, 25, 25], 0),
        ("stem", [5, 5, 10, 10], 0),
        ("leaf", [40, 40, 20, 20], 1),
        ("leaf", [70, 70, 10, 10], 0),
        ("leaf", [90, 90, 10, 10], 0),
    ]
    assert draft.annotations[0]["attributes"] == {"note": "torn"}


def test_background_on_a_higher_layer_cuts_a_hole_and_on_a_lower_one_none(tmp_path):
    write_pictures(tmp_path, ["a.png"])
    objects = [
        thing("leaf", square(10, 40), 1, 1),
        thing("__background__", square(20, 30), 2, 2),
        thing("leaf", square(22, 28), 3, 3),
        thing("leaf", square(60, 70), 4, 1),
        thing("__background__", square(60, 100), 5, 0),
        thing("leaf", square(21, 29), 6, 1),
    ]
    write(tmp_path, "a.png", objects)
    draft = read_isat(tmp_path, ImportOptions())[""]
    assert [(row["bbox"], row["area"]) for row in draft.annotations] == [
        ([10, 10, 30, 30], 800),
        ([22, 22, 6, 6], 36),
        ([60, 60, 10, 10], 100),
    ]
    runs = hotcoco.mask.merge(hotcoco.mask.frPyObjects(draft.annotations[0]["segmentation"], HEIGHT, WIDTH))
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[10:40, 10:40] = 1
    expected[20:30, 20:30] = 0
    assert np.array_equal(hotcoco.mask.decode(runs), expected)
    assert ["no object" in row.reason or "under the background" in row.reason for row in draft.skipped] == [True] * 3


def test_what_cannot_be_read_is_named(tmp_path):
    write_pictures(tmp_path, ["a.png", "b.png"])
    write(tmp_path, "a.png", [thing("leaf", [[1, 1], [9, 9]]), thing("leaf", square(1, 9)) | {"segmentation": None}, 7])
    write(tmp_path, "b.png", [thing("leaf", square(1, 9))], width=99)
    (tmp_path / "other.json").write_text("{}")
    draft = read_isat(tmp_path, ImportOptions())[""]
    said = ["not an ISAT file", "2 points", "list of finite", "label None", "99 x 120"]
    assert all(words in row.reason for words, row in zip(said, draft.skipped, strict=True)), draft.skipped
    with pytest.raises(SourceError, match="not an ISAT file"):
        read_isat(tmp_path / "other.json", ImportOptions())


def test_other_files_with_objects_are_not_taken_for_isat():
    assert not is_isat({"info": {"description": "my set", "name": "a.png"}, "objects": []})
    assert not is_isat({"info": {"description": "ISAT", "name": "a.png"}, "objects": {}})
    assert not is_isat([])
    assert is_isat({"info": {"description": "my set", "name": "a.png"}, "objects": [thing("leaf", square(1, 9))]})
