"""The twelve numbers against pycocotools on made data; ids that cannot matter; nothing on the terminal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coco_files import disturb, judge, make_data
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.evaluation.metrics import NAMES, compute_metrics
from maskzoo.evaluation.results import Results, check_results


def score(data, rows):
    annotations = pack_annotations(data, "a.json")
    return compute_metrics(annotations, check_results(rows, annotations, "rows.json"))


def assert_equal(found, expected):
    assert [value is None for value in found] == [value is None for value in expected]
    numbers = np.array([found, expected], dtype=np.float64)  # None becomes NaN
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_all_24_numbers_are_pycocotools(seed):
    data = make_data(images=6, objects=8, seed=seed)
    rows = disturb(data, seed)
    evaluation = score(data, rows)
    assert 0.05 < evaluation.box.ap < 0.95 and 0.05 < evaluation.mask.ap < 0.95
    assert_equal(evaluation.box.values, judge(data, rows, "bbox")[0])
    assert_equal(evaluation.mask.values, judge(data, rows, "segm")[0])


def test_ap_of_each_class_is_pycocotools():
    data = make_data(images=6, objects=8, ids=(9, 4, 7, 30))
    data["annotations"] = [row for row in data["annotations"] if row["category_id"] != 30]
    rows = disturb(data)
    evaluation = score(data, rows)
    for kind, metrics in (("bbox", evaluation.box), ("segm", evaluation.mask)):
        precision = judge(data, rows, kind)[1].eval["precision"][..., 2]  # [T R K A], classes by ascending id
        for label, place in ((0, 2), (1, 0), (2, 1), (3, 3)):
            part = precision[:, :, place, :]
            found = metrics.classes[label]
            expected = [part[:, :, 0], part[0, :, 0], part[:, :, 1], part[:, :, 2], part[:, :, 3]]
            numbers = [None if (cell > -1).sum() == 0 else cell[cell > -1].mean() for cell in expected]
            assert_equal((found.ap, found.ap50, found.ap_small, found.ap_medium, found.ap_large), numbers)
    assert evaluation.box.classes[3].ap is None and evaluation.objects[3] == 0
    assert evaluation.objects.sum() == sum(row["iscrowd"] == 0 for row in data["annotations"])


def test_the_masks_area_decides_between_small_and_large():
    # A thin diagonal has a large box and a small mask. A missed one is a false detection of one size only.
    data = make_data(images=1, objects=4, crowd=False)
    rows = disturb(data, 1, false=0)
    thin = rows[0] | {"bbox": [0, 0, 79, 59], "score": 1.0}
    thin["segmentation"] = make_data(images=1, objects=4, seed=5)["annotations"][3]["segmentation"]
    expected = judge(data, [*rows, thin], "segm")[0]
    assert_equal(score(data, [*rows, thin]).mask.values, expected)


BASE = make_data(images=2, objects=5, ids=(0, 1, 2, 3))
ROWS = disturb(BASE, 2, false=6)
REFERENCE = score(BASE, ROWS)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.integers(0, 2**40), min_size=4, max_size=4, unique=True), st.permutations([0, 1, 2, 3]))
def test_ap_is_the_same_under_any_layout_of_category_ids(ids, order):
    data = BASE | {
        "categories": [BASE["categories"][place] | {"id": ids[place]} for place in order],
        "annotations": [row | {"category_id": ids[row["category_id"]]} for row in BASE["annotations"]],
    }
    evaluation = score(data, [row | {"category_id": ids[row["category_id"]]} for row in ROWS])
    for found, expected in ((evaluation.box, REFERENCE.box), (evaluation.mask, REFERENCE.mask)):
        assert_equal(found.values, expected.values)  # to the last digits only: the mean over classes sums in order
        assert [found.classes[order.index(place)] for place in range(4)] == list(expected.classes)


def test_no_detection_at_all_is_zero_and_no_object_at_all_is_none():
    annotations = pack_annotations(make_data(), "a.json")
    evaluation = compute_metrics(annotations, Results())
    assert {evaluation.box.ap, evaluation.mask.ap} == {0.0}
    assert set(evaluation.box.values) <= {0.0, None}
    empty = pack_annotations(make_data(objects=0, crowd=False), "a.json")
    evaluation = compute_metrics(empty, Results())
    assert evaluation.mask.values == (None,) * len(NAMES)
    assert all(row.ap is None for row in evaluation.box.classes)


def test_an_image_that_only_has_a_crowd_counts_nothing_wrong():
    data = make_data(images=2, objects=3)
    crowd = data["annotations"][-1]
    data["annotations"] = [row for row in data["annotations"] if row["image_id"] != crowd["image_id"]] + [crowd]
    rows = disturb(data, 3)
    assert_equal(score(data, rows).mask.values, judge(data, rows, "segm")[0])


def test_large_ids_do_not_lose_digits():
    data = make_data(images=2, objects=4, crowd=False)
    move = {10: 2**62, 20: 2**62 + 1}
    moved = data | {
        "images": [row | {"id": move[row["id"]]} for row in data["images"]],
        "annotations": [row | {"image_id": move[row["image_id"]]} for row in data["annotations"]],
    }
    rows = disturb(data)
    evaluation = score(moved, [row | {"image_id": move[row["image_id"]]} for row in rows])
    assert evaluation.box.values == score(data, rows).box.values


def test_nothing_is_printed_not_even_by_native_code(capfd):
    data = make_data()
    score(data, disturb(data))
    assert capfd.readouterr() == ("", "")
