"""Annotated images with random objects, and what must hold for the objects of any."""

import hotcoco.mask
import numpy as np

from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.training.augment import AnnotatedImage, find_box

FINE = 8  # a pixel's sides are divided by this to measure how much of it an outline covers


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


def cover(outline, size):
    """How much of each pixel lies in an outline, 0 to 1, float32 `[H W]`."""
    fine = rasterize_polygons(outline, (size[0] * FINE, size[1] * FINE), scale=(FINE, FINE))
    return fine.astype(np.float32).reshape(size[0], FINE, size[1], FINE).mean((1, 3))


def draw_objects(seed, size):
    """Three compact objects that may overlap, each drawn in a channel of its own: the picture says where they are."""
    random = np.random.default_rng(seed)
    outlines = []
    for _ in range(3):
        angle = (np.arange(12) + random.uniform(0, 0.8, 12)) * 2 * np.pi / 12
        radius = random.uniform(0.7, 1, 12) * random.uniform(0.15, 0.4) * min(size)
        points = random.uniform((0, 0), size[::-1]) + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        outlines.append([np.clip(points, 0, size[::-1]).ravel()])
    image = with_outlines(size, *outlines)
    return image.with_pixels(np.rint(255 * np.stack([cover(outline, size) for outline in outlines], axis=2)).astype(np.uint8))


def assert_moved_alike(image, smallest=48):
    """Of what `draw_objects` drew, each object of `smallest`^2 pixels or more is where its channel shows it: IoU 0.99.

    One that the picture shows so large is not missing. Returns how many were compared.
    """
    compared = 0
    for channel in range(3):
        shown = image.pixels[..., channel] > 127
        if shown.sum() < smallest**2:
            continue
        (place,) = np.flatnonzero(image.labels == channel)
        ours = cover(image.outlines[place], image.size) >= 0.5
        assert (ours & shown).sum() >= 0.99 * (ours | shown).sum()
        for mine, theirs in zip(find_pixel_box(ours), find_pixel_box(shown), strict=True):
            assert abs(mine - theirs) <= 2
        assert np.abs(find_box(image.outlines[place]) - image.boxes[place]).max() <= 0.5  # where an extent is no whole pixel
        compared += 1
    return compared


def find_pixel_box(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
