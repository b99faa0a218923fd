"""Make the golden set `elsewhere/synthetic` by the libraries themselves, or tell how its files differ from new ones.

    python -m golden.elsewhere --only tv_ [--check] [FILE ...]

Run it in the folder `tests`, in an environment of the library whose networks `--only` names by the beginning of their names
(README.md beside this file). Photos are painted here, too: `--photos`. Every network's manifest is written with its file.
"""

import argparse
import importlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from elsewhere_rule import find_manifest, rule_value
from golden import storage
from golden.elsewhere_run import Reference, Run
from golden.generate import make_each
from golden.sets import SMALL

FOLDER = Path(__file__).parent / "elsewhere" / "synthetic"
SEED = "elsewhere-synthetic-1"
LIBRARIES = {"tv": "torchvision_run", "d2": "detectron2_run", "mm": "mmdetection_run"}
# Height and width: the first is made smaller, the second larger, and its long side meets the limit.
PHOTOS = {"small_a": (1, (360, 472)), "small_b": (2, (150, 262))}
FILES = [
    *(
        f"infer_{arch}_small_a"
        for arch in ("tv_r50_fpn", "tv_r50_fpn_v2", "d2_r50_fpn", "d2_r50_c4", "d2_r101_c4", "d2_r50_dc5")
    ),
    *(f"infer_{arch}_small_a" for arch in ("d2_r50_fpn_lsj", "mm_r50_fpn", "mm_r50_fpn_caffe", "mm_r101_fpn_caffe")),
    *(f"infer_{arch}_small_a" for arch in ("mm_x101_32x4d_fpn", "mm_x101_64x4d_fpn", "mm_x101_32x8d_fpn")),
    *(f"infer_{arch}_small_b" for arch in ("tv_r50_fpn", "d2_r50_dc5", "mm_r50_fpn")),
]
SCORES, THRESHOLD, TRIED = 40, 0.05, np.arange(2.0, 80.0, 0.5)


def main() -> None:
    """Read the command line, and make or check file after file, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=FILES, metavar="FILE", help=f"all, or some of {', '.join(FILES)}")
    parser.add_argument("--only", default="", metavar="START", help="of these, the networks whose names begin so")
    parser.add_argument("--photos", action="store_true", help="paint the photos")
    parser.add_argument("--check", action="store_true", help="write nothing, tell how the files differ from new ones")
    options = parser.parse_args()
    if options.photos:
        paint_photos()
    make_each(partial(make_file, options.check), [name for name in options.files if name.startswith(f"infer_{options.only}")])


def make_file(check: bool, name: str) -> dict[str, float] | None:
    """Write a file, its network's manifest and what its background is, or return how the stored file differs from a new one."""
    torch.set_num_threads(1)
    arch, case = name.removeprefix("infer_").rsplit("_small_", 1)
    image_id, _ = PHOTOS[f"small_{case}"]
    photo = np.asarray(Image.open(FOLDER / "images" / f"{image_id:012d}.png"))
    library = importlib.import_module(f"golden.{LIBRARIES[arch[:2]]}")
    background = find_background(arch, library.build(arch, SMALL), photo)
    reference = library.build(arch, SMALL)
    shapes = set_weights(arch, reference, background)
    run = reference(photo)
    run.arrays["background"] = np.array(background)
    content = storage.Content(dict(run.arrays), list_rows(run, image_id))
    if check:
        return storage.compare(FOLDER / name, content)
    storage.write(FOLDER / name, content)
    lines = ",\n".join(f"{json.dumps(entry)}: {json.dumps(shape)}" for entry, shape in shapes.items())
    find_manifest(arch).write_text(f"{{\n{lines}\n}}\n")
    told = json.loads((FOLDER / "set.json").read_text())
    told["background"] = dict(sorted((told["background"] | {name.removeprefix("infer_"): background}).items()))
    (FOLDER / "set.json").write_text(json.dumps(told, indent=1) + "\n")
    return None


def set_weights(arch: str, reference: Reference, background: float) -> dict[str, list[int]]:
    """Give the network the weights that the rule makes; return the names and shapes of its state dict."""
    shapes = {name: list(tensor.shape) for name, tensor in reference.network.state_dict().items()}
    weights = {name: torch.from_numpy(rule_value(arch, name, tuple(shape), SEED, background)) for name, shape in shapes.items()}
    reference.network.load_state_dict(weights, strict=True)
    reference.network.eval()
    return shapes


def find_background(arch: str, reference: Reference, photo: np.ndarray) -> float:
    """Return the least bias of the background with which no more than SCORES scores exceed the threshold."""
    set_weights(arch, reference, 0.0)
    logits: list[Any] = []
    reference.score.register_forward_hook(lambda layer, inputs, output: logits.append(output.double()))
    reference(photo)
    place = 0 if arch.startswith("tv_") else -1
    for background in TRIED:
        moved = logits[0].clone()
        moved[:, place] += background
        scores = moved.softmax(dim=1)
        scores[:, place] = 0
        if int((scores > THRESHOLD).sum()) <= SCORES:
            return float(background)
    raise SystemExit(f"{arch}: with no background up to {TRIED[-1]} are there {SCORES} scores or fewer")


def list_rows(run: Run, image_id: int) -> dict[str, Any]:
    """Return the COCO rows of a run, those of boxes and those of masks."""
    found = run.arrays["det.original"].astype(np.float64)
    facts = [
        {"image_id": image_id, "category_id": int(category), "score": float(score)}
        for category, score in zip(run.category_ids, found[:, 1], strict=True)
    ]
    boxes = np.concatenate([found[:, 2:4], found[:, 4:] - found[:, 2:4]], axis=1).tolist()
    masks = [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in run.masks]
    outlines = [{"size": list(map(int, mask["size"])), "counts": mask["counts"].decode()} for mask in masks]
    return {
        "image_id": image_id,
        "bbox": [fact | {"bbox": box} for fact, box in zip(facts, boxes, strict=True)],
        "segm": [fact | {"segmentation": outline} for fact, outline in zip(facts, outlines, strict=True)],
    }


def paint_photos() -> None:
    """Write the pictures, shapes with stripes before soft waves, and the set's description."""
    (FOLDER / "images").mkdir(parents=True, exist_ok=True)
    for image_id, (height, width) in PHOTOS.values():
        random = np.random.default_rng([2024, image_id])
        y, x = np.mgrid[0:height, 0:width].astype(np.float64)
        waves = random.uniform(20, 80, (3, 4))
        picture = np.stack([120 + 60 * np.sin(x / a + y / b) + 40 * np.cos(y / c - x / d) for a, b, c, d in waves], axis=2)
        for _ in range(12):
            middle, reach = random.uniform(0, 1, 2) * (width, height), random.uniform(0.04, 0.25, 2) * width
            across, down = (x - middle[0]) / reach[0], (y - middle[1]) / reach[1]
            inside = across**2 + down**2 < 1 if random.random() < 0.6 else np.maximum(abs(across), abs(down)) < 0.8
            turn, wave = random.uniform(0, 2 * np.pi), random.uniform(1.5, 9)
            stripes = 45 * np.sin((x * np.cos(turn) + y * np.sin(turn)) / wave)
            picture[inside] = (random.uniform(20, 235, 3) + stripes[..., None])[inside]
        levels = picture.clip(0, 255).astype(np.uint8) // 16 * 16  # few levels keep the file small
        Image.fromarray(levels).save(FOLDER / "images" / f"{image_id:012d}.png", optimize=True)
    cases = {case: {"image_id": image_id, "size": list(SMALL)} for case, (image_id, _) in PHOTOS.items()}
    told = {"weight_seed": SEED, "cases": cases, "background": {}, "background_is_for": "<arch>_<case>"}
    (FOLDER / "set.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
