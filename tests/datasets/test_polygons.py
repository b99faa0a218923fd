"""Masks become polygons with holes that are the mask again, and none of whose rings comes to a point twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelled_sets import make_masks, measure_iou
from maskzoo.datasets.polygons import find_polygons, rasterize

any_mask = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1))


def measure_area(ring):
    x, y = ring.T
    return (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


@settings(max_examples=300, deadline=None)
@given(any_mask)
def test_without_tolerance_the_polygons_of_any_mask_are_that_mask(mask):
    found = find_polygons(mask, tolerance=0)
    assert np.array_equal(rasterize(found, mask.shape), mask > 0)
    assert sum(measure_area(part.exterior) + sum(map(measure_area, part.holes)) for part in found) == mask.sum()
    for part in found:
        assert measure_area(part.exterior) > 0 and all(measure_area(hole) < 0 for hole in part.holes)
        for ring in (part.exterior, *part.holes):
            assert len(np.unique(ring, axis=0)) == len(ring)


@settings(max_examples=100, deadline=None)
@given(any_mask, st.sampled_from([0.3, 0.5, 1.0, 3.0]))
def test_any_mask_is_met_at_an_iou_of_99_percent(mask, tolerance):
    found = find_polygons(mask, tolerance=tolerance)
    assert measure_iou(rasterize(found, mask.shape), mask > 0) >= (0.99 if mask.any() else 0)


def test_each_hole_belongs_to_the_part_around_it():
    mask = np.zeros((20, 40), np.uint8)
    mask[1:19, 1:19] = mask[2:10, 22:38] = 1
    mask[3:17, 3:17] = 0
    mask[5:15, 5:15] = 1  # an island in the hole, with a hole of its own
    mask[8:12, 8:12] = mask[4:6, 25:28] = mask[6:8, 28:30] = 0  # two holes that touch at a corner
    holes = {len(part.holes): part for part in find_polygons(mask, (100, 50), tolerance=0)}
    outer, inner, right = sorted(find_polygons(mask, (100, 50), tolerance=0), key=lambda part: part.exterior[:, 0].min())
    assert outer.holes[0].min() == 53 and inner.holes[0].min() == 58 and len(outer.holes) == len(inner.holes) == 1
    assert len(right.holes) == 2 and holes[2].exterior[:, 0].max() == 138


def test_pixels_that_touch_at_a_corner_are_two_parts():
    found = find_polygons(make_masks()["corners"], tolerance=0)
    assert [len(part.exterior) for part in found] == [4, 4]


@pytest.mark.parametrize(("tolerance", "share"), [(0.5, 3), (1.0, 8)])
def test_a_round_mask_needs_few_points(tolerance, share):
    y, x = np.mgrid[:300, :300]
    distance = np.hypot(x - 150, y - 140)
    mask = (distance < 120) & (distance > 60)
    (exact,), (found,) = find_polygons(mask, tolerance=0), find_polygons(mask, tolerance=tolerance)
    assert len(found.exterior) < len(exact.exterior) / share and len(found.holes[0]) < len(exact.holes[0]) / share
    assert measure_iou(rasterize([found], mask.shape), mask) >= 0.99
