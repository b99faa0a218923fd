"""Copies of a picture are found, and different pictures are not."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from faulty_data import make_scene
from maskzoo.dataset_checks.near_duplicates import find_earlier_duplicates, find_near_duplicates, hash_thumbnail, make_thumbnail
from maskzoo.images.read import read_image
from shared_data import need_shared


def compress(pixels, quality):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return read_image(stream.getvalue())


COPIES = {
    "saved again": lambda pixels: compress(pixels, 40),
    "half the size": lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "darker": lambda pixels: (pixels * 0.8).astype(np.uint8),
    "grey": lambda pixels: np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2),
}


def stack(pictures):
    return np.stack([make_thumbnail(picture) for picture in pictures])


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_every_copy_is_found_with_its_original_and_nothing_else(change):
    pictures = [make_scene(seed, (120, 160)) for seed in range(30)]
    others = [make_scene(seed, (120, 160)) for seed in range(100, 130)] + [change(picture) for picture in pictures]
    assert find_near_duplicates(stack(pictures), stack(others)) == [(place, 30 + place) for place in range(30)]


def test_of_several_the_nearest_is_named():
    picture = make_scene(1, (120, 160))
    pictures = [COPIES["darker"](picture), make_scene(2), picture]
    assert find_near_duplicates(stack(pictures), stack([picture])) == [(2, 0)]


def test_flat_pictures_are_not_alike():
    flat = [np.full((40, 40, 3), value, np.uint8) for value in (0, 100, 102, 255)]
    assert find_near_duplicates(stack(flat), stack(flat)) == []


def test_another_object_before_the_same_background_makes_another_picture():
    background = cv2.GaussianBlur(make_scene(3, (120, 160)), (0, 0), 5)
    first, second = background.copy(), background.copy()
    first[20:60, 20:60], second[70:110, 100:140] = (255, 255, 255), (0, 0, 0)
    assert find_near_duplicates(stack([first]), stack([second])) == []


def test_nothing_to_compare_gives_nothing():
    none = np.zeros((0, 32, 32), np.uint8)
    assert find_near_duplicates(none, stack([make_scene(1)])) == find_near_duplicates(stack([make_scene(1)]), none) == []


def test_a_hash_has_as_many_bits_set_as_not():
    assert hash_thumbnail(make_thumbnail(make_scene(5))).bit_count() == 32


def test_real_photos_of_two_splits_are_not_taken_for_copies():
    folder = need_shared("data", "coco")
    train, val = (sorted((folder / name).glob("*.jpg"))[:60] for name in ("train2017", "val2017"))
    assert find_near_duplicates(stack(map(read_image, train)), stack(map(read_image, val))) == []


def test_of_one_set_each_copy_is_found_once_with_the_first_of_its_kind():
    pictures = [make_scene(seed, (120, 160)) for seed in range(4)]
    copies = [change(pictures[2]) for change in COPIES.values()] + [COPIES["darker"](pictures[0])]
    expected = {4: 2, 5: 2, 6: 2, 7: 2, 8: 0}
    assert find_earlier_duplicates(stack(pictures + copies)) == expected
    assert find_earlier_duplicates(np.zeros((0, 32, 32), np.uint8)) == {}
