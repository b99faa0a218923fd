"""Annotations as objects to draw: masks and boxes lie where the outlines are, on a picture of any size."""

import cv2
import numpy as np
import pytest

from coco_files import make_data
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.drawn_objects import describe_annotations
from maskzoo.datasets.rle import decode_runs, rasterize_polygons


@pytest.fixture
def annotations():
    return pack_annotations(make_data(images=2), "made")


def fill(objects, index, size):
    """Return the whole mask of an object from its crop."""
    full = np.zeros(size, np.bool_)
    mask, (x, y) = objects.masks.crop(index)
    full[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return full


def rows_of(annotations, image):
    return np.arange(annotations.first[image], annotations.first[image + 1])


def test_masks_are_cocos_pixels_and_crops_have_no_empty_edge(annotations):
    for image in range(len(annotations)):
        size = tuple(annotations.sizes[image].tolist())
        rows = rows_of(annotations, image)
        objects = describe_annotations(annotations, image, rows)
        for index, row in enumerate(rows):
            outline = annotations.outline(row)
            whole = decode_runs(outline, size) if isinstance(outline, bytes) else rasterize_polygons(outline, size)
            assert np.array_equal(fill(objects, index, size), whole)
            crop, _ = objects.masks.crop(index)
            assert all(side.any() for side in (crop[0], crop[-1], crop[:, 0], crop[:, -1]))


def test_on_a_larger_picture_masks_and_boxes_grow_alike(annotations):
    rows = rows_of(annotations, 0)
    height, width = annotations.sizes[0].tolist()
    small = describe_annotations(annotations, 0, rows)
    large = describe_annotations(annotations, 0, rows, (3 * height, 2 * width))
    assert np.allclose(large.boxes, small.boxes * [2, 3, 2, 3])
    for index in range(len(rows)):
        mask = fill(small, index, (height, width)).astype(np.uint8)
        inner, outer = (
            change(mask, np.ones((3, 3), np.uint8)).astype(bool).repeat(3, axis=0).repeat(2, axis=1)
            for change in (cv2.erode, cv2.dilate)
        )
        found = fill(large, index, (3 * height, 2 * width))
        assert found.any() and not (inner & ~found).any() and not (found & ~outer).any()


def test_crowds_say_so_in_their_names_and_an_image_may_have_no_object(annotations):
    image = int(annotations.image_index[annotations.crowd][0])
    rows = rows_of(annotations, image)
    objects = describe_annotations(annotations, image, rows)
    said = [name.startswith("crowd of class ") for name in objects.names]
    assert said == annotations.crowd[rows].tolist() and any(said)
    assert len(describe_annotations(annotations, image, rows[:0])) == 0
