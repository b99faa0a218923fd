"""Regenerate the picture of twenty augmented photos in docs/images/augmentation.jpg.

python tools/draw_augmentation.py
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import maskzoo
from maskzoo.datasets.mask_outlines import trace

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "augmentation.jpg"
PRESET = "industrial"
WIDTH = 1120  # pixels of the picture

sys.path.insert(0, str(ROOT / "examples"))

from still_life import make_photo  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        data, sheet = write_still_life(Path(place)), Path(place) / "sheet.png"
        sides = ["training.short_sides=[480]", "training.long_side=720"]
        maskzoo.draw_augmented(data, PRESET, out=sheet, image=[1], seed=5, overrides=sides)
        with Image.open(sheet) as image:
            small = image.convert("RGB").resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
            small.save(PICTURE, quality=68, optimize=True)


def write_still_life(folder: Path) -> Path:
    """Write the still life as a data set: one photo, a class for each thing."""
    photo, things = make_photo()
    photo.save(folder / "still_life.png")
    annotations = []
    for number, (_, image) in enumerate(things, 1):
        mask = np.asarray(image) > 127
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = [columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]
        outline = [polygon.tolist() for polygon in trace(mask)]
        row = {"id": number, "image_id": 1, "category_id": number, "bbox": [int(value) for value in box], "iscrowd": 0}
        annotations.append(row | {"area": int(mask.sum()), "segmentation": outline})
    content = {
        "images": [{"id": 1, "file_name": "still_life.png", "width": photo.width, "height": photo.height}],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, (name, _) in enumerate(things, 1)],
    }
    file = folder / "still_life.json"
    file.write_text(json.dumps(content))
    return file


if __name__ == "__main__":
    main()
