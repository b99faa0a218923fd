"""A mask is read as numbers, whatever file it is in, and soft edges are told from objects."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from maskzoo.datasets.importers.class_lists import pack_colour
from maskzoo.datasets.importers.mask_files import MaskPicture, find_soft_edges, read_mask, trace_objects
from maskzoo.errors import ImageError

NUMBERS = np.arange(12).reshape(3, 4)


def save(path, array, mode=None):
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "dtype"), [("a.png", np.uint8), ("a.tif", np.uint16), ("a.tif", np.int32), ("a.tif", np.float32)]
)
def test_numbers_are_those_of_the_file(tmp_path, name, dtype):
    mask = read_mask(save(tmp_path / name, (NUMBERS * 20).astype(dtype)), (3, 4))
    assert np.array_equal(mask.numbers, NUMBERS * 20) and not mask.colours and mask.void == 255


def test_palette_places_keep_their_colours_and_colours_that_are_greys_are_numbers(tmp_path):
    image = Image.fromarray(NUMBERS.astype(np.uint8))
    image.putpalette([value for place in range(12) for value in (place, 0, 200)])
    image.save(tmp_path / "a.png")
    mask = read_mask(tmp_path / "a.png", (3, 4))
    assert np.array_equal(mask.numbers, NUMBERS)
    assert np.array_equal(mask.to_colours().numbers, (NUMBERS << 16) + 200)
    grey = read_mask(save(tmp_path / "b.png", np.repeat(NUMBERS[..., None], 3, 2).astype(np.uint8)), (3, 4))
    assert np.array_equal(grey.numbers, NUMBERS) and not grey.colours
    assert grey.to_colours().numbers[2, 3] == pack_colour(11, 11, 11)


def test_a_colour_is_one_number_and_is_told_as_a_colour(tmp_path):
    colours = np.zeros((3, 4, 3), np.uint8)
    colours[1, 2] = (250, 50, 83)
    mask = read_mask(save(tmp_path / "a.png", colours), (3, 4))
    assert mask.colours and mask.describe(int(mask.numbers[1, 2])) == "250, 50, 83"
    assert mask.to_colours() is mask


def test_labelmes_numpy_masks_are_read_and_what_it_ignores_is_nothing(tmp_path):
    np.save(tmp_path / "a.npy", NUMBERS.astype(np.int32) - 1)
    assert read_mask(tmp_path / "a.npy", (3, 4)).numbers.ravel().tolist() == [0, *range(11)]
    np.save(tmp_path / "b.npy", np.zeros((3, 4, 3)))
    np.save(tmp_path / "c.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "d.npy").write_bytes(b"text")
    (tmp_path / "e.npy").write_bytes((tmp_path / "a.npy").read_bytes().replace(b", }", b", \x19"))
    for name, said in (
        ("b", "float64 of the shape"),
        ("c", "cannot be read"),
        ("d", "cannot be read as a NumPy array"),
        ("e", "cannot be read"),
    ):
        with pytest.raises(ImageError, match=rf"{name}\.npy: .*{said}"):
            read_mask(tmp_path / f"{name}.npy", (3, 4))


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("a.png", lambda path: path.write_bytes(b"text"), "not an image"),
        ("a.tif", lambda path: save(path, NUMBERS.astype(np.float32) / 2), "not whole"),
        ("a.tif", lambda path: save(path, NUMBERS.astype(np.int32) - 1), "below 0, -1"),
        ("a.tif", lambda path: save(path, NUMBERS.astype(np.uint8), "CMYK"), "CMYK"),
        ("a.png", lambda path: save(path, NUMBERS.T.astype(np.uint8).copy()), "3 x 4 pixels; expected its picture's 4 x 3"),
    ],
)
def test_what_cannot_be_a_mask_is_refused_with_its_name(tmp_path, name, make, said):
    make(tmp_path / name)
    with pytest.raises(ImageError, match=said) as caught:
        read_mask(tmp_path / name, (3, 4))
    assert str(caught.value).startswith(str(tmp_path / name))


def test_a_threshold_takes_what_is_above_it_in_greys_and_colours(tmp_path):
    grey = save(tmp_path / "a.png", (NUMBERS * 20).astype(np.uint8))
    assert read_mask(grey, (3, 4), 100).numbers.sum() == (NUMBERS * 20 > 100).sum()
    colours = np.stack([NUMBERS * 20, NUMBERS * 20, NUMBERS * 20 + 3], -1).astype(np.uint8)
    assert read_mask(save(tmp_path / "b.png", colours), (3, 4), 100).numbers.sum() == (NUMBERS * 20 + 1 > 100).sum()


def draw(numbers=(255, 255)):
    image = Image.new("L", (320, 240))
    pen = ImageDraw.Draw(image)
    pen.ellipse((30, 40, 150, 180), fill=numbers[0])
    pen.rectangle((200, 50, 260, 200), fill=numbers[1])
    return image


def compress(image, quality):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


RESIZE = Image.Resampling
SOFT = {
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "JPEG": lambda image: compress(image, 75),
    "good JPEG": lambda image: compress(image, 95),
    "smaller": lambda image: image.resize((171, 133), RESIZE.BILINEAR),
    "half": lambda image: image.resize((160, 120), RESIZE.BICUBIC),
    "larger": lambda image: image.resize((500, 411), RESIZE.LANCZOS),
    "drawn smoothly": lambda image: image.resize((160, 120), RESIZE.BOX),
}


@pytest.mark.parametrize("kind", SOFT)
@pytest.mark.parametrize("numbers", [(255, 255), (9, 17)])
def test_soft_edges_are_seen_in_black_and_white_and_in_numbers_of_objects(kind, numbers):
    image = SOFT[kind](draw(numbers))
    file = Path("a.jpg" if kind.endswith("JPEG") else "a.png")
    assert "soft edges" in find_soft_edges(MaskPicture(file, np.asarray(image).astype(np.int64)))


def make_cells():
    """Two hundred cells that touch each other, some of them tiny."""
    random = np.random.default_rng(3)
    middles = random.integers(0, 150, (200, 2))
    y, x = np.mgrid[:150, :150]
    return ((y[..., None] - middles[:, 0]) ** 2 + (x[..., None] - middles[:, 1]) ** 2).argmin(-1) + 1


SHARP = {
    "two objects": np.asarray(draw((255, 255))),
    "touching cells": make_cells(),
    "cells with gaps": make_cells() * (np.arange(150) % 20 > 0),
    "nearest neighbour": np.asarray(draw((9, 17)).resize((171, 133), RESIZE.NEAREST)),
    "single pixels": np.where((np.indices((60, 60)) % 2 == 0).all(0), np.arange(3600).reshape(60, 60), 0),
    "few pixels": np.array([[1, 2, 1], [2, 1, 0]]),
    "nothing": np.zeros((9, 9), np.int64),
}


@pytest.mark.parametrize("kind", SHARP)
def test_sharp_masks_are_not_taken_for_soft_ones(kind):
    assert find_soft_edges(MaskPicture(Path("a.png"), SHARP[kind].astype(np.int64))) is None


def test_objects_come_by_rising_number_without_those_ignored():
    numbers = np.array([[3, 0, 255], [1, 1, 3]])
    found = list(trace_objects(numbers, (255,)))
    assert [one.number for one in found] == [1, 3]
    assert found[0].pixels.tolist() == [3, 4] and len(found[1].polygons) == 2


def test_numbers_in_a_jpeg_file_are_not_objects(tmp_path):
    Image.merge("RGB", [draw((200, 0)), draw((30, 128)), draw((60, 255))]).save(tmp_path / "a.jpg", quality=100, subsampling=0)
    assert "saved as JPEG" in find_soft_edges(read_mask(tmp_path / "a.jpg", None))
    assert find_soft_edges(read_mask(tmp_path / "a.jpg", None, threshold=50)) is None
