"""Regenerate the picture of three tracked frames in docs/images/tracked.jpg, by the network that `make demo` trains.

python tools/draw_tracked_video.py demo-out/run/best.safetensors
"""

import math
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

import maskzoo
from maskzoo.demonstration.shapes import FINE, SIDE, outline, texture

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "tracked.jpg"
WIDTH, HEIGHT, FRAMES, RATE = 288, 192, 60, 20
SHOWN = (10, 30, 50)  # frames beside each other in the picture
ENLARGED = 2

# Of each shape: label, size, where it is in the first and in the last frame, its colour.
PATHS = (
    (0, 52, (30, 40), (255, 36), (205, 60, 50)),
    (1, 46, (255, 75), (40, 84), (240, 225, 120)),
    (2, 56, (60, 148), (235, 156), (60, 200, 120)),
    (1, 36, (250, 122), (40, 128), (90, 120, 235)),
)


def main(model: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        clip, out = Path(place) / "clip.mp4", Path(place) / "drawn.mp4"
        film(clip)
        size = (f"input.short_side={HEIGHT}", f"input.long_side={WIDTH}")
        predictor = maskzoo.load(model, overrides=size)
        run = maskzoo.predict_video(predictor, clip, out, track=True, on_progress=lambda event: None)
        print(run)
        with av.open(str(out)) as container:
            frames = [frame.to_image() for number, frame in enumerate(container.decode(video=0)) if number in SHOWN]
    gap = 6
    sheet = Image.new("RGB", (len(frames) * (frames[0].width + gap) - gap, frames[0].height), "white")
    for place, frame in enumerate(frames):
        sheet.paste(frame, (place * (frame.width + gap), 0))
    sheet.save(PICTURE, quality=85, optimize=True)


def film(path: Path) -> None:
    """Write a video of shapes that pass before each other."""
    random = np.random.default_rng(4)
    ground = np.tile(texture(random, 3, np.array([150.0, 150, 160]), 0.1), (HEIGHT // SIDE, WIDTH // SIDE, 1))
    ground = cv2.GaussianBlur(ground, (0, 0), 30)
    shapes = [
        (outline(label, size, random), np.tile(texture(random, label, np.array(colour, float), 0.4), (2, 3, 1)), first, last)
        for label, size, first, last, colour in PATHS
    ]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE, bit_rate=20_000_000)
        stream.width, stream.height, stream.pix_fmt = WIDTH * ENLARGED, HEIGHT * ENLARGED, "yuv420p"
        for number in range(FRAMES):
            canvas, part = ground.copy(), number / (FRAMES - 1)
            for corners, body, first, last in shapes:
                middle = np.array(first) * (1 - part) + np.array(last) * part + [0, 6 * math.sin(part * 9)]
                mask = np.zeros((HEIGHT, WIDTH), np.uint8)
                cv2.fillPoly(mask, [np.round((corners + middle) * FINE).astype(np.int32)], 1, shift=2)
                canvas = np.where(mask[:, :, None] > 0, body, canvas)
            pixels = (canvas + random.normal(0, 4, canvas.shape)).clip(0, 255).astype(np.uint8)
            large = cv2.resize(pixels, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
            frame = av.VideoFrame.from_ndarray(large, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main(sys.argv[1])
