"""How a list of augmentations is followed: what happens, how strongly, and in which order."""

import numpy as np
import pytest

from annotated_images import assert_consistent, draw_objects, make_image
from maskzoo.augmentations import PRESETS, Blur, ByDegrees, ByFactor, CutOut, Jpeg, Noise, Shear, WithoutStrength
from maskzoo.training.augment import flip, turn
from maskzoo.training.draws import augment
from maskzoo.training.pixels import change_brightness, change_gamma, turn_hue

ALWAYS = {
    "vertical_flip": WithoutStrength(kind="vertical_flip", probability=1),
    "quarter_turn": WithoutStrength(kind="quarter_turn", probability=1),
    "mosaic": WithoutStrength(kind="mosaic", probability=1),
    "rotate": ByDegrees(kind="rotate", probability=1, degrees=(-20.0, 20.0)),
    "shear": Shear(kind="shear", probability=1, degrees=(-10.0, 10.0)),
    "brightness": ByFactor(kind="brightness", probability=1, factor=(0.5, 0.8)),
    "contrast": ByFactor(kind="contrast", probability=1, factor=(0.5, 0.8)),
    "saturation": ByFactor(kind="saturation", probability=1, factor=(0.5, 0.8)),
    "gamma": ByFactor(kind="gamma", probability=1, factor=(1.5, 2.0)),
    "hue": ByDegrees(kind="hue", probability=1, degrees=(20.0, 40.0)),
    "blur": Blur(kind="blur", probability=1, sigma=(1.0, 2.0)),
    "noise": Noise(kind="noise", probability=1, deviation=(5.0, 9.0)),
    "jpeg": Jpeg(kind="jpeg", probability=1, quality=(10, 20)),
    "cut_out": CutOut(kind="cut_out", probability=1, holes=(2, 3), side=(0.1, 0.3)),
}


def follow(image, *augmentations, seed=0):
    return augment(image, augmentations, np.random.default_rng(seed), lambda: draw_objects(9, (90, 120)), (5, 6, 7))


@pytest.mark.parametrize("augmentation", ALWAYS.values(), ids=ALWAYS)
def test_each_changes_a_picture_the_same_way_for_the_same_draws_and_never_where_its_probability_is_0(augmentation):
    image = make_image(1, (60, 80))
    ours = follow(image, augmentation)
    assert_consistent(ours, beyond=1e-3)
    again, other = follow(image, augmentation), follow(image, augmentation, seed=1)
    assert np.array_equal(ours.pixels, again.pixels) and np.array_equal(ours.boxes, again.boxes)
    assert ours.pixels.shape != image.pixels.shape or not np.array_equal(ours.pixels, image.pixels)
    if augmentation.kind != "vertical_flip":
        assert ours.pixels.shape != other.pixels.shape or not np.array_equal(ours.pixels, other.pixels)
    assert follow(image, augmentation.model_copy(update={"probability": 0.0})) is image


@pytest.mark.parametrize("augmentation", ALWAYS.values(), ids=ALWAYS)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (2, 2)])
def test_a_picture_of_a_few_pixels_without_an_object_passes_through(augmentation, size):
    ours = follow(make_image(1, size, objects=0), augmentation)
    assert set(ours.size) == set(size) and ours.pixels.dtype == np.uint8
    if augmentation.kind != "mosaic":
        assert len(ours.labels) == 0


def test_the_list_is_followed_in_its_order():
    image = make_image(2, (40, 60))
    darker = ByFactor(kind="brightness", probability=1, factor=(0.4, 0.4))
    curve = ByFactor(kind="gamma", probability=1, factor=(0.5, 0.5))
    assert np.array_equal(follow(image, darker, curve).pixels, change_gamma(change_brightness(image.pixels, 0.4), 0.5))
    assert np.array_equal(follow(image, curve, darker).pixels, change_brightness(change_gamma(image.pixels, 0.5), 0.4))


def test_strengths_are_drawn_evenly_between_the_two_ends():
    grey = make_image(0, (2, 2), objects=0)
    grey = grey.with_pixels(np.full((2, 2, 3), 100, np.uint8))
    wide = ByFactor(kind="brightness", probability=1, factor=(0.5, 1.5))
    levels = [follow(grey, wide, seed=seed).pixels[0, 0, 0] for seed in range(300)]
    assert 50 <= min(levels) < 55 and 145 < max(levels) <= 150
    counts, _ = np.histogram(levels, [50, 75, 100, 125, 151])
    assert counts.min() > 45


def test_it_happens_as_often_as_its_probability_says_and_all_quarters_alike():
    image = make_image(0, (4, 6), objects=0)
    often = WithoutStrength(kind="vertical_flip", probability=0.3)
    assert 60 < sum(follow(image, often, seed=seed) is not image for seed in range(300)) < 120
    quarters = [turn(image, number).pixels.tobytes() for number in (1, 2, 3)]
    found = [quarters.index(follow(image, ALWAYS["quarter_turn"], seed=seed).pixels.tobytes()) for seed in range(150)]
    assert all(found.count(number) > 30 for number in range(3))
    assert np.array_equal(follow(image, ALWAYS["vertical_flip"]).pixels, flip(image, vertically=True).pixels)


def test_colours_leave_objects_alone():
    image = make_image(1, (60, 80))
    for kind in ("brightness", "contrast", "saturation", "gamma", "hue", "blur", "noise", "jpeg"):
        ours = follow(image, ALWAYS[kind])
        assert ours.boxes is image.boxes and ours.outlines is image.outlines
    fixed = ByDegrees(kind="hue", probability=1, degrees=(30.0, 30.0))
    assert np.array_equal(follow(image, fixed).pixels, turn_hue(image.pixels, 30.0))


def test_a_positive_rotation_is_clockwise():
    image = draw_objects(0, (100, 100))
    quarter = ByDegrees(kind="rotate", probability=1, degrees=(90.0, 90.0))
    assert np.abs(follow(image, quarter).pixels.astype(int) - turn(image, 1).pixels).max() <= 1


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_leave_sound_objects_and_most_of_them(preset):
    kept = 0
    for seed in range(25):
        ours = follow(draw_objects(seed, (120, 160)), *PRESETS[preset], seed=seed)
        assert_consistent(ours, beyond=1e-3)
        kept += len(ours.labels)
    assert kept >= 0.8 * 25 * 3
