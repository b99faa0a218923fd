"""Outlines of formats that hold less than COCO: few points, one polygon, pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelled_sets import make_masks
from maskzoo.datasets.exporters.content import LabelledObject
from maskzoo.datasets.exporters.outlines import draw_outline, draw_polygons, find_pixels, join_parts, measure
from maskzoo.datasets.mask_outlines import trace
from maskzoo.datasets.rle import encode_polygons, rasterize_polygons

SIZE = (40, 60)


def make(outline):
    return LabelledObject(1, 0, [np.array(one, float) for one in outline], False, False, None, {})


corner = st.floats(0, 40).map(lambda value: round(value, 2))
triangle = st.lists(corner, min_size=6, max_size=6)


@settings(deadline=None)
@given(st.lists(triangle, min_size=1, max_size=4))
def test_parts_joined_by_cuts_have_the_pixels_of_all(polygons):
    parts = [np.array(polygon) for polygon in polygons]
    assert encode_polygons([join_parts(parts, SIZE)], SIZE) == encode_polygons(parts, SIZE)


@pytest.mark.parametrize("name", make_masks())
def test_polygons_of_pixels_have_them(name):
    mask = make_masks()[name]
    one = make_traced(mask)
    drawn = rasterize_polygons(draw_polygons(one, SIZE), SIZE)
    assert np.count_nonzero(drawn & mask) / np.count_nonzero(drawn | mask) >= 0.99
    pixels = find_pixels(one, SIZE)
    assert pixels.mask.sum() == mask.sum() == measure(one, SIZE)[1]
    assert (mask[pixels.top :, pixels.left :][: pixels.mask.shape[0], : pixels.mask.shape[1]] == pixels.mask).all()


def make_traced(mask):
    return LabelledObject(1, 0, encode_polygons(trace(mask), mask.shape), False, False, None, {})


@pytest.mark.parametrize(
    ("name", "alone"), [("ring", False), ("corners", False), ("parts", False), ("pixel", True), ("blob", True)]
)
def test_a_hole_a_touching_corner_and_parts_are_more_than_one_outline(name, alone):
    outline = draw_outline(make_traced(make_masks()[name]), SIZE)
    assert (outline is not None) == alone


@pytest.mark.parametrize("radius", range(8, 40, 4))
def test_a_hole_is_told_whatever_points_its_cut_has_left(radius):
    y, x = np.mgrid[:200, :200]
    distance = np.hypot(x - 101, y - 98)
    ring = ((distance < 90) & (distance >= radius)).astype(np.uint8)
    one = make_traced(ring)
    (drawn,) = draw_polygons(one, ring.shape)
    assert len(np.unique(drawn.reshape(-1, 2), axis=0)) == len(drawn) // 2  # the cut does not show in the points
    assert draw_outline(one, ring.shape) is None
    assert draw_outline(make([drawn]), ring.shape) is None


def test_small_parts_keep_their_outlines():
    mask = np.zeros(SIZE, np.uint8)
    mask[:, :50] = mask[3, 55] = mask[10, 55] = 1
    assert len(draw_polygons(make_traced(mask), SIZE)) == 3


def test_a_polygon_stays_as_it_is_unless_it_leaves_the_picture():
    inside = make([[0, 0, 60, 0, 60, 40.0]])
    assert draw_polygons(inside, SIZE) == inside.outline
    outside = make([[-5, -5, 30.5, -5, 30.5, 20, -5, 20]])
    (drawn,) = draw_polygons(outside, SIZE)
    assert drawn.min() == 0 and encode_polygons([drawn], SIZE) == encode_polygons(outside.outline, SIZE)
    assert measure(outside, SIZE) == ([-5, -5, 35.5, 25], 620)


def test_an_object_without_a_pixel_in_the_picture_has_no_polygon_and_no_pixels():
    nowhere = make([[-9, -9, -2, -9, -2, -2]])
    assert draw_polygons(nowhere, SIZE) == [] and find_pixels(nowhere, SIZE) is None
