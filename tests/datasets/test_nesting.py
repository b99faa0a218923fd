"""Outlines in any nesting become flat polygons, and each is called what it is."""

import json

import pytest

from maskzoo.datasets.nesting import describe_nesting, nest

FLAT = [20, 20, 70, 25, 60, 80]
PAIRS = [[20, 20], [70, 25], [60, 80]]
OTHER = [5, 5, 9, 5, 9, 9, 5, 9]
OTHER_PAIRS = [[5, 5], [9, 5], [9, 9], [5, 9]]
POINTS = [{"x": x, "y": y} for x, y in PAIRS]


@pytest.mark.parametrize(
    ("outline", "polygons", "name"),
    [
        (FLAT, [FLAT], "a flat list of numbers"),
        (PAIRS, [FLAT], "a list of points"),
        ([PAIRS], [FLAT], "polygons of points"),
        ([PAIRS, OTHER_PAIRS], [FLAT, OTHER], "polygons of points"),
        ([[FLAT]], [FLAT], "polygons nested too deep"),
        ([[FLAT, OTHER]], [FLAT, OTHER], "polygons nested too deep"),
        ([[FLAT], [OTHER]], [FLAT, OTHER], "polygons nested too deep"),
        ([[[FLAT]]], [FLAT], "polygons nested too deep"),
        ([[PAIRS]], [FLAT], "polygons nested too deep"),
        (POINTS, [FLAT], "a list of points with names for x and y"),
        ([POINTS], [FLAT], "polygons of points"),
        ([{"X": 20, "Y": 20}, {"X": 70, "Y": 25}, {"X": 60, "Y": 80}], [FLAT], "a list of points with names for x and y"),
        (json.dumps([FLAT]), [FLAT], "a text"),
        (json.dumps(PAIRS), [FLAT], "a text"),
        ([str(value) for value in FLAT], [FLAT], "a flat list of numbers"),
        ([[str(value) for value in FLAT]], [FLAT], "numbers written as texts"),
        ({"all_points_x": FLAT[::2], "all_points_y": FLAT[1::2]}, [FLAT], "lists of x and y"),
        ([*PAIRS, PAIRS[0]], [FLAT], "a list of points"),
        ([[*PAIRS, PAIRS[0]]], [FLAT], "polygons of points"),
    ],
    ids=str,
)
def test_a_nesting_is_named_and_made_right(outline, polygons, name):
    assert (nest(outline), describe_nesting(outline)) == (polygons, name)
    assert nest(nest(outline)) == polygons and describe_nesting(polygons) is None


@pytest.mark.parametrize(
    "outline",
    [
        [FLAT],
        [FLAT, OTHER],
        [[1, 2], FLAT],
        [[*FLAT, 20, 20]],
        {"size": [10, 10], "counts": [50, 50]},
        {"size": [10, 10], "counts": "abc"},
        [],
        None,
        "",
        "no outline",
        "[1, 2",
        3,
        [None],
        [[None, 1]],
        [True, False],
        [{"x": 1}],
        ["a", "b"],
    ],
    ids=str,
)
def test_what_is_right_or_means_nothing_has_no_name(outline):
    assert describe_nesting(outline) is None


def test_a_deep_nest_ends():
    outline = FLAT
    for _ in range(500):
        outline = [outline]
    assert nest(outline) is None and describe_nesting(outline) is None
