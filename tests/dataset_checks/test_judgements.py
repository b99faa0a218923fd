"""A data set is judged as a whole: what all of it looks like, in numbers; a sound set is left alone."""

import json

import numpy as np
import pytest

import maskzoo
from faulty_data import make_object, make_sound, rewrite
from maskzoo.dataset_checks.codes import CODES
from maskzoo.dataset_checks.judgement import LOOKS
from maskzoo.dataset_checks.judgements import judge_annotations
from maskzoo.dataset_checks.split_checks import check_splits
from maskzoo.datasets.coco_reader import pack_annotations


def judge(**splits):
    """Return what is judged of the contents of some splits, by code and split, without reading an image."""
    return {
        (one.code, one.split): one
        for one in judge_annotations({split: pack_annotations(data, f"{split}.json") for split, data in splits.items()})
    }


def make_crowd(row, size=(60, 80)):
    """Turn an object into a crowd with the run lengths of its box."""
    x, y, width, height = row["bbox"]
    mask = np.zeros(size, np.uint8)
    mask[y : y + height, x : x + width] = 1
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends, flat.size]).tolist()
    return row | {"iscrowd": 1, "segmentation": {"size": list(size), "counts": counts}}


@pytest.fixture
def train(tmp_path):
    return make_sound(tmp_path)[1]


def test_a_sound_set_is_not_judged(tmp_path, train):
    val = make_sound(tmp_path, "val", first=50)[1]
    assert judge(train=train) == judge(train=train, val=val) == {}


def test_a_set_of_crowds_alone_is_judged_with_the_numbers_and_named_rows(train):
    train["annotations"] = [make_crowd(row) for row in train["annotations"]]
    one = judge(train=train)["all-crowds", "train"]
    assert one.certain and one.evidence == {"objects": 12, "runs": 12}
    assert str(one).startswith("train: all 12 annotations are crowds (iscrowd 1), 12 of them with run lengths of their own; ")


def test_what_holds_for_the_whole_set_is_not_said_of_each_split(tmp_path, train):
    val = make_sound(tmp_path, "val", first=50)[1]
    val["annotations"] = [make_crowd(row) for row in val["annotations"]]
    assert [*judge(train=train, val=val)] == [("all-crowds", "val")]
    train["annotations"] = [make_crowd(row) for row in train["annotations"]]
    assert [*judge(train=train, val=val)] == [("all-crowds", "")]


def test_a_judgement_stands_in_the_report_above_its_symptoms_and_is_an_error(tmp_path):
    file, data = make_sound(tmp_path)
    data["annotations"] = [make_crowd(row) for row in data["annotations"]]
    report = maskzoo.check_dataset(rewrite(file, data), page=tmp_path / "page.html")
    (one,) = report.judgements
    assert report.errors == 2 and report.list_unexplained() == []
    printed = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert printed["judgements"][0]["severity"] == "error" and printed["judgements"][0]["evidence"]["objects"] == 12
    assert [example["row"] for example in printed["judgements"][0]["examples"]] == [10, 11, 20]
    page = (tmp_path / "page.html").read_text()
    assert one.describe() in page and page.index("As a whole") < page.index("Summary")


def test_rows_at_fault_are_looked_at_as_far_as_they_can_be_read(tmp_path):
    file, data = make_sound(tmp_path)
    rows = [make_crowd(row) | {"area": None} for row in data["annotations"]]
    data["annotations"] = [*rows, make_object(None, 1, iscrowd=1, bbox=[1, 2]) | {"segmentation": [5]}]
    report = check_splits({"train": rewrite(file, data)})[0]
    assert report.judgements[0].evidence == {"objects": 13, "runs": 12}


def test_the_words_of_every_judgement_are_whole(train):
    for look in LOOKS.values():
        assert look.symptoms <= CODES.keys()
        assert not look.look.endswith(".") and not look.remedy.endswith(".")
