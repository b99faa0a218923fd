"""A sound COCO file is read by its schema to what the careful reader makes of it; anything else is left to that one."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_files import make_data, write
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.sifted import _round_corners
from maskzoo.datasets.sound_reader import read_sound

COLUMNS = (
    "image_ids",
    "sizes",
    "first",
    "ids",
    "image_index",
    "labels",
    "crowd",
    "ignore",
    "area",
    "bbox",
    "boxes",
    "polygon_first",
)
RAGGED = ("file_names", "polygons", "runs")


@pytest.mark.parametrize("objects", [0, 1, 4, 30])
def test_both_readers_give_the_same(tmp_path, objects):
    data = make_data(images=7, objects=objects, seed=objects)
    data["images"][1]["file_name"] = "Straße/\u7167\u7247.jpg"
    data["annotations"].reverse()
    for place, row in enumerate(data["annotations"]):
        if place % 3 == 0:
            row["ignore"] = place % 2
        if place % 4 == 1 and row["iscrowd"] == 0:
            del row["iscrowd"]
    ours = read_sound(write(tmp_path / "a.json", data), "a.json")
    careful = pack_annotations(data, "a.json")
    assert (ours.source, ours.classes) == (careful.source, careful.classes)
    for name in COLUMNS:
        mine, other = getattr(ours, name), getattr(careful, name)
        assert np.array_equal(mine, other) and mine.dtype == other.dtype, name
    for name in RAGGED:
        mine, other = getattr(ours, name), getattr(careful, name)
        assert np.array_equal(mine.values, other.values) and np.array_equal(mine.first, other.first), name


def change(table, **values):
    def apply(data):
        data[table][1].update(values)

    return apply


def drop(table, key):
    return lambda data: data[table][1].pop(key)


def repeat(table):
    return lambda data: data[table].append(copy.deepcopy(data[table][1]))


@pytest.mark.parametrize(
    "spoil",
    [
        *(change("annotations", id=value) for value in ("7", -1, 2**63, 1.5, None)),
        *(change("annotations", image_id=value) for value in (77, "10")),
        *(change("annotations", category_id=value) for value in (77, None)),
        *(change("annotations", iscrowd=value) for value in (2, -1, "0", None, True, -(2**62))),
        *(change("annotations", area=value) for value in (None, "3", 1e15, float("nan"))),
        *(change("annotations", bbox=value) for value in ([1, 2, 3], None, [1, 2, 3, "4"], [1e15, 0, 1, 1], [900, 0, 1, 1])),
        *(
            change("annotations", segmentation=value)
            for value in ([], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], [1, 2, 3, 4, 5, 6], [[900, 2, 3, 4, 5, 6]], None, "x")
        ),
        *(change("annotations", segmentation={"size": [60, 80], "counts": value}) for value in ("", "0", [5], [4800, 1])),
        change("annotations", segmentation={"size": [61, 80], "counts": [4880]}),
        *(change("images", id=value) for value in ("7", -1, 2**63)),
        *(change("images", height=value) for value in (0, 61.5, "61", 10**9, 2**40)),
        *(change("images", file_name=value) for value in ("", 5, None, "a\0b")),
        *(change("categories", name=value) for value in ("", 5, None)),
        *(repeat(table) for table in ("images", "annotations", "categories")),
        *(drop("annotations", key) for key in ("id", "image_id", "category_id", "bbox", "area", "segmentation")),
        *(drop("images", key) for key in ("id", "height", "width", "file_name")),
        *(lambda data, name=name: data.pop(name) for name in ("images", "annotations", "categories")),
        lambda data: data.update(categories=[]),
    ],
)
def test_what_is_not_sound_is_left_to_the_careful_reader(tmp_path, spoil):
    data = make_data()
    assert read_sound(write(tmp_path / "a.json", data), "a") is not None
    spoil(data)
    assert read_sound(write(tmp_path / "a.json", data), "a") is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"iscrowd": 1', '"iscrowd": 0, "iscrowd": 1'),
        ('"area": 600', '"area": 3, "are\\u0061": 600'),
        ('"annotations": [', '"annotations": [], "annotations": ['),
        ('"height": 61', '"height": 62, "height": 61'),
    ],
)
def test_a_key_that_stands_twice_is_left_to_the_careful_reader(tmp_path, old, new):
    text = json.dumps(make_data())
    assert text.count(old) == 1
    (tmp_path / "a.json").write_text(text.replace(old, new))
    assert read_sound(tmp_path / "a.json", "a") is None


@given(
    st.lists(st.one_of(st.floats(-1e15, 1e15), st.integers(-(10**7), 10**7).map(lambda n: n / 2000)), min_size=4, max_size=4)
)
def test_corners_are_rounded_as_python_rounds(values):
    x, y, width, height = values
    wanted = [round(value, 3) for value in (x, y, x + width, y + height)]
    assert _round_corners(np.array([values])).tolist() == [np.array(wanted, np.float32).tolist()]
