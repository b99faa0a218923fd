"""The numbers of small data sets, counted by hand."""

import json

import pytest

import maskzoo
from coco_files import make_data, write
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.statistics import find_hints, measure_split


def make(boxes, classes=("cat", "dog"), size=(400, 300), images=2):
    """Return a set of equal images; `boxes` are image, label, x, y, width, height, and perhaps more of a row."""
    rows = []
    for number, (image, label, x, y, width, height, *more) in enumerate(boxes, 1):
        polygon = [x, y, x + width, y, x + width, y + height, x, y + height]
        row = {"id": number, "image_id": image, "category_id": label + 1, "bbox": [x, y, width, height], "iscrowd": 0}
        rows.append(row | {"area": width * height, "segmentation": [polygon]} | (more[0] if more else {}))
    data = {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": size[0], "height": size[1]} for number in range(1, images + 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
        "annotations": rows,
    }
    return measure_split(pack_annotations(data, "made"))


def test_objects_crowds_and_classes_are_counted():
    runs = {"segmentation": {"size": [300, 400], "counts": [0, 120000]}}
    numbers = make(
        [(1, 0, 0, 0, 10, 10), (1, 0, 0, 0, 20, 20), (2, 1, 0, 0, 400, 300, runs), (2, 1, 0, 0, 9, 9, {"iscrowd": 1})],
        images=3,
    )
    assert (numbers.images, numbers.empty_images, numbers.objects, numbers.crowd) == (3, 1, 3, 1)
    assert (numbers.polygons, numbers.run_lengths) == (2, 1)
    assert [(one.name, one.objects, one.images) for one in numbers.classes] == [("cat", 2, 1), ("dog", 1, 1)]
    assert numbers.objects_per_image == (0, 0.1, 0.5, 1, 1.5, 1.9, 2)
    assert numbers.sizes == ((400, 300, 3),)


def test_sizes_follow_cocos_bounds_and_the_networks_input():
    numbers = make([(1, 0, 0, 0, 32, 31.9), (1, 0, 0, 0, 32, 32), (1, 0, 0, 0, 96, 95.9), (1, 0, 0, 0, 96, 96)])
    assert numbers.size_shares == {"small": 0.25, "medium": 0.5, "large": 0.25}
    assert numbers.sides[-1] == 96 and numbers.input_sides[-1] == 256  # 300 pixels high become 800
    wide = make([(1, 0, 0, 0, 100, 100)], size=(4000, 300))
    assert wide.input_sides[0] == pytest.approx(100 / 3, rel=1e-3)  # 4000 pixels wide become 1333


def test_tiny_and_thin_boxes_are_shares_of_all():
    numbers = make([(1, 0, 0, 0, 2, 2), (1, 0, 0, 0, 100, 24), (1, 0, 0, 0, 100, 25), (2, 1, 0, 0, 50, 50)])
    assert (numbers.tiny, numbers.thin) == (0.25, 0.25)


def test_hints_name_what_is_hard_to_learn():
    train = make([(1, 0, 0, 0, 2, 2)] * 12, classes=("cat", "dog", "emu"))
    val = make([(1, 1, 0, 0, 50, 50)], classes=("cat", "dog", "emu"))
    hints = find_hints({"train": train, "val": val})
    assert any(hint.startswith("train: 100% of boxes are below 8 pixels") for hint in hints)
    assert any("val: dog in it, but not in train" in hint for hint in hints)
    assert "classes without an object: dog, emu" in hints
    assert not any("fewer than" in hint for hint in hints)
    uneven = find_hints({"train": make([(1, 0, 0, 0, 50, 50)] * 100 + [(1, 1, 0, 0, 50, 50)])})
    assert uneven == [
        "fewer than 10 objects to learn from: dog (1)", "classes are uneven: cat has 100 objects, dog has 1",
    ]  # fmt: skip


def test_a_set_without_objects_has_numbers_too_and_all_of_them_are_json():
    empty = make([])
    assert empty.objects == 0 and empty.sides == ()
    assert json.loads(json.dumps(empty.to_dict(), allow_nan=False))["sides"] is None
    assert "train: has no object" in find_hints({"train": empty})
    described = make([(1, 0, 0, 0, 10, 10)]).to_dict()
    assert described["sides"] == dict.fromkeys(("min", "5%", "25%", "median", "75%", "95%", "max"), 10)
    assert described["classes"][0] == {"id": 1, "name": "cat", "objects": 1, "images": 1}


def test_a_folder_is_counted_split_by_split_and_each_is_told(tmp_path):
    for split, images in (("train", 5), ("val", 2)):
        write(tmp_path / f"{split}.json", make_data(images=images))
    events = []
    found = maskzoo.dataset_statistics(tmp_path, short_side=100, long_side=200, on_progress=events.append)
    assert {split: numbers.images for split, numbers in found.splits.items()} == {"train": 5, "val": 2}
    assert found.files == {"train": tmp_path / "train.json", "val": tmp_path / "val.json"}
    assert [(event.done, event.total, event.unit) for event in events] == [(1, 2, "splits"), (2, 2, "splits")]
    described = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert described["input"] == [100, 200] and described["splits"]["val"]["file"] == str(tmp_path / "val.json")
