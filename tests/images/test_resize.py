import cv2
import numpy as np
import pytest

from maskzoo.images.resize import find_factors, resize_image, resize_photo
from maskzoo.zoo.rows import read_row

RULES = ("one_factor", "rounded")
EVERY_RULE = (*RULES, "pillow", "opencv", "float")
EXTREME_SIZES = [(1, 1), (1, 5000), (5000, 1), (7, 3), (60, 90)]


def make_noise(*size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize(
    ("size", "pixels", "extent"),
    [
        ((427, 640), (800, 1199), (800, 1199.063232)),
        ((640, 427), (1199, 800), (1199.063232, 800)),
        ((333, 500), (800, 1201), (800, 1201.201201)),
        ((480, 640), (800, 1067), (800, 1066.666667)),
        ((640, 650), (800, 812), (800, 812.5)),  # of two as near, the even one
        ((640, 654), (800, 818), (800, 817.5)),
        ((100, 1000), (133, 1333), (133.3, 1333)),
        ((1, 1), (800, 800), (800, 800)),
        ((1, 5000), (1, 1333), (1, 1333)),
    ],
)
def test_one_factor_for_both_axes_leaves_a_fraction_of_a_pixel(size, pixels, extent):
    resized = resize_image(np.zeros((*size, 3), np.uint8), 800, 1333, "one_factor")
    assert resized.pixels.shape[:2] == pixels
    assert resized.extent == tuple(float(np.float32(side)) for side in extent)
    assert np.allclose(resized.scale, np.divide(extent, size), rtol=1e-7)
    assert resized.scale[0] == resized.scale[1] or 1 in pixels


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((427, 640), (800, 1199)),
        ((640, 427), (1199, 800)),
        ((640, 650), (800, 813)),  # half up
        ((100, 1000), (133, 1333)),
        ((1, 1), (800, 800)),
        ((1, 5000), (1, 1333)),
    ],
)
def test_rounded_sides_are_whole_and_each_axis_has_its_factor(size, expected):
    resized = resize_image(np.zeros((*size, 3), np.uint8), 800, 1333, "rounded")
    assert resized.pixels.shape[:2] == resized.extent == expected
    assert resized.scale == tuple(float(np.float32(new / old)) for new, old in zip(expected, size, strict=True))


@pytest.mark.parametrize("rule", EVERY_RULE)
@pytest.mark.parametrize("size", EXTREME_SIZES)
def test_any_photo_can_be_resized_and_has_a_pixel_left(rule, size):
    resized = resize_image(np.full((*size, 3), 77, np.uint8), 80, 133, rule)
    assert np.allclose(resized.pixels, 77, rtol=1e-6) and min(resized.pixels.shape[:2]) >= 1
    assert np.abs(np.subtract(resized.pixels.shape[:2], resized.extent)).max() <= (0.5 if rule == "one_factor" else 0)
    assert np.allclose(resized.extent, np.multiply(size, resized.scale), rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_both_axes_of_a_photo_whose_sides_are_reached_exactly_have_one_factor_by_any_rule(rule):
    photo = make_noise(60, 90)
    resized = resize_image(photo, 80, 133, rule)
    assert find_factors(60, 90, 80, 133, rule) == (80 / 60, 80 / 60)
    assert np.array_equal(resized.pixels, cv2.resize(photo, (120, 80), interpolation=cv2.INTER_CUBIC))


def test_the_rules_differ_by_a_fifth_of_a_pixel_at_the_edge_where_the_size_is_rounded():
    ramp = np.broadcast_to(np.arange(0, 192, 3, dtype=np.uint8)[None, :, None], (48, 64, 3))  # 3 grey levels a pixel
    first, second = (resize_image(np.ascontiguousarray(ramp), 80, 133, rule) for rule in RULES)
    assert first.pixels.shape == second.pixels.shape == (80, 107, 3)
    assert first.extent == (80, float(np.float32(320 / 3))) and second.extent == (80, 107)
    off = (first.pixels.astype(float) - second.pixels).mean(axis=(0, 2)) / 3
    assert np.abs(off[:10].mean()) < 0.02 and 0.15 < off[80:100].mean() < 0.25


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_a_photo_is_resized_by_the_rule_of_its_model_file(rule):
    settings = read_row("mask_rcnn_r50_fpn_1x_coco", ["input.short_side=80", f"input.resize={rule}"]).input
    photo = make_noise(48, 64)
    ours, expected = resize_photo(photo, settings), resize_image(photo, 80, 1333, rule)
    assert np.array_equal(ours.pixels, expected.pixels)
    assert (ours.scale, ours.extent) == (expected.scale, expected.extent)


def test_unrounded_pixels_lie_between_grey_levels_and_whole_ones_are_the_nearest():
    photo = make_noise(48, 64)
    plain, whole = (resize_image(photo, 80, 133, rule).pixels for rule in ("float", "opencv"))
    assert plain.dtype == np.float32 and whole.dtype == np.uint8
    assert plain.shape == (80, 106, 3) and whole.shape == (80, 107, 3)  # 106.67 pixels across, rounded down and to the nearest
    assert (plain % 1 != 0).mean() > 0.9 and plain.min() >= 0 and plain.max() <= 255


def test_pillow_takes_the_mean_of_what_it_shrinks_and_the_others_do_not():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = 240
    spread = {rule: resize_image(stripes, 8, 8, rule).pixels.astype(float).std() for rule in ("pillow", "opencv", "float")}
    assert (spread["pillow"] < 5 and spread["opencv"] == spread["float"] == 0) or spread["pillow"] < spread["opencv"]
    assert 20 < resize_image(stripes, 8, 8, "pillow").pixels.mean() < 40
