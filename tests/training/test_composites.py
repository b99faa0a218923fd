"""What pasting, holes and mosaics do to an image's objects."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from annotated_images import (
    assert_consistent,
    assert_moved_alike,
    draw_objects,
    make_image,
    make_square,
    rasterize,
    with_outlines,
)
from maskzoo.training.augment import crop, stretch
from maskzoo.training.composites import cut_out, mosaic, paste

seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=100)
@given(seeds, seeds)
def test_pasted_and_covered_objects_agree_with_their_outlines(seed, other):
    size = (60, 80)
    image, source = make_image(seed, size), crop(make_image(other), 0, 0, size)
    assume(len(source.labels) > 0)
    pasted = paste(image, source)
    assert_consistent(pasted)
    assert len(source.labels) <= len(pasted.labels) <= len(image.labels) + len(source.labels)
    assert np.array_equal(pasted.labels[-len(source.labels) :], source.labels)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_a_covered_object_is_its_mask_without_the_pasted_ones(seed):
    size = (40, 50)
    image, source = make_image(seed, size), make_image(seed + 1, size, objects=2)
    covered = np.zeros(size, bool)
    for outline in source.outlines:
        covered |= rasterize(outline, size).astype(bool)
    pasted = paste(image, source)
    # An edge through the middle of a pixel may round to either side when the outline is moved: a pixel in a thousand.
    wrong = (pasted.pixels != np.where(covered[:, :, None], source.pixels, image.pixels)).any(axis=2)
    assert wrong.sum() <= 2
    expected = []
    for outline in image.outlines:
        mask = rasterize(outline, size).astype(bool)
        left = mask & ~covered
        if left.sum() == mask.sum() or left.sum() >= max(1, 0.05 * mask.sum()):
            expected.append(left)
    ours = [rasterize(outline, size).astype(bool) for outline in pasted.outlines[: -len(source.labels)]]
    assert len(ours) == len(expected)
    assert all((mask != other).sum() <= 2 for mask, other in zip(ours, expected, strict=True))


def test_an_object_that_is_covered_wholly_is_gone_and_one_that_is_not_keeps_its_outline():
    image = with_outlines((30, 30), [make_square(5, 5, 5)], [make_square(20, 20, 5)])
    source = with_outlines((30, 30), [make_square(4, 4, 8)])
    ours = paste(image, source)
    assert ours.boxes.tolist() == [[20, 20, 25, 25], [4, 4, 12, 12]]
    assert ours.outlines[0] is image.outlines[1]


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_objects_lose_what_a_hole_covers(seed):
    image = make_image(seed, (60, 80))
    holes = [(slice(10, 30), slice(20, 50)), (slice(40, 41), slice(0, 80))]
    cut = cut_out(image, holes, (1, 2, 3))
    covered = (cut.pixels == (1, 2, 3)).all(axis=2)
    assert all(covered[hole].all() for hole in holes)
    assert_consistent(cut)
    assert cut.lost == len(image.labels) - len(cut.labels)
    for outline in cut.outlines:
        assert (rasterize(outline, cut.size).astype(bool) & covered).sum() <= 2


def test_a_hole_over_a_whole_object_drops_it_and_others_keep_their_outlines():
    image = with_outlines((30, 30), [make_square(5, 5, 5)], [make_square(20, 20, 5)])
    ours = cut_out(image, [(slice(4, 11), slice(4, 11))], (0, 0, 0))
    assert ours.labels.tolist() == [1] and ours.lost == 1
    assert ours.outlines[0] is image.outlines[1]


@settings(deadline=None, max_examples=20)
@given(seeds, st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)))
def test_each_part_of_a_mosaic_shows_its_image_and_its_objects_where_they_are(seed, offset):
    size, centre = (240, 300), (100, 180)
    images = [draw_objects(seed + number, (150 + 30 * number, 260 - 40 * number)) for number in range(4)]
    whole = mosaic(images, size, centre, [offset] * 4)
    assert whole.size == size and len(whole.labels) + whole.lost == 12
    assert_consistent(whole, beyond=1e-3)
    corners = (whole.boxes[:, :2] + whole.boxes[:, 2:]) / 2 > (centre[1], centre[0])
    owner = 2 * corners[:, 1] + corners[:, 0]
    for number in range(4):
        top, left = (0, centre[0])[number // 2], (0, centre[1])[number % 2]
        high, wide = (centre[0], size[0] - centre[0])[number // 2], (centre[1], size[1] - centre[1])[number % 2]
        part = whole.take(np.flatnonzero(owner == number).tolist())
        assert_moved_alike(replace(crop(part, top, left, (high, wide)), extent=None))


def test_a_mosaic_of_one_picture_at_its_middle_is_four_small_ones():
    image = stretch(make_image(4, (80, 120)), (80, 120))
    whole = mosaic([image] * 4, (80, 120), (40, 60), [(0.0, 0.0)] * 4)
    small = stretch(image, (40, 60)).pixels
    assert np.array_equal(whole.pixels, np.tile(small, (2, 2, 1)))


def test_a_mosaic_of_a_very_long_picture_takes_a_window_of_it_and_no_more_memory():
    long = with_outlines((2, 5000), [make_square(10, 0, 2)])
    whole = mosaic([long] * 4, (400, 400), (200, 200), [(0.0, 0.5)] * 4)
    assert whole.size == (400, 400) and len(whole.labels) == 0 and whole.lost == 4
