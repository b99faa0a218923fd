"""Outlines in any nesting become flat polygons, and each is called what it is."""

import json

import pytest

from maskzoo.datasets.nesting import describe_nesting, join_columns, nest

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
        ("20,20,70,25,60,80", [FLAT], "a text"),
        ("20 20; 70 25; 60 80", [FLAT], "a text"),
        (["20, 20, 70, 25, 60, 80", "5 5 9 5 9 9 5 9"], [FLAT, OTHER], "a flat list of numbers"),
        ("M20,20 L70,25 L60,80 Z M5 5 L9 5 L9 9 L5 9 Z", [FLAT, OTHER], "a text"),
        ("POLYGON((20 20, 70 25, 60 80, 20 20))", [FLAT], "a text"),
        ("MULTIPOLYGON(((20 20, 70 25, 60 80)), ((5 5, 9 5, 9 9, 5 9)))", [FLAT, OTHER], "a text"),
        ([[point] for point in PAIRS], [FLAT], "polygons of points"),  # a contour of OpenCV
        ([[[point] for point in PAIRS], [[point] for point in OTHER_PAIRS]], [FLAT, OTHER], "polygons nested too deep"),
        ({"type": "Polygon", "coordinates": [[*PAIRS, PAIRS[0]]]}, [FLAT], "GeoJSON's geometry"),
        ({"type": "MultiPolygon", "coordinates": [[PAIRS], [OTHER_PAIRS]]}, [FLAT, OTHER], "GeoJSON's geometry"),
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
        "20,20,70",
        "7",
        "M20,20 l5,5 5,0 Z",  # from point to point
        "POLYGON((0 0, 9 0, 9 9, 0 9), (2 2, 4 2, 4 4))",  # with a hole
        {"type": "Polygon", "coordinates": [PAIRS, OTHER_PAIRS]},
        {"type": "Point", "coordinates": [1, 2]},
    ],
    ids=str,
)
def test_what_is_right_or_means_nothing_has_no_name(outline):
    assert describe_nesting(outline) is None


@pytest.mark.parametrize("outline", [{"size": [9, 9], "counts": [81]}, {"counts": "abc"}])
def test_run_lengths_in_a_list_or_a_text_are_called_so(outline):
    assert describe_nesting([outline]) == "run lengths in a list"
    assert describe_nesting(json.dumps(outline)) == "run lengths in a text" and describe_nesting(outline) is None


def test_all_x_beside_all_y_are_told_from_two_polygons_by_the_box():
    xs, ys, bbox = [20, 70, 60, 25], [20, 25, 80, 70], [20, 20, 50, 60]
    assert join_columns([xs, ys], bbox) == [[20, 20, 70, 25, 60, 80, 25, 70]]
    assert join_columns([xs[:3], ys[:3]], bbox) == [FLAT]
    for other in (None, [0, 0, 9, 9], [20, 20, 60, 70]):
        assert join_columns([xs, ys], other) is None
    assert join_columns([FLAT, OTHER], [5, 5, 65, 75]) is None and join_columns([FLAT], [20, 20, 50, 60]) is None


def test_a_deep_nest_ends():
    outline = FLAT
    for _ in range(500):
        outline = [outline]
    assert nest(outline) is None and describe_nesting(outline) is None


@pytest.mark.parametrize("number", [10**400, -(10**400), 2**1024])
def test_a_whole_number_that_no_float_holds_is_no_coordinate(number):
    flat = [number, *FLAT[1:]]
    assert describe_nesting([flat]) is None and nest([flat]) is None and nest(flat) is None
    assert join_columns([[number, 20, 30], [20, 30, 40]], [20, 20, 10, 20]) is None
