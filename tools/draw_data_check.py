"""Regenerate the picture of `maskzoo data check`'s page on a bad data set, in docs/images/data_check.jpg.

python tools/draw_data_check.py      It needs a Chromium that draws the page, on the path as `chromium`.
"""

import io
import json
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

import maskzoo
from maskzoo.demonstration.shapes import make_shapes

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "data_check.jpg"
WIDTH, HEIGHT = 1240, 1700  # pixels of the page that are shown


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "parts"
        make_shapes(folder, train=40, val=12)
        spoil(folder)
        page, shot = Path(place) / "page.html", Path(place) / "page.png"
        maskzoo.check_dataset(folder, page=page)
        page.write_text(page.read_text(encoding="utf-8").replace(f"{place}/", ""), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}"]
        subprocess.run(["chromium", *options, page.as_uri()], check=True, capture_output=True, timeout=120)
        with Image.open(io.BytesIO(shot.read_bytes())) as image:
            image.convert("RGB").save(PICTURE, quality=70, optimize=True)


def spoil(folder: Path) -> None:
    """Make of a sound set one as people have it: boxes as corners in val, brushed crowds, a group as a class, odd rows."""
    train, val = (json.loads((folder / f"{split}.json").read_text()) for split in ("train", "val"))
    for row in val["annotations"]:
        x, y, width, height = row["bbox"]
        row["bbox"] = [x, y, x + width, y + height]
    for data in (train, val):
        grouped = [row | {"supercategory": "shapes"} for row in data["categories"]]
        data["categories"] = [{"id": 0, "name": "shapes", "supercategory": "none"}, *grouped]
    for row in train["annotations"][5:18]:
        row["iscrowd"] = 1
    rows = train["annotations"]
    rows[20]["bbox"] = [4, 5, 20, 11]
    rows[22]["segmentation"] = [[value + 60 for value in polygon] for polygon in rows[22]["segmentation"]]
    rows[24]["category_id"] = 9
    rows[26]["area"] = 3
    (folder / "train" / "00030.png").unlink()
    (folder / "val" / "00003.png").write_bytes((folder / "train" / "00003.png").read_bytes())
    for split, data in (("train", train), ("val", val)):
        (folder / f"{split}.json").write_text(json.dumps(data))


if __name__ == "__main__":
    main()
