"""Run lengths against pycocotools, and texts that are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as judge

from coco_files import count_runs
from maskzoo.datasets.rle import compress, find_bad_runs, measure_runs


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
        assert compress(count_runs(mask)) == judge.encode(np.asfortranarray(mask))["counts"]


def test_a_large_mask_has_its_area():
    counts = [5, 199_999_000, 995]
    area, sound = measure_runs([compress(counts)], [200_000_000])
    assert (area.tolist(), sound.tolist()) == ([199_999_000], [True])


@pytest.mark.parametrize(
    "text",
    [b"", b"P", b"52P", b"\x00", b"\xff5", b"1 2", b"0", b"o" * 12 + b"0", b"oooooo7" * 4, compress([10, 10, 5])],
    ids=repr,
)
def test_text_that_is_no_mask_of_the_image_is_found_beside_good_ones(text):
    good = compress([10, 5, 5])
    area, sound = measure_runs([good, text, good], [20, 20, 20])
    assert sound.tolist() == [True, False, True]
    assert area[[0, 2]].tolist() == [5, 5]


def test_negative_counts_that_sum_to_the_image_are_found():
    assert measure_runs([compress([30, -15, 5])], [20])[1].tolist() == [False]


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


def test_uncompressed_counts_are_checked():
    assert find_bad_runs([3, 4, 13], 20) is None
    assert find_bad_runs([3, 4], 20) == "counts that sum to 7"
    for bad in (-1, 21, 1.5, True, "3", None, 10**400):
        assert "the count" in find_bad_runs([3, bad, 4], 20)
