"""What the augmentations of pixels do to grey levels and colours."""

import cv2
import numpy as np
import pytest

from maskzoo.training.pixels import (
    LUMA,
    add_noise,
    blur,
    change_brightness,
    change_contrast,
    change_gamma,
    change_saturation,
    compress,
    turn_hue,
)


def make_photo(size=(60, 80)):
    """Smooth colours without the ends of the range."""
    noise = np.random.default_rng(0).integers(40, 216, (4, 4, 3), np.uint8)
    return cv2.resize(noise, size[::-1], interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("change", [change_brightness, change_contrast, change_gamma, change_saturation])
def test_a_factor_of_one_changes_nothing(change):
    assert np.array_equal(change(make_photo(), 1.0), make_photo())


def test_hue_by_no_or_a_whole_turn_changes_nothing_and_by_halves_comes_back():
    photo = make_photo()
    assert np.array_equal(turn_hue(photo, 0), photo)
    muted = change_saturation(photo, 0.2)  # so that no turn leaves the range
    assert np.abs(turn_hue(turn_hue(muted, 180), 180).astype(int) - muted).max() <= 2


def test_brightness_and_contrast_multiply_grey_levels_and_their_distance_from_the_mean():
    grey = np.full((4, 4, 3), 100, np.uint8)
    grey[:2] = 120
    assert sorted(set(change_brightness(grey, 1.5).ravel().tolist())) == [150, 180]
    assert sorted(set(change_brightness(grey, 2.5).ravel().tolist())) == [250, 255]
    assert sorted(set(change_contrast(grey, 3.0).ravel().tolist())) == [80, 140]


def test_gamma_raises_shares_of_white_and_leaves_black_and_white():
    levels = np.array([0, 51, 255], np.uint8)[None, :, None].repeat(3, axis=2)
    assert change_gamma(levels, 2.0)[0, :, 0].tolist() == [0, round(255 * 0.2**2), 255]


def test_without_saturation_a_photo_is_grey_of_the_same_brightness_and_turned_hues_keep_it():
    photo = change_saturation(make_photo(), 0.3)
    grey = change_saturation(photo, 0.0)
    assert np.ptp(grey, axis=2).max() == 0
    assert np.abs(grey[..., 0] - photo @ LUMA).max() <= 1
    turned = turn_hue(photo, 90)
    assert np.abs(turned @ LUMA - photo @ LUMA).max() <= 1.5
    assert np.abs(turned.astype(int) - photo).max() > 10


def test_a_third_of_a_turn_brings_reds_nearer_to_green():
    red = np.full((1, 1, 3), (140, 90, 90), np.uint8)
    assert turn_hue(red, 120)[0, 0].argmax() == 1 and turn_hue(red, 240)[0, 0].argmax() == 2


def test_blur_keeps_a_flat_area_and_smooths_an_edge():
    edge = np.zeros((20, 40, 3), np.uint8)
    edge[:, 20:] = 200
    blurred = blur(edge, 2.0)
    assert (blurred[:, :8] == 0).all() and (blurred[:, 32:] == 200).all()
    assert 60 < blurred[10, 19, 0] < blurred[10, 20, 0] < 140


def test_noise_has_the_deviation_asked_for_and_is_that_of_its_generator():
    grey = np.full((100, 100, 3), 128, np.uint8)
    noisy = add_noise(grey, 8.0, np.random.default_rng(1))
    assert abs(noisy.std() - 8) < 0.2 and abs(noisy.mean() - 128) < 0.3
    assert np.array_equal(noisy, add_noise(grey, 8.0, np.random.default_rng(1)))
    black = add_noise(np.zeros((50, 50, 3), np.uint8), 20.0, np.random.default_rng(1))
    assert black.max() < 128  # what is below black stays black


def test_jpeg_loses_more_at_a_lower_quality_and_keeps_the_channels_in_their_order():
    photo = make_photo()
    losses = [np.abs(compress(photo, quality).astype(int) - photo).mean() for quality in (95, 50, 5)]
    assert losses[0] < 2 and losses[0] < losses[1] < losses[2] < 30
    assert compress(np.full((8, 8, 3), (200, 60, 20), np.uint8), 95)[0, 0].argmax() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 50)])
def test_a_picture_of_one_pixel_passes_through_all(size):
    photo = make_photo(size)
    random = np.random.default_rng(0)
    changed = [
        change_brightness(photo, 1.2), change_contrast(photo, 1.2), change_gamma(photo, 1.2), change_saturation(photo, 1.2),
        turn_hue(photo, 20), blur(photo, 1.0), add_noise(photo, 3.0, random), compress(photo, 50),
    ]  # fmt: skip
    assert all(one.shape == photo.shape and one.dtype == np.uint8 for one in changed)
