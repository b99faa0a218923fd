"""Make the golden set `one_factor` anew from the paddledet 2.6.0 wheel, or tell how its files differ from new ones.

    python -m golden.generate_one_factor --reference ~/PaddleDetection [--check] [FILE ...]

Until that release a photo was resized by one factor for both axes, as when the published weights were trained. Run it in the
folder `tests`, in an environment of its own with paddlepaddle 3.3.1, paddledet 2.6.0 (which wants numpy 1.23, whose products
of float32 arrays and numbers are float32) and setuptools below 81. The wheel lacks the configurations: `--reference` is a
checkout that has them, of any release. 2.6.0 pools aligned as configured, and is edited only where Paddle 3 took away that a
number has an axis. The photos are drawn here, too.
"""

import argparse
import json
from functools import partial
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from golden import storage
from golden.generate import make_content, make_each
from golden.reference import Edit, open_reference
from golden.sets import Fixture, GoldenSet

FOLDER = Path(__file__).parent / "one_factor"
CATEGORIES = FOLDER.parent / "portable" / "annotations.json"
# Height and width of the photos: at 320 by 533 one ends 0.4 pixels before its last pixel's end, the other 0.5 beyond it.
PHOTOS = {1: (427, 640), 2: (500, 333)}
OBJECTS = 7
LEFT_OUT = ("backbone.", "fpn.", "rpn.", "anchors.", "box.")  # stages that know no sizes: the other sets hold them
STEP = 32  # grey levels between those that the photos have, which keeps their files small
SET = GoldenSet(
    weight_seed="golden-one-factor-1",
    unit_seed=0,
    infer={"small_a": 1, "small_b": 2},
    train={"one": (1,), "flip": (2,)},
    fixtures=(
        *(Fixture("infer", arch, case) for arch in ("r50_fpn", "r50_c4") for case in ("small_a", "small_b")),
        Fixture("train", "r50_fpn", "one"),
        Fixture("train", "r50_fpn", "flip"),
        Fixture("train", "r50_c4", "one"),
    ),
)
_edit = partial(Edit, why="a number of a tensor has no axis since Paddle 2.5, and cannot be joined to others")
EDITS = (
    _edit("ppdet.modeling.proposal_generator.rpn_head", "paddle.shape(topk_rois)[0])", "paddle.shape(topk_rois)[0:1])"),
    _edit(
        "ppdet.modeling.proposal_generator.target",
        "paddle.shape(sampled_inds)[0])",
        "paddle.shape(sampled_inds)[0:1])",
        times=2,
    ),
    _edit("ppdet.modeling.proposal_generator.target", "paddle.shape(fg_rois)[0])", "paddle.shape(fg_rois)[0:1])"),
    _edit("ppdet.modeling.post_process", "bbox_num_i = bbox_num[i]", "bbox_num_i = bbox_num[i:i + 1]"),
    _edit(
        "ppdet.modeling.post_process",
        "scale_factor[i][0], scale_factor[i][1]",
        "scale_factor[i][0:1], scale_factor[i][1:2]",
    ),
)
FILES = ["inputs", *(fixture.name for fixture in SET.fixtures)]


def main() -> None:
    """Read the command line, and make or check file after file, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=FILES, metavar="FILE", help=f"all, or some of {', '.join(FILES)}")
    parser.add_argument("--reference", type=Path, required=True, metavar="FOLDER", help="a checkout of PaddleDetection")
    parser.add_argument("--check", action="store_true", help="write nothing, tell how the files differ from new ones")
    options = parser.parse_args()
    if version("paddledet") != "2.6.0":
        parser.error(f"paddledet {version('paddledet')} is installed; expected 2.6.0, the last of the old rule")
    if not options.check:
        draw_photos()
    make_each(partial(make_file, options.reference.resolve(), options.check), options.files)


def make_file(reference: Path, check: bool, name: str) -> dict[str, float] | None:
    """Write a file and return None, or return how the stored one differs from a new one."""
    open_reference(Path(distribution("paddledet").locate_file("")), EDITS)
    content = make_content(SET, name, reference, FOLDER)
    if content.rows is not None:
        arrays = {key: value for key, value in content.arrays.items() if not key.startswith(LEFT_OUT)}
        content = storage.Content(arrays, content.rows)
    if check:
        return storage.compare(FOLDER / name, content)
    storage.write(FOLDER / name, content)
    return None


def draw_photos() -> None:
    """Write the photos, striped polygons before soft colours, and their annotations; two objects reach over an edge."""
    (FOLDER / "images").mkdir(parents=True, exist_ok=True)
    categories = json.loads(CATEGORIES.read_text())["categories"]
    images, annotations = [], []
    for number, (height, width) in PHOTOS.items():
        random = np.random.default_rng([2023, number])
        y, x = np.mgrid[0:height, 0:width].astype(np.float64)
        waves = random.uniform(25, 90, (3, 4))
        picture = np.stack([90 + 60 * np.sin(x / a + y / b) + 40 * np.cos(y / c - x / d) for a, b, c, d in waves], 2)
        for place in range(OBJECTS):
            centre = random.uniform((0.05 * width, 0.05 * height), (0.95 * width, 0.95 * height))
            centre = {0: np.array([width - 20.0, height * 0.6]), 1: np.array([width * 0.4, height - 20.0])}.get(place, centre)
            parts = [_draw_part(picture, random, centre, place, part) for part in range(1 + (place == 3))]
            category = categories[int(random.integers(len(categories)))]["id"]
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": category} | _describe(parts))
        file = f"made_up_{number}.png"
        levels = picture.clip(0, 255).astype(np.uint8) // STEP * STEP
        cv2.imwrite(str(FOLDER / "images" / file), levels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        images.append({"id": number, "file_name": file, "height": height, "width": width})
    content = {"images": images, "annotations": annotations, "categories": categories}
    (FOLDER / "annotations.json").write_text(json.dumps(content))
    (FOLDER / "set.json").write_text(json.dumps({"weight_seed": SET.weight_seed}))


def _draw_part(picture: Any, random: np.random.Generator, centre: Any, place: int, part: int) -> Any:
    """Draw a polygon around a point of a picture; return its corners `[N 2]`."""
    height, width = picture.shape[:2]
    angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(5, 11)))
    reach = random.uniform(25, 95, len(angles))
    middle = centre + part * random.uniform(-60, 60, 2)
    corners = middle + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    corners = np.clip(corners, 0, (width, height)).round(2)
    colour, wave = random.uniform(30, 225, 3), random.uniform(3, 12)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    y, x = np.nonzero(mask)
    picture[y, x] = colour + 25 * np.sin((x * np.cos(place) + y * np.sin(place)) / wave)[:, None]
    return corners


def _describe(parts: list[Any]) -> dict[str, Any]:
    """Return the COCO fields of an object of one polygon or more."""
    (left, top), (right, bottom) = np.concatenate(parts).min(0), np.concatenate(parts).max(0)
    return {
        "iscrowd": 0,
        "area": round(sum(float(cv2.contourArea(part.astype(np.float32))) for part in parts), 2),
        "bbox": [round(float(value), 2) for value in (left, top, right - left, bottom - top)],
        "segmentation": [part.ravel().tolist() for part in parts],
    }


if __name__ == "__main__":
    main()
