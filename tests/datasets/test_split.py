"""Splits lose nothing, repeat by their seed, and share classes out evenly."""

import copy
import json

import numpy as np
import pytest

import maskzoo
from coco_files import make_data, write
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.split import assign, group_images, split_coco
from maskzoo.errors import ArgumentError, ConfigError, SourceError

SHARES = {"train": 0.7, "val": 0.2, "test": 0.1}


def make_many(images=60, seed=0):
    data = make_data(images=images, objects=3, ids=(4, 1, 9), seed=seed)
    data["info"] = {"made": "here"}
    data["annotations"][5]["keypoints"] = [1, 2, 3]
    data["images"][7]["license"] = 3
    return data


def test_every_image_and_annotation_is_in_exactly_one_part_as_it_was():
    data = make_many()
    before = copy.deepcopy(data)
    parts = split_coco(data, SHARES)
    assert data == before and list(parts) == list(SHARES)
    for table in ("images", "annotations"):
        rows = [row for part in parts.values() for row in part[table]]
        assert sorted(rows, key=lambda row: row["id"]) == sorted(data[table], key=lambda row: row["id"])
    for part in parts.values():
        assert {row["image_id"] for row in part["annotations"]} <= {row["id"] for row in part["images"]}
        assert part["categories"] == data["categories"] and part["info"] == data["info"]


def test_the_seed_decides_and_the_order_of_rows_does_not():
    data = make_many()
    shuffled = data | {"images": data["images"][::-1], "annotations": data["annotations"][::-1]}

    def choose(content, seed):
        return {name: {row["id"] for row in part["images"]} for name, part in split_coco(content, SHARES, seed=seed).items()}

    assert choose(data, 1) == choose(shuffled, 1)
    assert choose(data, 1) != choose(data, 2)


def test_images_and_every_class_are_near_their_shares():
    data = make_many(images=100)
    parts = split_coco(data, SHARES)
    for name, share in SHARES.items():
        assert len(parts[name]["images"]) == pytest.approx(100 * share, abs=2)
        for category in (4, 1, 9):
            total, here = (
                sum(row["category_id"] == category and not row["iscrowd"] for row in part["annotations"])
                for part in (data, parts[name])
            )
            assert here == pytest.approx(total * share, abs=2.5)


def test_a_rare_class_reaches_every_part_that_it_can():
    data = make_many(images=50)
    data["categories"].append({"id": 77, "name": "rare"})
    for place in (0, 40, 80):
        data["annotations"][place]["category_id"] = 77
    parts = split_coco(data, {"train": 0.8, "val": 0.2})
    counts = [sum(row["category_id"] == 77 for row in part["annotations"]) for part in parts.values()]
    assert counts == [2, 1]


def test_groups_stay_together():
    data = make_many()
    for place, row in enumerate(data["images"]):
        row["file_name"] = f"film{place // 6}/frame_{place}.png"
    parts = split_coco(data, SHARES, group_by=r"film\d+")
    films = [{row["file_name"].split("/")[0] for row in part["images"]} for part in parts.values()]
    assert sum(map(len, films)) == len(set.union(*films)) == 10


def test_a_group_is_what_the_expression_finds_and_else_an_image_alone():
    names = ["a_1.png", "a_2.png", "b_1.jpg", "1.png", "2.png"]
    assert group_images(names, "^([a-z])_").tolist() == [0, 0, 1, 2, 3]
    assert group_images(names, None).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ConfigError, match="not a regular expression"):
        group_images(names, "(")


def test_too_few_images_for_a_part_is_an_error_that_says_so():
    data = make_data(images=2, crowd=False)
    with pytest.raises(ConfigError, match="test would get no image: 2 images in 2 groups"):
        split_coco(data, {"train": 0.5, "val": 0.4, "test": 0.1})


@pytest.mark.parametrize("shares", [(0.5, 0.6), (1.2, -0.2), (float("nan"), 1), (0, 1)])
def test_shares_that_cannot_be_are_refused(shares):
    with pytest.raises(ConfigError, match="1 in all"):
        assign(np.ones((3, 1), np.int64), shares, np.arange(3))


def test_a_file_is_divided_by_one_call_that_counts_what_it_wrote_and_tells_of_each_file(tmp_path):
    source = write(tmp_path / "all.json", make_data(images=20))
    events = []
    divided = maskzoo.split_dataset(source, tmp_path / "parts", val=0.3, test=0.1, on_progress=events.append)
    assert [(event.done, event.total) for event in events] == [(1, 3), (2, 3), (3, 3)]
    assert sum(part.images for part in divided.splits.values()) == 20
    for name, part in divided.splits.items():
        written = read_annotations(part.file)
        assert (part.file, part.images, part.annotations) == (tmp_path / f"parts/{name}.json", len(written), len(written.ids))
    assert json.loads(json.dumps(divided.to_dict()))["splits"]["val"]["file"] == str(tmp_path / "parts/val.json")


def test_shares_that_leave_nothing_for_train_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"val is 0.6 and test is 0.4"):
        maskzoo.split_dataset(write(tmp_path / "all.json", make_data()), tmp_path / "parts", val=0.6, test=0.4)


def test_a_folder_with_one_annotation_file_is_divided_and_one_that_is_divided_already_is_not(tmp_path):
    for name, file in (("whole", "train.json"), ("named", "annotations/instances.json"), ("plain", "anything.json")):
        source = tmp_path / name / file
        source.parent.mkdir(parents=True)
        write(source, make_data(images=20))
        divided = maskzoo.split_dataset(tmp_path / name, tmp_path / f"{name}-parts")
        assert divided.data == source and sum(part.images for part in divided.splits.values()) == 20
    with pytest.raises(SourceError, match=r"is divided already: train, val; .*train\.json"):
        maskzoo.split_dataset(tmp_path / "whole-parts", tmp_path / "again")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="empty: no annotations"):
        maskzoo.split_dataset(tmp_path / "empty", tmp_path / "again")
