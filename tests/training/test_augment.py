"""What resizing, flipping, cropping, jitter and pasting do to an image's objects."""

from itertools import pairwise

import hotcoco.mask
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from maskzoo.images.resize import resize_image
from maskzoo.training.augment import AnnotatedImage, clip_polygon, crop, find_box, flip, jitter, paste, polygon_area, resize

seeds = st.integers(0, 2**32 - 1)


def make_image(seed=0, size=None, objects=5):
    """An image of noise with star-shaped objects inside it, some of two parts; boxes are those of the outlines."""
    random = np.random.default_rng(seed)
    height, width = size or random.integers(20, 120, 2).tolist()
    outlines = [[make_star(random, (height, width)) for _ in range(1 + int(random.random() < 0.3))] for _ in range(objects)]
    boxes = np.array([find_box(outline) for outline in outlines], np.float32).reshape(-1, 4)
    labels = random.integers(0, 80, objects)
    return AnnotatedImage(random.integers(0, 256, (height, width, 3), np.uint8), boxes, labels, outlines)


def make_star(random, size):
    """A polygon without crossings, around a point that sees all of it."""
    corners = int(random.integers(5, 12))
    angle = (np.arange(corners) + random.uniform(0, 0.9, corners)) * 2 * np.pi / corners  # never half a turn apart
    radius = random.uniform(0.2, 1, len(angle)) * random.uniform(2, 0.5 * max(size))
    points = random.uniform((0, 0), size[::-1]) + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.clip(points, 0, size[::-1]).ravel()


def make_square(x, y, side):
    return np.array([x, y, x + side, y, x + side, y + side, x, y + side], np.float64)


def with_outlines(size, *outlines):
    boxes = np.array([find_box(outline) for outline in outlines], np.float32).reshape(-1, 4)
    pixels = np.full((*size, 3), 7, np.uint8)
    return AnnotatedImage(pixels, boxes, np.arange(len(outlines)), list(outlines))


def rasterize(outline, size):
    rows = [polygon.tolist() for polygon in outline]
    return hotcoco.mask.decode(hotcoco.mask.merge(hotcoco.mask.frPyObjects(rows, *size)))


def assert_consistent(image, beyond=0.0):
    """Boxes lie inside the image, or `beyond` pixels outside, and are those of the outlines; nothing is missing."""
    height, width = image.size
    assert image.pixels.dtype == np.uint8 and image.boxes.dtype == np.float32 and image.labels.dtype == np.int64
    assert len(image.boxes) == len(image.labels) == len(image.outlines)
    assert (image.boxes >= -beyond).all() and (image.boxes <= np.array([width, height] * 2) + beyond).all()
    for box, outline in zip(image.boxes, image.outlines, strict=True):
        assert all(polygon.dtype == np.float64 for polygon in outline)
        assert np.abs(find_box(outline) - box).max() <= 1e-3


@settings(deadline=None, max_examples=50)
@given(seeds)
def test_flipped_twice_is_the_image_again(seed):
    image = make_image(seed)
    twice = flip(flip(image))
    assert np.array_equal(twice.pixels, image.pixels)
    assert np.abs(twice.boxes - image.boxes).max() <= 1e-4
    for ours, before in zip(twice.outlines, image.outlines, strict=True):
        assert all(np.abs(new - old).max() <= 1e-9 for new, old in zip(ours, before, strict=True))
    assert not np.array_equal(flip(image).pixels, image.pixels)


@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(8, 90), st.integers(40, 130))
def test_resized_and_flipped_boxes_stay_inside_and_agree_with_their_outlines(seed, short, long):
    image = resize(make_image(seed), short, long, "rounded")
    assert_consistent(image)
    assert_consistent(flip(image))


@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(8, 90), st.integers(40, 130))
def test_by_one_factor_boxes_end_where_the_photo_ends_half_a_pixel_off_its_last_one_at_most(seed, short, long):
    image = resize(make_image(seed), short, long, "one_factor")
    height, width = image.extent
    assert (image.boxes >= 0).all() and (image.boxes <= np.float32([width, height] * 2)).all()
    assert_consistent(image, 0.5)
    assert_consistent(flip(image), 0.5)
    assert flip(image).extent == paste(image, make_image(seed + 1, image.size, objects=1)).extent == image.extent


def test_one_factor_scales_boxes_and_outlines_alike_and_mirrors_in_whole_pixels():
    outline = [np.array([60.0, 8.0, 64.0, 8.0, 62.0, 48.0])]
    image = AnnotatedImage(
        np.zeros((48, 64, 3), np.uint8), np.array([[60, 8, 64, 48]], np.float32), np.zeros(1, np.int64), [outline]
    )
    ours, factor = resize(image, 80, 133, "one_factor"), np.float32(80 / 48)
    right = np.float32(64) * factor
    assert ours.size == (80, 107) and ours.extent == (80, float(right)) and right < 107
    assert ours.boxes.tolist() == [[60 * factor, 8 * factor, right, 80]]
    assert ours.outlines[0][0].tolist() == (outline[0].astype(np.float32) * factor).tolist()
    mirrored = flip(ours)
    assert mirrored.boxes.tolist() == [[107 - right, 8 * factor, 107 - 60 * factor, 80]] and mirrored.extent == ours.extent


@settings(deadline=None, max_examples=100)
@given(seeds, st.floats(0.1, 3), st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)), st.sampled_from([(40, 70), (70, 40)]))
def test_jittered_objects_stay_inside_and_agree_with_their_outlines(seed, factor, offset, canvas):
    image = jitter(make_image(seed), canvas, factor, offset, (9, 8, 7))
    assert image.size == canvas
    assert_consistent(image)
    assert all((box[2:] - box[:2] >= 1).all() for box in image.boxes)


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


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_the_parts_of_a_polygon_on_both_sides_of_cuts_have_its_area_together(seed):
    random = np.random.default_rng(seed)
    polygon = make_star(random, (50, 50))
    lines = np.sort(random.uniform(0, 50, (2, 2)), axis=1)
    xs, ys = ([-1.0, *line.tolist(), 51.0] for line in lines)
    total = 0.0
    for left, right in pairwise(xs):
        for top, bottom in pairwise(ys):
            part = clip_polygon((polygon.reshape(-1, 2) - (left, top)).ravel(), right - left, bottom - top)
            if len(part):
                points = part.reshape(-1, 2)
                assert (points >= 0).all() and (points <= (right - left, bottom - top)).all()
                total += polygon_area([part])
    assert total == pytest.approx(polygon_area([polygon]), rel=1e-9)


def test_a_polygon_inside_is_not_touched_and_one_outside_is_gone():
    square = make_square(2, 3, 4)
    assert clip_polygon(square, 10, 10) is square
    assert len(clip_polygon(square + 20, 10, 10)) == 0
    assert len(clip_polygon(make_square(10, 0, 4), 10, 10)) == 0  # touches the border only


def test_a_comb_that_a_cut_takes_apart_covers_the_pixels_it_covered():
    comb = np.array([0, 0, 20, 0, 20, 16, 16, 16, 16, 4, 12, 4, 12, 16, 8, 16, 8, 4, 4, 4, 4, 16, 0, 16], np.float64)
    part = clip_polygon((comb.reshape(-1, 2) - (0, 8)).ravel(), 20, 8)
    assert np.array_equal(rasterize([part], (8, 20)), rasterize([comb], (16, 20))[8:])
    assert rasterize([part], (8, 20)).sum() == 3 * 4 * 8


def test_scaling_multiplies_in_single_precision_and_clips_boxes_but_not_outlines():
    outline = [np.array([-3.5, 1.1, 104.7, 2.3, 50.2, 60.9])]
    image = AnnotatedImage(
        np.zeros((50, 100, 3), np.uint8), np.array([[-3.5, 1.1, 104.7, 60.9]], np.float32), np.zeros(1, np.int64), [outline]
    )
    ours = resize(image, 33, 1000, "rounded")
    scale = np.float32(66 / 100), np.float32(33 / 50)
    expected = outline[0].astype(np.float32)
    expected[0::2] *= scale[0]
    expected[1::2] *= scale[1]
    assert ours.outlines[0][0].tolist() == expected.tolist()
    assert ours.boxes.tolist() == [[0, float(np.float32(1.1) * scale[1]), 66, 33]]


def test_an_object_that_a_crop_cuts_gets_the_box_of_what_is_left_and_others_keep_theirs():
    parts = [make_square(1, 5, 3), make_square(30, 5, 6)]
    image = with_outlines((40, 40), [make_square(2, 2, 10)], [make_square(15, 15, 10)], parts)
    image.boxes[1] += (-0.5, 0, 0, 0.25)  # an annotated box need not be the outline's
    ours = crop(image, 5, 0, (21, 34))
    assert ours.boxes.tolist() == [[2, 0, 12, 7], [14.5, 10, 25, 20.25], [1, 0, 34, 6]]
    assert polygon_area(ours.outlines[0]) == 70
    whole = crop(image, 0, 0, (40, 40))
    assert whole.boxes.tolist() == image.boxes.tolist()


def test_objects_with_almost_nothing_left_are_dropped_and_none_may_be_left():
    image = with_outlines((40, 40), [make_square(9.6, 0, 10)], [make_square(9.4, 0, 10)], [make_square(30, 30, 5)])
    ours = crop(image, 0, 0, (40, 10))  # 4 % and 6 % of the first two are left, less than a pixel wide
    assert len(ours.labels) == 0 and ours.boxes.shape == (0, 4)
    image = with_outlines((40, 40), [make_square(10, 0, 30)], [make_square(8, 0, 30)])
    assert crop(image, 0, 0, (40, 11)).labels.tolist() == [1]  # 3.3 % and 10 %
    assert jitter(image, (20, 20), 0.01, (0, 0)).labels.tolist() == []


def test_a_crop_is_filled_with_the_colour_where_the_image_ends():
    image = make_image(3, (10, 12))
    ours = crop(image, 4, 2, (10, 20), (1, 2, 3)).pixels
    assert np.array_equal(ours[:6, :10], image.pixels[4:, 2:])
    assert (ours[6:] == (1, 2, 3)).all() and (ours[:, 10:] == (1, 2, 3)).all()


def test_jitter_by_one_is_the_fit_and_by_two_shows_a_quarter_of_it():
    image = make_image(5, (60, 100))
    fit = jitter(image, (48, 80), 1.0, (0.5, 0.5))
    assert np.array_equal(fit.pixels, resize_image(image.pixels, 48, 80, "rounded").pixels)
    large = resize_image(image.pixels, 96, 160, "rounded").pixels
    assert np.array_equal(jitter(image, (48, 80), 2.0, (0, 0)).pixels, large[:48, :80])
    assert np.array_equal(jitter(image, (48, 80), 2.0, (0.999, 0.999)).pixels, large[48:, 80:])
    small = jitter(image, (48, 80), 0.5, (0.9, 0.9), (5, 5, 5)).pixels
    assert np.array_equal(small[:24, :40], resize_image(image.pixels, 24, 40, "rounded").pixels)
    assert (small[24:] == 5).all() and (small[:, 40:] == 5).all()


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


@pytest.mark.parametrize("rule", ["pillow", "opencv", "float"])
def test_images_of_other_libraries_rules_train_on_whole_grey_levels_and_go_through_every_step(rule):
    image = resize(make_image(3, (40, 60)), 64, 96, rule)
    assert_consistent(image, beyond=1e-3)
    plain = resize_image(make_image(3, (40, 60)).pixels, 64, 96, rule)
    assert image.size == plain.pixels.shape[:2] and np.abs(image.pixels - plain.pixels.astype(float)).max() <= 0.5
    assert_consistent(crop(flip(image), 3, 5, (50, 70)), beyond=1e-3)
