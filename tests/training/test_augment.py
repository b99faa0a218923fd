"""What resizing, flipping, turning, warping, cropping and jitter do to an image's objects."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotated_images import (
    assert_consistent,
    assert_moved_alike,
    draw_objects,
    make_image,
    make_square,
    make_star,
    rasterize,
    with_outlines,
)
from maskzoo.datasets.mask_outlines import trace
from maskzoo.images.resize import resize_image
from maskzoo.training.augment import (
    AnnotatedImage,
    clip_polygon,
    crop,
    flip,
    jitter,
    polygon_area,
    resize,
    stretch,
    turn,
    turn_around_centre,
    warp,
)
from maskzoo.training.composites import paste

seeds = st.integers(0, 2**32 - 1)


def turn_by(degrees):
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def assert_same(ours, image):
    assert np.array_equal(ours.pixels, image.pixels) and ours.extent == image.extent and ours.lost == image.lost
    assert np.abs(ours.boxes - image.boxes).max() <= 1e-4
    for new, old in zip(ours.outlines, image.outlines, strict=True):
        assert all(np.abs(mine - before).max() <= 1e-9 for mine, before in zip(new, old, strict=True))


@settings(deadline=None, max_examples=50)
@given(seeds, st.booleans())
def test_flipped_twice_is_the_image_again(seed, vertically):
    image = make_image(seed)
    once = flip(image, vertically=vertically)
    assert_same(flip(once, vertically=vertically), image)
    assert not np.array_equal(once.pixels, image.pixels)


@settings(deadline=None, max_examples=50)
@given(seeds)
def test_four_quarters_are_the_image_again_two_are_both_flips_and_three_one_back(seed):
    image = make_image(seed)
    assert_same(turn(turn(turn(turn(image, 1), 1), 1), 1), image)
    assert turn(image, 4) is image
    assert_same(turn(image, 2), flip(flip(image), vertically=True))
    assert_same(turn(turn(image, 3), 1), image)
    assert turn(image, 1).size == image.size[::-1] and np.array_equal(turn(image, 1).pixels, np.rot90(image.pixels, -1))


MOVES = {
    "flip": flip,
    "vertical flip": lambda image: flip(image, vertically=True),
    "a quarter": lambda image: turn(image, 1),
    "three quarters": lambda image: turn(image, 3),
    "a crop": lambda image: crop(image, 20, 30, (image.size[0] - 50, image.size[1] - 60)),
    "another shape": lambda image: stretch(image, (image.size[0] + 70, image.size[1] - 40)),
    "the network's size": lambda image: resize(image, 180, 300, "one_factor"),
    "jitter": lambda image: jitter(image, (200, 240), 1.3, (0.3, 0.6)),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@settings(deadline=None, max_examples=6)
@given(seed=seeds)
def test_objects_move_as_the_pixels_that_show_them(move, seed):
    random = np.random.default_rng(seed)
    assert_moved_alike(move(draw_objects(seed, tuple(random.integers(180, 300, 2).tolist()))))


@settings(deadline=None, max_examples=15)
@given(seeds, st.floats(-180, 180), st.floats(-30, 30), st.floats(-30, 30))
def test_warped_objects_move_as_the_pixels_that_show_them(seed, degrees, across, down):
    image = draw_objects(seed, (220, 260))
    shear = np.array([[1, np.tan(np.radians(across))], [np.tan(np.radians(down)), 1]])
    for linear in (turn_by(degrees), shear):
        moved = warp(image, turn_around_centre(linear, image.size))
        assert_moved_alike(moved)
        assert_consistent(moved)
        assert moved.lost == len(image.labels) - len(moved.labels)


def test_a_mask_turned_as_pixels_is_the_outline_turned_and_rasterised_by_cocos_rule():
    """Both roundings to whole pixels included; of an object of 128^2 pixels or more they are less than a hundredth."""
    compared = 0
    for seed in range(12):
        image = draw_objects(seed, (420, 420))
        masks = np.stack([rasterize(outline, image.size) * np.uint8(255) for outline in image.outlines], axis=2)
        moved = warp(image.with_pixels(masks), turn_around_centre(turn_by(17.0 * seed + 5), image.size))
        for label, outline in zip(moved.labels.tolist(), moved.outlines, strict=True):
            ours, theirs = rasterize(outline, moved.size) > 0, moved.pixels[..., label] > 127
            if theirs.sum() >= 128**2:
                assert (ours & theirs).sum() >= 0.99 * (ours | theirs).sum()
                compared += 1
    assert compared >= 10


def test_a_rotation_by_a_quarter_of_a_square_picture_is_a_quarter_turn():
    image = draw_objects(3, (200, 200))
    turned, warped = turn(image, 1), warp(image, turn_around_centre(turn_by(90), image.size))
    assert np.abs(turned.pixels.astype(int) - warped.pixels).max() <= 1
    assert np.abs(turned.boxes - warped.boxes).max() <= 1e-3


def test_what_leaves_a_warped_picture_is_dropped_and_counted_and_bare_ground_is_filled():
    image = with_outlines((60, 100), [make_square(2, 2, 6)], [make_square(45, 25, 10)])
    turned = warp(image, turn_around_centre(turn_by(90), image.size), (9, 8, 7))
    assert turned.labels.tolist() == [1] and turned.lost == 1
    assert turned.boxes.tolist() == [pytest.approx([45, 25, 55, 35], abs=1e-4)]
    assert (turned.pixels[:, :19] == (9, 8, 7)).all() and (turned.pixels[:, 22:78] == 7).all()


def test_a_crowds_region_moves_along_although_it_was_run_lengths():
    """Crowds train as objects where the settings say so: traced to the edges of pixels, they turn exactly."""
    mask = rasterize([make_star(np.random.default_rng(2), (50, 70))], (50, 70))
    image = with_outlines((50, 70), trace(mask))
    turned = turn(image, 1)
    assert np.array_equal(rasterize(turned.outlines[0], turned.size), np.rot90(mask, -1))
    assert_consistent(turned)


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
    gone = jitter(image, (20, 20), 0.01, (0, 0))
    assert gone.labels.tolist() == [] and gone.lost == 2


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


@pytest.mark.parametrize("rule", ["pillow", "opencv", "float"])
def test_images_of_other_libraries_rules_train_on_whole_grey_levels_and_go_through_every_step(rule):
    image = resize(make_image(3, (40, 60)), 64, 96, rule)
    assert_consistent(image, beyond=1e-3)
    plain = resize_image(make_image(3, (40, 60)).pixels, 64, 96, rule)
    assert image.size == plain.pixels.shape[:2] and np.abs(image.pixels - plain.pixels.astype(float)).max() <= 0.5
    assert_consistent(crop(flip(image), 3, 5, (50, 70)), beyond=1e-3)
