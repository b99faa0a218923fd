"""Before a training or an evaluation: what is doubtful about the whole is told, what is certain stops it; crowds as objects."""

import numpy as np
import pytest

from judged_data import WAYS, change, make_set, scale_box, scale_outline
from maskzoo.dataset_checks.before_use import judge_before, take_crowds
from maskzoo.datasets.annotations import find_trainable
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.errors import AnnotationsError


def tell(learning=True, **splits):
    packed = {split: pack_annotations(data, f"{split}.json") for split, data in splits.items()}
    return judge_before("photos", packed, learning=learning)


def test_nothing_is_told_of_sound_splits():
    assert tell(train=make_set(), val=make_set(seed=1)) == []


def corners(row, w, h):
    return WAYS["x1 y1 x2 y2"](row["bbox"], w, h)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"segmentation": scale_outline(1, 1), "bbox": scale_box(1, 1)}, "parts of the image's width and height"),
        ({"bbox": lambda row, w, h: [row["bbox"][1], row["bbox"][0], row["bbox"][3], row["bbox"][2]]}, "y x height width"),
        ({"iscrowd": lambda row, w, h: 1}, "all 18 annotations are crowds"),
    ],
)
def test_what_is_certain_is_an_error_with_the_command_that_shows_more(fields, words):
    with pytest.raises(AnnotationsError, match=words) as raised:
        tell(train=change(make_set(), **fields))
    assert str(raised.value).startswith("photos: the whole set: ") and "`maskzoo data check photos`" in str(raised.value)
    assert "\n" in str(raised.value) and len(str(raised.value)) < 800


def test_what_is_doubtful_is_a_line_each_and_goes_on():
    data = change(make_set(), 0.2, bbox=lambda row, w, h: [0, 0, 30, 40])
    for row in data["annotations"][-2:]:
        row["iscrowd"] = 1
    notes = tell(train=data)
    assert len(notes) == 2 and all("\n" not in note and "maskzoo data check photos" in note for note in notes)
    assert "boxes differ" in notes[0] and "2 of 18 annotations are crowds" in notes[1]


def test_a_certain_judgement_of_one_split_stops_too():
    with pytest.raises(AnnotationsError, match="photos: val: "):
        tell(train=make_set(images=60), val=change(make_set(seed=1), segmentation=scale_outline(1, 1), bbox=scale_box(1, 1)))


def test_who_measures_is_not_told_what_matters_to_learning():
    data = make_set(classes=("cat", "dog", "cow"))
    for row in data["annotations"]:
        row["category_id"] = 1
    assert "2 of 3 classes have no object" in tell(train=data)[0]
    assert tell(learning=False, train=data) == []


@pytest.mark.parametrize("runs", [True, False])
def test_crowds_that_are_taken_as_objects_are_those_of_the_truth(runs):
    truth = pack_annotations(make_set(runs=runs), "train.json")
    wrong = {"iscrowd": lambda row, w, h: 1, "bbox": lambda row, w, h: [0, 0, 5, 5], "area": lambda row, w, h: 0}
    data = change(make_set(runs=runs), 0.5, **wrong)
    data["annotations"][0] |= {"ignore": 1}
    given = pack_annotations(data, "train.json")
    taken = take_crowds(given)
    assert given.crowd.sum() == 9 and not taken.crowd.any()  # the one that was given is as it was
    np.testing.assert_allclose(taken.bbox, truth.bbox)
    np.testing.assert_allclose(taken.boxes, truth.boxes, atol=2e-3)
    np.testing.assert_allclose(taken.area, truth.area)
    assert find_trainable(taken).sum() == 17  # what is to be ignored stays so


def test_a_set_without_crowds_is_taken_as_it_is():
    given = pack_annotations(make_set(), "train.json")
    assert take_crowds(given) is given
