"""Two sets of results: what is the same has no difference, what is better has one that is sure only if images show it."""

import pytest

from coco_files import disturb, make_data
from grids import detect, find_all, load, make_grid
from maskzoo.evaluation.difference import compare_results
from maskzoo.evaluation.metrics import compute_metrics


def compare(data, first, second, **options):
    annotations, one = load(data, first)
    return compare_results(annotations, one, load(data, second)[1], ("A", "B"), **{"resamples": 200, "seed": 0} | options)


def test_a_model_is_not_better_than_itself():
    data = make_data(images=12)
    rows = disturb(data)
    compared = compare(data, rows, rows)
    ap = compared.measures["AP"]
    assert 0 < ap.first == ap.second and ap.lower <= 0 <= ap.upper and not ap.certain
    assert "do not show which is better" in str(compared)


def test_a_model_that_finds_twice_as_much_is_better_for_sure():
    data = make_grid(images=12)
    compared = compare(data, find_all(data)[::2], find_all(data))
    ap = compared.measures["AP"]
    assert ap.second == pytest.approx(1) and ap.difference == pytest.approx(ap.second - ap.first)
    assert 0 < ap.lower <= ap.difference <= ap.upper and ap.certain
    assert str(compared).startswith("B is better: +")
    assert [(row.name, row.second) for row in compared.classes] == [("a", pytest.approx(1)), ("b", pytest.approx(1))]


def test_a_difference_on_one_image_alone_is_not_sure():
    data = make_grid(images=12)
    rows = find_all(data)
    worse = [detect(data, data["annotations"][0], shift=20), *rows[1:]]
    ap = compare(data, worse, rows).measures["AP"]
    assert ap.difference > 0 and ap.lower <= 0 and not ap.certain


def test_measures_are_those_of_an_evaluation():
    data = make_data(images=6)
    first, second = disturb(data, 1), disturb(data, 2)
    compared = compare(data, first, second)
    for side, rows in (("first", first), ("second", second)):
        numbers = compute_metrics(*load(data, rows)).mask.to_dict()
        for name, one in compared.measures.items():
            assert getattr(one, side) == (None if numbers[name] is None else pytest.approx(numbers[name], abs=1e-9))


def test_without_an_object_there_is_nothing_to_compare():
    data = make_grid() | {"annotations": []}
    assert str(compare(data, [], [])).startswith("Nothing to compare")
