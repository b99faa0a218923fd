"""Paint a photo of a still life and the true mask of each thing in it: the picture of the README is drawn from these.

python examples/still_life.py photo.png
"""

import math
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Part = tuple[Sequence[Point], int]  # a closed outline and 0, or a line and its width; in pixels of the photo
SIZE = 720, 480  # of the photo
FINE = 2  # it is painted larger by this factor and reduced: smooth edges
HORIZON = 285  # where wall and table meet


def make_photo() -> tuple[Image.Image, list[tuple[str, Image.Image]]]:
    """Paint a still life; return it and each thing's name and true mask, those behind without what hides them."""
    random = np.random.default_rng(7)
    canvas = paint_room(random)
    masks: list[tuple[str, Image.Image]] = []
    for name, colour, roundness, parts in list_things():
        mask = Image.new("L", canvas.size)
        pen = ImageDraw.Draw(mask)
        for points, width in parts:
            fine = [(x * FINE, y * FINE) for x, y in points]
            if width:
                pen.line(fine, fill=255, width=width * FINE, joint="curve")
            else:
                pen.polygon(fine, fill=255)
        shadow = mask.filter(ImageFilter.GaussianBlur(10 * FINE)).point(lambda value: value * 0.5)
        canvas.paste((34, 24, 22), (9 * FINE, 7 * FINE), shadow)
        canvas.paste(shade(mask, colour, roundness, random), mask=mask)
        masks = [(kind, Image.composite(Image.new("L", canvas.size), behind, mask)) for kind, behind in masks]
        masks.append((name, mask))
    pixels = np.asarray(canvas.resize(SIZE, Image.Resampling.LANCZOS)) + random.normal(0, 2.5, (SIZE[1], SIZE[0], 3))
    small = [(name, mask.resize(SIZE, Image.Resampling.BOX)) for name, mask in masks]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), small


def list_things() -> list[tuple[str, tuple[int, int, int], int, list[Part]]]:
    """List name, colour, roundness (pixels from the rim to the top) and parts of each thing, the farthest first."""
    bottle = [(590, 96), (614, 96), (615, 160), (640, 205), (643, 372), (561, 372), (564, 205), (589, 160)]
    cup = [(470, 282), (556, 282), (547, 382), (479, 382)]
    handle = [(552, 300), (582, 306), (584, 338), (548, 356)]
    book = [(196, 366), (428, 342), (462, 392), (212, 424)]
    apple = [(300, 283), (334, 276), (342, 312), (322, 354), (284, 354), (262, 312), (270, 276)]
    banana = [(338, 436), (404, 446), (470, 420), (496, 384), (508, 390), (490, 438), (430, 474), (350, 456)]
    leaves: list[Part] = [(bend([(0, 0), (0.5, -0.085), (1, 0), (0.5, 0.085)], *leaf), 0) for leaf in LEAVES]
    return [
        ("bottle", (52, 112, 88), 22, [(bend(bottle), 0)]),
        ("potted plant", (84, 140, 74), 5, leaves),
        ("vase", (186, 112, 80), 18, [([(70, 288), (170, 288), (153, 386), (87, 386)], 0)]),
        ("book", (164, 58, 60), 4, [(book, 0)]),
        ("apple", (196, 46, 48), 26, [(bend(apple), 0), ([(302, 286), (308, 266)], 4)]),
        ("orange", (236, 140, 36), 30, [(circle(386, 308, 46), 0)]),
        ("cup", (226, 220, 208), 14, [(cup, 0), (bend(handle, closed=False), 9)]),
        ("banana", (240, 204, 72), 12, [(bend(banana), 0)]),
        ("orange", (240, 152, 48), 24, [(circle(246, 414, 37), 0)]),
    ]


# Where each leaf begins, its length, its direction in degrees.
LEAVES = (
    (120, 300, 178, -90), (116, 300, 166, -112), (124, 300, 160, -69), (112, 300, 146, -133), (128, 300, 142, -46),
    (108, 300, 112, -156), (132, 300, 110, -25),
)  # fmt: skip


def circle(x: float, y: float, radius: float) -> list[Point]:
    turn = [math.tau * i / 90 for i in range(90)]
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in turn]


def bend(
    points: Sequence[Point], x: float = 0, y: float = 0, length: float = 1, degrees: float = 0, closed: bool = True
) -> list[Point]:
    """Lay a smooth curve (Catmull-Rom) through points, and put it at `x y`, so long, in that direction."""
    ends = [points[-1], *points, *points[:2]] if closed else [points[0], *points, points[-1]]
    p = np.array(ends) @ np.array(
        [[math.cos(math.radians(degrees)), math.sin(math.radians(degrees))],
         [-math.sin(math.radians(degrees)), math.cos(math.radians(degrees))]]
    ) * length + (x, y)  # fmt: skip
    curve = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        for t in np.linspace(0, 1, 12, endpoint=False):
            curve.append(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))))
    if not closed:
        curve.append(p[-2])
    return [(float(x), float(y)) for x, y in curve]


def paint_room(random: np.random.Generator) -> Image.Image:
    """Paint a striped wall in window light over a wooden table."""
    width, height = SIZE[0] * FINE, SIZE[1] * FINE
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / FINE
    light = 1.1 - 0.55 * np.hypot((x - 200) / 900, (y - 60) / 620)
    wall = np.array([148, 172, 178]) * (1 + 0.035 * np.sign(np.sin(x / 11)) + 0.02 * stretch(random, 90, 90))[..., None]
    plank = np.floor((y - HORIZON) / 52)
    grain = stretch(random, 260, 9) * 0.11 + stretch(random, 400, 36) * 0.08 + 0.05 * np.sin(plank * 2.4)
    seam = np.where(np.mod(y - HORIZON, 52) < 1.5, 0.72, 1)
    table = np.array([156, 110, 74]) * ((1 + grain) * seam * np.clip((y - HORIZON) / 14, 0.72, 1))[..., None]
    room = np.where((y < HORIZON)[..., None], wall, table) * light[..., None]
    return Image.fromarray(room.clip(0, 255).astype(np.uint8))


def stretch(random: np.random.Generator, across: int, down: int) -> NDArray[np.float32]:
    """Make soft noise whose patches are about so many pixels across and down."""
    cells = random.normal(0, 1, (SIZE[1] // down + 2, SIZE[0] // across + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(cells).resize((SIZE[0] * FINE, SIZE[1] * FINE), Image.Resampling.BICUBIC))


def shade(mask: Image.Image, colour: tuple[int, int, int], roundness: int, random: np.random.Generator) -> Image.Image:
    """Give a mask a body, lit from the upper left: the blurred mask is its height."""
    blurred = mask.filter(ImageFilter.GaussianBlur(roundness * FINE * 0.7)).convert("F")
    coarse = blurred.resize((SIZE[0] // 2, SIZE[1] // 2), Image.Resampling.BOX)  # a byte's steps would be ripples
    height = np.asarray(coarse.resize(mask.size, Image.Resampling.BICUBIC)).clip(0) / 255
    down, across = np.gradient(np.sqrt(height) * roundness * FINE)
    facing = (1 + across * 0.9 + down * 1.1) / np.sqrt(1 + 2 * across**2 + 2 * down**2) / 1.15
    facing = facing.clip(0)
    light = 0.46 + 0.54 * facing + 0.14 * facing**40
    grain = random.normal(1, 0.015, light.shape)
    return Image.fromarray((np.array(colour) * (light * grain)[..., None]).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    make_photo()[0].save(sys.argv[1])
