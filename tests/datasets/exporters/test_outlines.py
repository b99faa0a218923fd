"""Outlines of formats that hold less than COCO: few points, one polygon, pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelled_sets import make_masks
from maskzoo.datasets.exporters.content import LabelledObject
from maskzoo.datasets.exporters.outlines import draw_polygons, find_pixels, has_cut, join_parts, measure
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
    one = LabelledObject(1, 0, encode_polygons(trace(mask), SIZE), False, False, None, {})
    drawn = rasterize_polygons(draw_polygons(one, SIZE), SIZE)
    assert np.count_nonzero(drawn & mask) / np.count_nonzero(drawn | mask) >= 0.99
    pixels = find_pixels(one, SIZE)
    assert pixels.mask.sum() == mask.sum() == measure(one, SIZE)[1]
    assert (mask[pixels.top :, pixels.left :][: pixels.mask.shape[0], : pixels.mask.shape[1]] == pixels.mask).all()


def test_a_hole_and_a_touching_corner_are_cuts_and_other_polygons_have_none():
    masks = make_masks()
    assert [has_cut(trace(masks[name])[0]) for name in ("ring", "corners", "pixel", "border")] == [True, True, False, False]


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
