"""COCO panoptic: the things among the segments become objects with exactly their pixels."""

import json

import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.panoptic import is_panoptic, read_panoptic
from maskzoo.errors import SourceError

CATEGORIES = [
    {"id": 1, "name": "person", "isthing": 1, "supercategory": "person", "color": [220, 20, 60]},
    {"id": 3, "name": "car", "isthing": 1, "color": [0, 0, 142]},
    {"id": 187, "name": "sky", "isthing": 0, "color": [70, 130, 180]},
]
SKY, MAN, CARS, SMALL = 5, 3226956, 70000, 258  # ids with every colour in use


def make(folder, split="train2017", extra=(), more_segments=()):
    ids = np.full((40, 60), SKY)
    ids[5:15, 6:16], ids[8:10, 8:10], ids[20:30, 20:50], ids[0, 0] = MAN, SMALL, CARS, 0
    for number, place in extra:
        ids[place] = number
    colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    for place in (f"annotations/panoptic_{split}", split):
        (folder / place).mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours).save(folder / f"annotations/panoptic_{split}/000001.png")
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / f"{split}/000001.jpg")
    segments = [(SKY, 187, 0), (MAN, 1, 0), (CARS, 3, 1), (SMALL, 1, 0), *more_segments]
    content = {
        "images": [{"id": 1, "file_name": "000001.jpg", "height": 40, "width": 60}],
        "annotations": [
            {
                "image_id": 1,
                "file_name": "000001.png",
                "segments_info": [{"id": number, "category_id": kind, "iscrowd": crowd} for number, kind, crowd in segments],
            }
        ],
        "categories": CATEGORIES,
    }
    assert is_panoptic(content)
    (folder / f"annotations/panoptic_{split}.json").write_text(json.dumps(content))
    return folder


def describe(draft):
    return [(draft.names[row["category_id"] - 1], row["bbox"], row["area"], row["iscrowd"]) for row in draft.annotations]


TRUTH = [("person", [8, 8, 2, 2], 4, 0), ("car", [20, 20, 30, 10], 300, 1), ("person", [6, 5, 10, 10], 96, 0)]


def test_things_become_objects_and_crowds_and_the_rest_is_counted(tmp_path):
    source = make(make(tmp_path), "val2017")
    (source / "annotations/instances_val2017.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    drafts = read_panoptic(source, ImportOptions())
    assert list(drafts) == ["train", "val"]
    for split, draft in drafts.items():
        assert list(draft.names) == ["person", "car"] and describe(draft) == TRUTH and draft.skipped == []
        assert draft.notes == [f"panoptic_{split}2017.json: 1 segment that are no things left out: sky"]


def test_a_single_file_and_given_classes(tmp_path):
    (draft,) = read_panoptic(make(tmp_path) / "annotations/panoptic_train2017.json", ImportOptions(["car"])).values()
    assert describe(draft) == TRUTH[1:2] and draft.skipped == []


def test_segments_that_stand_on_one_side_only_are_named(tmp_path):
    source = make(tmp_path, extra=[(99, (39, 59))], more_segments=[(98, 1, 0), (SKY + 1, 1, 0)])
    (draft,) = read_panoptic(source, ImportOptions()).values()
    assert [(row.row, row.reason.split(",")[0]) for row in draft.skipped] == [
        ("segment 6", "in the JSON file"), ("segment 98", "in the JSON file"), ("segment 99", "a colour"),
    ]  # fmt: skip
    assert describe(draft) == TRUTH


def test_pictures_and_masks_that_are_missing_are_named(tmp_path):
    source = make(make(tmp_path), "val2017")
    (source / "train2017/000001.jpg").unlink()
    (source / "val2017/000001.jpg").rename(source / "val2017/000009.jpg")
    drafts = read_panoptic(source, ImportOptions())
    assert all("expected a picture" in draft.skipped[0].reason for draft in drafts.values())
    (source / "annotations/panoptic_train2017/000001.png").unlink()
    assert "unpack the PNGs there" in read_panoptic(source, ImportOptions())["train"].skipped[0].reason


def test_a_mask_of_another_size_or_an_unknown_category_is_named(tmp_path):
    source = make(tmp_path, more_segments=[(77, 12, 0)], extra=[(77, (39, 59))])
    (draft,) = read_panoptic(source, ImportOptions()).values()
    assert [row.reason for row in draft.skipped] == ["of the unknown category 12"]
    Image.fromarray(np.zeros((41, 60, 3), np.uint8)).save(source / "train2017/000001.jpg")
    (draft,) = read_panoptic(source, ImportOptions()).values()
    assert "60 x 40 pixels; expected its picture's 60 x 41" in draft.skipped[0].reason


def test_categories_must_say_what_is_a_thing(tmp_path):
    file = make(tmp_path) / "annotations/panoptic_train2017.json"
    content = json.loads(file.read_text())
    for isthing, said in ((None, "'person' does not say whether it is a thing"), (0, "no category .* is a thing")):
        for row in content["categories"]:
            row["isthing"] = isthing
        file.write_text(json.dumps(content))
        with pytest.raises(SourceError, match=said):
            read_panoptic(tmp_path, ImportOptions())
