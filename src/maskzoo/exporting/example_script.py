"""Finds the objects on a photo with an exported Mask R-CNN. Needs numpy, Pillow, and onnxruntime or openvino.

python THIS_SCRIPT photo.jpg [found.png]

The .json file beside this script names the network's file and says how to prepare a photo. Unless the network takes whole
photos, it takes one or more images whose sides are filled up with zeros to multiples of "multiple", as `prepare` does.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

LEAST_SCORE = 0.5
Array = NDArray[Any]
Run = Callable[[Path, dict[str, Array]], list[Array]]  # gives the network's outputs


def main(photo: str, out: str = "found.png", *, run: Run | None = None) -> None:
    run = run or run_file
    settings = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    pixels = np.asarray(ImageOps.exif_transpose(Image.open(photo)).convert("RGB"))
    network = Path(__file__).parent / settings["file"]
    if settings["prepares"]:  # the network takes whole photos
        boxes, scores, labels, valid, masks = run(network, {"photo": pixels})
    else:
        image, size, scale = prepare(pixels, settings)
        inputs = {"images": image[None], "sizes": np.array([size], np.float32)}
        boxes, scores, labels, valid, masks = run(network, inputs)
        boxes = boxes / [scale[1], scale[0], scale[1], scale[0]]
    picture = pixels.astype(np.float32)
    for slot in np.flatnonzero(valid[0] & (scores[0] >= LEAST_SCORE)):
        box = boxes[0, slot]
        frame = find_whole_pixels(box, masks.shape[-1]) if settings["paste"] == "whole_pixels" else box
        mask = paste(masks[0, slot], frame, pixels.shape[:2]) >= settings["mask_threshold"]
        colour = np.random.default_rng(slot).integers(60, 256, 3)
        picture[mask] = picture[mask] * 0.5 + colour * 0.5
        corners = " ".join(f"{value:.1f}" for value in box)
        name = settings["classes"][labels[0, slot]]
        print(f"{name:16s} {scores[0, slot]:.3f}  box {corners}  {mask.sum()} pixels")
    Image.fromarray(picture.astype(np.uint8)).save(out)
    print(f"Saved {out}")


def prepare(pixels: Array, settings: dict[str, Any]) -> tuple[Array, tuple[float, float], tuple[float, float]]:
    """The photo as the network expects it: short side scaled, normalised, zeros up to a multiple at the right and below."""
    height, width = pixels.shape[:2]
    factor = min(settings["short_side"] / min(height, width), settings["long_side"] / max(height, width))
    rule = settings["resize"]
    if rule == "one_factor":
        down, across = (factor if round(factor * side) else 1 / side for side in (height, width))
    else:
        half = 0.0 if rule == "float" else 0.5
        down, across = (max(1, int(factor * side + half)) / side for side in (height, width))
    resized = resize(pixels, down, across, rule)
    normalised = (resized / 255 - np.array(settings["mean"])) / np.array(settings["std"])
    rows, columns = resized.shape[:2]
    multiple = settings["multiple"]
    canvas = np.zeros((3, -(-rows // multiple) * multiple, -(-columns // multiple) * multiple), np.float32)
    canvas[:, :rows, :columns] = normalised[..., :: -1 if settings["order"] == "bgr" else 1].transpose(2, 0, 1)
    return canvas, (down * height, across * width), (down, across)


def resize(pixels: Array, down: float, across: float, rule: str) -> Array:
    """The photo with the kernel that the network was trained with: cubic, linear, or Pillow's, which takes means."""
    if rule == "pillow":
        size = round(across * pixels.shape[1]), round(down * pixels.shape[0])
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    enlarge = resize_linearly if rule in ("opencv", "float") else resize_rows
    resized = enlarge(enlarge(pixels.astype(np.float32), down).transpose(1, 0, 2), across).transpose(1, 0, 2)
    return resized if rule == "float" else np.clip(np.round(resized), 0, 255)


def resize_linearly(pixels: Array, factor: float) -> Array:
    """Linear interpolation of the rows, edges repeated."""
    place = ((np.arange(round(factor * len(pixels))) + 0.5) / factor - 0.5).clip(0, len(pixels) - 1)
    first = np.floor(place).astype(int)
    share = (place - first).astype(np.float32)[:, None, None]
    out: Array = pixels[first] * (1 - share) + pixels[(first + 1).clip(0, len(pixels) - 1)] * share
    return out


def resize_rows(pixels: Array, factor: float) -> Array:
    """Cubic interpolation (a = -0.75) of the rows, edges repeated."""
    count = round(factor * len(pixels))
    place = (np.arange(count) + 0.5) / factor - 0.5
    first = np.floor(place).astype(int)
    out = np.zeros((count, *pixels.shape[1:]), np.float32)
    for tap in range(-1, 3):
        distance = np.abs(place - first - tap)
        near = (1.25 * distance - 2.25) * distance**2 + 1
        far = ((-0.75 * distance + 3.75) * distance - 6) * distance + 3
        weight = np.where(distance <= 1, near, far).astype(np.float32)
        out += weight[:, None, None] * pixels[(first + tap).clip(0, len(pixels) - 1)]
    return out


def run_file(path: Path, inputs: dict[str, Array]) -> list[Array]:
    """The outputs of the network; OpenVINO is the faster of the two runtimes."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else onnxruntime reports its use, and OpenVINO by the package below
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError:
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return list(session.run(None, inputs))
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(inputs)
    return [found[name] for name in ("boxes", "scores", "labels", "valid", "masks")]


def paste(mask: Array, box: Array, size: tuple[int, ...]) -> Array:
    """The mask's probabilities, stretched over its box, zero elsewhere: float, as large as the photo."""
    pasted = np.zeros(size, np.float32)
    left, top, right, bottom = (int(value) for value in (*np.floor(box[:2]).clip(0), *np.ceil(box[2:])))
    right, bottom = min(right, size[1]), min(bottom, size[0])
    if right > left and bottom > top:
        down = weigh(np.arange(top, bottom), box[1], box[3], len(mask))
        across = weigh(np.arange(left, right), box[0], box[2], len(mask))
        pasted[top:bottom, left:right] = down @ mask @ across.T
    return pasted


def find_whole_pixels(box: Array, cells: int) -> Array:
    """Where a mask's cells lie if it, and a border of one cell, are stretched to whole pixels, as torchvision does."""
    centre, half = (box[2:] + box[:2]) / 2, (box[2:] - box[:2]) / 2 * (cells + 2) / cells
    low, high = np.trunc(centre - half), np.trunc(centre + half)
    cell = np.maximum(high - low + 1, 1) / (cells + 2)
    return np.concatenate([low + cell, low + cell * (cells + 1)])


def weigh(pixels: Array, low: float, high: float, cells: int) -> Array:
    """How much of each cell's value a pixel's centre takes, between two cells linearly, zero beyond the mask."""
    place = (pixels + 0.5 - low) / (high - low) * cells - 0.5
    weights: Array = (1 - np.abs(place[:, None] - np.arange(cells))).clip(0)
    return weights


if __name__ == "__main__":
    main(*sys.argv[1:])
