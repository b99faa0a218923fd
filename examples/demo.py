"""A walk through the product without any download: a photo is made up, a network is given weights by a rule, both meet.

    python examples/demo.py [--out demo-out]

What it shows is that every step works: reading a weights file, predicting, drawing, writing COCO JSON, converting. What it
does not show is skill: nothing was learnt, so that what the network "finds" is meaningless.
"""

import argparse
import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import maskzoo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # the rule for weights, and a writer of PaddleDetection's files

from pdparams_files import rule_state, write_pdparams  # noqa: E402

ROW = "mask_rcnn_r50_fpn_1x_coco"
SHOWN = 8  # objects in the picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="the folder for photo, picture and JSON")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    maskzoo.keep_freed_memory()
    print(
        "Nothing here was learnt: the weights follow a rule, so the objects found are meaningless. The steps are real.\n"
    )

    with step("make a photo"):
        photo, _ = make_photo()
        photo.save(out / "photo.png")
    weights = out / f"{ROW}.pdparams"
    with step("write rule-made weights as PaddleDetection would"):
        manifest = json.loads((ROOT / "tests" / "golden" / "manifest" / f"{ROW}.json").read_text())
        write_pdparams(weights, rule_state(manifest, "demo"))
    with step(f"load {ROW} from that file"):
        predictor = maskzoo.load(ROW, weights)
    with step("predict"):
        prediction = predictor.predict(out / "photo.png")
    with step("draw, and write COCO JSON"):
        best = prediction[np.argsort(-prediction.scores)[:SHOWN]]
        best.draw().save(out / "prediction.jpg", quality=92)
        (out / "predictions.json").write_text(json.dumps(prediction.to_coco(image_id=1)))
    single = out / "demo.safetensors"
    with step("convert to one .safetensors file, and predict from that alone"):
        maskzoo.convert(weights, single, ROW)
        again = maskzoo.load(single).predict(out / "photo.png")
    if again.masks.rle() != prediction.masks.rle() or again.scores.tolist() != prediction.scores.tolist():
        sys.exit("the converted file predicts something else: that is a bug, please report it")
    weights.unlink()
    single.unlink()

    print(
        f"\n{len(prediction)} objects, the same from both files; {len(best)} of them are drawn in {out / 'prediction.jpg'}"
    )
    print(f"COCO rows: {out / 'predictions.json'}")
    print("With published weights, fetched at the first use:")
    print(f"  maskzoo predict {ROW} YOUR-PHOTO.jpg")


@contextmanager
def step(what: str):  # noqa: ANN201
    print(f"{what:62s}", end="", flush=True)
    start = time.perf_counter()
    yield
    print(f"{time.perf_counter() - start:6.1f} s")


def make_photo(height: int = 480, width: int = 720) -> tuple[Image.Image, list[tuple[str, Image.Image]]]:
    """Paint a still life; returns it and the true mask of each object, named, front objects cut out of those behind."""
    generator = np.random.default_rng(7)
    scale = 3  # painted large and reduced: smooth edges
    canvas = Image.new("RGB", (width * scale, height * scale))
    pen = ImageDraw.Draw(canvas)
    horizon = int(height * 0.58) * scale
    for y in range(height * scale):
        share = y / (height * scale)
        sky = (int(186 - 40 * share), int(205 - 20 * share), int(222 - 8 * share))
        wood = (int(176 - 60 * share), int(132 - 50 * share), int(92 - 40 * share))
        pen.line([(0, y), (width * scale, y)], fill=sky if y < horizon else wood)
    for _ in range(60):  # the grain of the table
        y = int(generator.integers(horizon, height * scale))
        x = int(generator.integers(0, width * scale))
        pen.line([(x, y), (x + int(generator.integers(100, 700)), y + 3)], fill=(120, 84, 56), width=2)
    vase = [(110, 130), (170, 130), (160, 190), (195, 300), (180, 390), (100, 390), (85, 300), (122, 190)]
    book = [(225, 330), (470, 300), (490, 372), (240, 410)]
    cup = [(545, 210), (655, 210), (640, 372), (560, 372)]
    things = [
        ("vase", "polygon", vase, (74, 106, 150)),
        ("book", "polygon", book, (156, 58, 52)),
        ("orange", "ellipse", [(395, 238), (485, 328)], (234, 142, 40)),
        ("apple", "ellipse", [(300, 232), (382, 318)], (188, 44, 50)),
        ("cup", "polygon", cup, (226, 222, 212)),
        ("banana", "arc", [(430, 300), (640, 440)], (240, 208, 70)),
        ("orange", "ellipse", [(205, 352), (281, 428)], (240, 156, 52)),
    ]
    masks: list[tuple[str, Image.Image]] = []
    for name, shape, points, colour in things:
        mask = Image.new("L", canvas.size)
        points = [(x * scale, y * scale) for x, y in points]
        if shape == "ellipse":
            ImageDraw.Draw(mask).ellipse(points, fill=255)
        elif shape == "arc":
            ImageDraw.Draw(mask).arc(points, 20, 160, fill=255, width=34 * scale)
        else:
            ImageDraw.Draw(mask).polygon(points, fill=255)
        shadow = mask.filter(ImageFilter.GaussianBlur(9 * scale)).point(lambda value: int(value * 0.4))
        canvas.paste((50, 36, 30), (6 * scale, 8 * scale), shadow)
        canvas.paste(shade(colour, mask, generator), (0, 0), mask)
        masks = [(kind, Image.composite(Image.new("L", canvas.size), behind, mask)) for kind, behind in masks]
        masks.append((name, mask))
    size = (width, height)
    noise = generator.normal(0, 3, (height, width, 3))
    pixels = np.asarray(canvas.resize(size, Image.Resampling.LANCZOS)) + noise
    small = [(name, mask.resize(size, Image.Resampling.BOX)) for name, mask in masks]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), small


def shade(colour: tuple[int, int, int], mask: Image.Image, generator: np.random.Generator) -> Image.Image:
    """A body of one colour, lit from the upper left, with a little texture."""
    left, top, right, bottom = mask.getbbox() or (0, 0, 1, 1)
    y, x = np.mgrid[0 : mask.height, 0 : mask.width]
    light = 1.22 - 0.5 * ((x - left) / (right - left) * 0.6 + (y - top) / (bottom - top) * 0.4)
    grain = generator.normal(1, 0.02, (mask.height, mask.width))
    return Image.fromarray((np.array(colour) * (light * grain)[..., None]).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
