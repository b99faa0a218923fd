"""Run lengths against pycocotools, and texts that are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as judge

from coco_files import count_runs
from maskzoo.datasets.rle import (
    compress,
    decode_crop,
    decode_runs,
    encode_mask,
    encode_polygons,
    measure_runs,
    rasterize_polygons,
    read_runs,
)


def random_masks(count, seed=0):
    random = np.random.default_rng(seed)
    shapes = random.integers(1, 70, (count, 2))
    return [(random.random(shape) < random.choice([0, 0.02, 0.5, 1])).astype(np.uint8) for shape in shapes]


def test_areas_are_those_of_the_judge():
    masks = random_masks(300)
    texts = [judge.encode(np.asfortranarray(mask))["counts"] for mask in masks]
    area, sound = measure_runs(texts, [mask.size for mask in masks])
    assert sound.all()
    assert area.tolist() == [int(mask.sum()) for mask in masks]


def test_compressed_text_is_the_judges():
    for mask in random_masks(100, seed=1):
        assert compress(count_runs(mask)) == encode_mask(mask) == judge.encode(np.asfortranarray(mask))["counts"]


def test_a_large_mask_has_its_area():
    counts = [5, 199_999_000, 995]
    area, sound = measure_runs([compress(counts)], [200_000_000])
    assert (area.tolist(), sound.tolist()) == ([199_999_000], [True])


@pytest.mark.parametrize(
    "text",
    [b"", b"P", b"52P", b"\x00", b"\xff5", b"1 2", b"0", b"o" * 12 + b"0", b"oooooo7" * 4, b"::5"],
    ids=repr,
)
def test_text_that_is_no_mask_of_the_image_is_found_beside_good_ones(text):
    good = compress([10, 5, 5])
    area, sound = measure_runs([good, text, good], [20, 20, 20])
    assert sound.tolist() == [True, False, True]
    assert area[[0, 2]].tolist() == [5, 5]


def test_negative_counts_that_sum_to_the_image_are_found():
    assert measure_runs([b"n0A5"], [20])[1].tolist() == [False]


def test_no_text_at_all_gives_empty_arrays():
    area, sound = measure_runs([], [])
    assert len(area) == len(sound) == 0


@settings(max_examples=500, deadline=None)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5), st.integers(1, 10**8))
def test_any_bytes_are_judged_without_an_error_and_alone_as_in_company(texts, pixels):
    area, sound = measure_runs(texts, [pixels] * len(texts))
    for place, text in enumerate(texts):
        alone = measure_runs([text], [pixels])
        assert bool(alone[1][0]) == bool(sound[place])
        if sound[place]:
            assert alone[0][0] == area[place] <= pixels


def test_counts_as_a_list_are_checked_and_compressed():
    assert read_runs({"size": [4, 5], "counts": [3, 4, 13]}, (4, 5)) == compress([3, 4, 13])
    field, found, _ = read_runs({"size": [4, 5], "counts": [3, 4]}, (4, 5))
    assert (field, str(found)) == ("segmentation.counts", "counts that sum to 7")
    for bad in (-1, 21, 1.5, True, "3", None, 10**400):
        assert read_runs({"size": [4, 5], "counts": [3, bad, 4]}, (4, 5))[1].values == (bad,)


def test_compressed_runs_are_decoded_column_by_column():
    mask = decode_runs(compress([1, 2, 3]), (3, 2))
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 0], [1, 0], [1, 0]]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_polygons_are_rasterised_as_the_judge_does_once_they_are_moved_and_scaled(seed, size):
    random = np.random.default_rng(seed)
    origin, scale = random.uniform(-20, 20, 2), random.uniform(0.1, 3, 2)
    polygons = [random.uniform(-10, 50, 2 * random.integers(3, 9)) for _ in range(random.integers(1, 4))]
    moved = [((polygon.reshape(-1, 2) - origin) * scale).ravel().tolist() for polygon in polygons]
    expected = judge.merge(judge.frPyObjects(moved, *size))
    assert encode_polygons(polygons, size, origin=origin, scale=scale) == expected["counts"]
    ours = rasterize_polygons([polygon.tolist() for polygon in polygons], size, origin=origin, scale=scale)
    area = judge.area(expected)
    assert (ours.shape, ours.sum()) == (size, area) and decode_runs(expected["counts"], size).tolist() == ours.tolist()


def test_a_crop_is_the_mask_and_the_rest_of_the_image_is_empty():
    for mask in [*random_masks(60), np.zeros((5, 7), np.uint8), np.ones((5, 7), np.uint8)]:
        crop, (x, y) = decode_crop(encode_mask(mask), mask.shape)
        image = np.zeros(mask.shape, np.uint8)
        image[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        np.testing.assert_array_equal(image, mask)
        assert crop.size == 0 or (crop[[0, -1]].any(axis=1).all() and crop[:, [0, -1]].any(axis=0).all())
