"""A small data set made on the spot: textured shapes over textured backgrounds, in COCO's format.

Ellipses have patches, rectangles checks, triangles stripes, and so have backgrounds. Shapes hide each other, some are thin,
some are tiny. Outlines are of what can be seen.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskzoo.datasets.mask_outlines import trace
from maskzoo.errors import MaskzooError
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import explained, make_folder, write_file

__all__ = ["CLASSES", "FINE", "SIDE", "make_shapes", "outline", "paint", "texture"]

SIDE = 96  # pixels of a picture
CLASSES = ("ellipse", "rectangle", "triangle")
LEAST_VISIBLE = 12  # pixels; what shows less is not annotated
FINE = 4  # corners are placed to a quarter of a pixel

Pixels = NDArray[np.uint8]


def make_shapes(out: Path, *, train: int, val: int, seed: int = 0, on_progress: OnProgress = say_nothing) -> None:
    """Write both splits as COCO files and folders of PNG pictures; the same numbers give the same files.

    Args:
        out: the folder for `train.json`, `val.json` and their pictures.
        train: how many pictures there are to train on.
        val: how many to measure on.
        seed: another number, other pictures.
        on_progress: is called for each picture.

    Raises:
        MaskzooError: a file cannot be written.
    """
    done = 0
    for split, (name, count) in enumerate((("train", train), ("val", val))):
        make_folder(out / name)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(1, count + 1):
            pixels, shapes = paint(np.random.default_rng([seed, split, number]))
            file = f"{number:05d}.png"
            with explained(out / name / file, MaskzooError):
                Image.fromarray(pixels).save(out / name / file)
            images.append({"id": number, "file_name": file, "width": SIDE, "height": SIDE})
            for label, mask in shapes:
                annotations.append(_annotate(len(annotations) + 1, number, label, mask))
            done += 1
            on_progress(ProgressEvent("Painting", done, train + val))
        categories = [{"id": place, "name": text} for place, text in enumerate(CLASSES, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_file(out / f"{name}.json", json.dumps(content).encode())


def _annotate(number: int, image: int, label: int, mask: Pixels) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "id": number,
        "image_id": image,
        "category_id": label + 1,
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "area": int(mask.sum()),
        "iscrowd": 0,
        "segmentation": [polygon.tolist() for polygon in trace(mask)],
    }


def paint(random: np.random.Generator) -> tuple[Pixels, list[tuple[int, Pixels]]]:
    """Return a picture `[H W 3]` and the label and visible mask `[H W]` of each of its shapes."""
    canvas = texture(random, int(random.integers(4)), random.uniform(20, 235, 3), 0.2)
    shapes: list[tuple[int, Pixels]] = []
    for _ in range(random.integers(1, 4)):
        label = int(random.integers(len(CLASSES)))
        size = random.uniform(6, 10) if random.random() < 0.04 else random.uniform(30, 60)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        points = outline(label, size, random) + random.uniform(10, SIDE - 10, 2)
        cv2.fillPoly(mask, [np.round(points * FINE).astype(np.int32)], 1, shift=2)
        away = np.abs(canvas.mean(axis=(0, 1)) - (colours := random.uniform(20, 235, (8, 3)))).sum(axis=1)
        body = texture(random, label, colours[away.argmax()], 0.4)
        canvas = np.where(mask[:, :, None] > 0, body, canvas)
        shapes = [(kind, below & (1 - mask)) for kind, below in shapes]
        shapes.append((label, mask))
    noisy = canvas + random.normal(0, 4, canvas.shape)
    visible = [(label, mask) for label, mask in shapes if mask.sum() >= LEAST_VISIBLE]
    return noisy.clip(0, 255).astype(np.uint8), visible


def outline(label: int, size: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the corners `[N 2]` of a shape around 0, turned at random; some are thin."""
    corners = {"ellipse": 40, "rectangle": 4, "triangle": 3}[CLASSES[label]]
    angles = np.linspace(0, math.tau, corners, endpoint=False) + math.pi / 4
    reach = size * {"ellipse": 0.5, "rectangle": 0.62, "triangle": 0.66}[CLASSES[label]]
    squeeze = random.uniform(0.2, 0.35) if random.random() < 0.06 else random.uniform(0.75, 1)
    points = np.stack([np.cos(angles), np.sin(angles) * squeeze], axis=1) * reach
    turn = random.uniform(0, math.tau)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return np.asarray(points @ rotation.T)


def texture(random: np.random.Generator, kind: int, colour: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """Return a picture-sized pattern `[H W 3]` around a colour: patches, checks, stripes (as on the classes) or a slope."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    angle, period = random.uniform(0, math.pi), random.uniform(5, 12)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    if kind == 2:
        pattern = np.sign(np.sin(along * math.tau / period))
    elif kind == 1:
        pattern = np.sign(np.sin(along * math.tau / period) * np.sin(across * math.tau / period))
    elif kind == 0:
        cells = random.normal(0, 0.7, (SIDE // 8, SIDE // 8))
        pattern = np.asarray(cv2.resize(cells, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    else:
        pattern = (along - along.mean()) / SIDE * 2
    shift = random.normal(0, 1, 3)
    change = 60 * strength * pattern[:, :, None] * (0.6 + 0.4 * shift)
    return np.asarray((colour + change).clip(0, 255))
