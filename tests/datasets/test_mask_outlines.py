"""Masks become polygons that are exactly the mask again, by COCO's rule as hotcoco and pycocotools have it."""

import cv2
import hotcoco.mask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as judge

from maskzoo.datasets.mask_outlines import trace, trace_edges


def rasterize(polygons, size, library):
    if not polygons:
        return np.zeros(size, np.uint8)
    rows = [polygon.tolist() for polygon in polygons]
    return hotcoco.mask.decode(library.merge(library.frPyObjects(rows, *size)))  # both write the same run lengths


@pytest.mark.parametrize("library", [hotcoco.mask, judge], ids=["hotcoco", "pycocotools"])
@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    height=st.integers(1, 15),
    width=st.integers(1, 15),
    share=st.floats(0.02, 0.98),
    seed=st.integers(0, 2**31),
)
def test_the_outlines_of_any_mask_are_that_mask_again(library, height, width, share, seed):
    mask = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    assert np.array_equal(rasterize(trace(mask), (height, width), library), mask)


def test_the_area_inside_the_points_is_the_masks_holes_taken_away():
    for seed in range(20):
        mask = np.random.default_rng(seed).random((12, 14)) < 0.7
        points = [polygon.reshape(-1, 2) for polygon in trace(mask)]
        areas = [(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2 for x, y in (pair.T for pair in points)]
        assert min(areas) > 0 and sum(areas) == mask.sum()


def test_an_outline_runs_along_pixel_edges_and_names_corners_only():
    mask = np.zeros((6, 8), np.uint8)
    mask[1:4, 2:7] = 1
    (polygon,) = trace(mask)
    assert polygon.dtype == np.float64
    assert {tuple(point) for point in polygon.reshape(-1, 2).tolist()} == {(2, 1), (7, 1), (7, 4), (2, 4)}
    assert len(polygon) == 8


def test_an_empty_mask_has_no_outline():
    assert trace(np.zeros((4, 5), np.uint8)) == []


def test_separate_parts_are_separate_polygons_and_a_thin_slope_is_one():
    mask = np.zeros((10, 20), np.uint8)
    mask[1:3, 1:5] = mask[6:9, 12:15] = 255
    assert len(trace(mask)) == 2
    assert len(trace(np.eye(12, dtype=np.uint8))) == 1
    assert len(trace(np.eye(12, dtype=np.uint8)[:, ::-1])) == 1


def test_holes_within_holes_and_parts_within_holes_keep_their_pixels():
    mask = np.zeros((200, 260), np.uint8)
    for radius, value in ((95, 1), (70, 0), (50, 1), (30, 0), (12, 1)):
        cv2.circle(mask, (130, 100), radius, value, -1)
    mask[20:24, 100:140] = 0
    mask[15:18, 110:112] = mask[15:18, 120:124] = 0
    polygons = trace(mask)
    assert len(polygons) == 3
    assert np.array_equal(rasterize(polygons, mask.shape, hotcoco.mask), mask)


def test_neighbouring_points_of_an_outline_differ_in_one_coordinate():
    mask = (np.random.default_rng(3).random((30, 30)) < 0.7).astype(np.uint8)
    polygons = trace(mask)
    assert [len(polygon) for polygon in polygons] == [1682, 8]
    for polygon in polygons:
        points = polygon.reshape(-1, 2)
        assert ((points != np.roll(points, 1, axis=0)).sum(axis=1) == 1).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(share=st.floats(0.02, 0.98), seed=st.integers(0, 2**31))
def test_walks_without_cuts_enclose_the_mask_and_go_along_each_edge_once(share, seed):
    mask = np.random.default_rng(seed).random((9, 11)) < share
    walks = [walk.reshape(-1, 2) for walk in trace_edges(mask)]
    areas = [(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2 for x, y in (walk.T for walk in walks)]
    assert sum(areas) == mask.sum() and 0 not in areas
    edges = np.pad(mask, 1).astype(int)
    length = sum(np.abs(walk - np.roll(walk, 1, axis=0)).sum() for walk in walks)
    assert length == np.abs(np.diff(edges, axis=0)).sum() + np.abs(np.diff(edges, axis=1)).sum()
