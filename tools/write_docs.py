"""Write the generated parts of the documentation anew: the zoo's table, the parity table, the README's picture.

python tools/write_docs.py [--check]      --check only tells whether they are stale (exit code 1)
"""

import argparse
import json
import sys
from pathlib import Path

from maskzoo.zoo.table import names, read_row, summarize, to_markdown

ROOT = Path(__file__).resolve().parent.parent
PARITY = ROOT / "benchmarks" / "results" / "parity.json"
RESULTS = ROOT / "benchmarks" / "results"
BENCHMARK = RESULTS / "predict.json"
PICTURE = ROOT / "docs" / "images" / "drawing.jpg"
MASK_SIDE = 112  # four times a network's, so that the outlines show the drawing and not the map

ZOO_INTRODUCTION = """# The zoo

Made from the model files in `src/maskzoo/zoo/models` by `make docs`. AP on COCO val2017 in percent, as PaddleDetection
publishes it; parameters without running statistics; GFLOPs of one image of 800 x 1216 with 1,000 proposals and 100 masks (a
multiplication and an addition are two). Weights: Apache-2.0, fetched from PaddleDetection's server at the first use.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if something is stale")
    check = parser.parse_args().check
    rows = [summarize(read_row(name)) for name in names()]
    texts = {
        ROOT / "docs" / "zoo.md": ZOO_INTRODUCTION + to_markdown(rows) + recipes(),
        ROOT / "README.md": between(ROOT / "README.md", "zoo", to_markdown(rows)),
    }
    if PARITY.exists():
        texts[ROOT / "docs" / "parity.md"] = between(ROOT / "docs" / "parity.md", "parity", parity_table())
    if BENCHMARK.exists():
        path = ROOT / "docs" / "performance.md"
        texts[path] = between(path, "performance", performance_tables() + other_tables())
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run `make docs`", file=sys.stderr)
        sys.exit(bool(stale))
    for path in stale:
        path.write_text(texts[path], encoding="utf-8")
    draw_picture()


def between(path: Path, name: str, body: str) -> str:
    """The text of a page with what stands between its two markers replaced."""
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return before + begin + body + end + rest.split(end)[1]


def recipes() -> str:
    """The training recipe of each row, and where its backbone's ImageNet weights come from."""
    lines = [
        "\n## Recipes\n",
        "SGD, momentum 0.9, weight decay 0.0001, learning rate 0.01 for 8 images a step, short sides 640 to 800.\n",
        "| model | epochs | learning rate / 10 after | warm-up | ImageNet weights |",
        "|---|---|---|---|---|",
    ]
    for name in names():
        config = read_row(name)
        recipe, weights = config.training, config.source.imagenet.rsplit("/", 1)[-1]
        warmup = f"{recipe.warmup.iterations} from {recipe.warmup.start_factor:.3g}"
        epochs = ", ".join(map(str, recipe.milestones))
        lines.append(f"| `{name}` | {recipe.epochs} | {epochs} | {warmup} | `{weights}` |")
    return "\n".join(lines) + "\n"


def parity_table() -> str:
    """The largest error of each stage for each architecture, as `make parity` measured them."""
    measured = json.loads(PARITY.read_text(encoding="utf-8"))
    archs = ["r50_c4", "r50_fpn", "r50_vd_fpn", "r101_fpn", "r101_vd_fpn", "x101_vd_64x4d_fpn"]
    stages = list(dict.fromkeys(stage for arch in archs for stage in measured.get(arch, {})))
    lines = ["| stage | " + " | ".join(archs) + " | tolerance |", "|---|" + "---|" * (len(archs) + 1)]
    for stage in sorted(stages, key=lambda stage: (" " in stage, stage)):
        found = [measured.get(arch, {}).get(stage) for arch in archs]
        tolerance = next(entry["tolerance"] for entry in found if entry)
        cells = [f"{entry['error']:.1e}" if entry else "" for entry in found]
        lines.append(f"| {stage} | " + " | ".join(cells) + f" | {tolerance:g} |")
    return "\n".join(lines) + "\n"


def performance_tables() -> str:
    """Whole predictions and their stages against torchvision, for each number of threads."""
    result = json.loads(BENCHMARK.read_text(encoding="utf-8"))
    machine = result["machine"]
    extensions = ", ".join(machine["extensions"])
    lines = [
        "## A photo to run-length masks, R50-FPN, 800 x 1216, 1,000 proposals, 100 masks\n",
        f"`python benchmarks/predict.py`, medians over alternating processes, on "
        f"{machine['cores']} cores of {machine['processor']} ({extensions}). The goals: float32 at most 0.50 of torchvision's "
        "time and not slower than OpenVINO, bfloat16 at most 0.33 and int8 at most 0.20 on processors that compute in them, "
        "RoIAlign at most 0.12, no more memory.",
    ]
    for threads, table in result["runs"].items():
        base = table["torchvision float32"]
        lines += [
            f"\n### {threads} thread{'s' if threads != '1' else ''}, {len(base['all_seconds'])} processes of each\n",
            "| | of torchvision's time | seconds | RoIAlign, of torchvision's | peak memory, MB | proposals | detections |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {row['of_torchvision']:.2f} | {row['seconds']:.2f} | {row.get('roi_align_of_torchvision', '')} "
            f"| {row['peak_memory_mb']} | {row['proposals'] or ''} | {row['detections']} |"
            for name, row in table.items()
        ]
        told = {name: row["stages_ms"] for name, row in table.items() if row["stages_ms"]}
        lines += ["\n| stage, ms | " + " | ".join(told) + " |", "|---|" + "---|" * len(told)]
        lines += [
            f"| {stage} | " + " | ".join(f"{stages[stage]:.0f}" for stages in told.values()) + " |"
            for stage in base["stages_ms"]
        ]
    return "\n".join(lines) + "\n"


def other_tables() -> str:
    """A training step, evaluation and reading of images, each beside its peer and its goal, as far as they were measured."""
    lines = []
    if (RESULTS / "train.json").exists():
        result = json.loads((RESULTS / "train.json").read_text(encoding="utf-8"))
        lines += [
            "\n## A training step, R50-FPN, one image of 800 x 1216, 512 RoIs of which 128 foreground\n",
            "`python benchmarks/train.py`, medians over alternating processes. The goal: at most 0.75 of torchvision's time, "
            "no more memory.\n",
            "| threads | | of torchvision's time | seconds | forward | backward | peak memory, MB |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {threads} | {name} | {row['of_torchvision']:.2f} | {row['seconds']:.1f} | {row['parts_s']['forward']:.1f} "
            f"| {row['parts_s']['backward']:.1f} | {row['peak_memory_mb']} |"
            for threads, table in result["runs"].items()
            for name, row in table.items()
        ]
    evaluation = json.loads((RESULTS / "evaluate.json").read_text(encoding="utf-8"))
    data = evaluation["data"]
    lines += [
        f"\n## Evaluation of {data['images']:,} images, {data['objects']:,} objects, {data['detections']:,} detections\n",
        "`python benchmarks/evaluate.py`, boxes and masks, all numbers equal to pycocotools'. The goal: 20 times as fast.\n",
        f"* from rows in memory: {evaluation['times_faster_from_rows']:.1f} times as fast as pycocotools",
        f"* from two JSON files, every value checked: {evaluation['times_faster_from_files']:.1f} times",
    ]
    loader = json.loads((RESULTS / "loader.json").read_text(encoding="utf-8"))
    own, peer = (loader[name]["images_per_core_second"] for name in ("maskzoo", "pillow"))
    lines += [
        "\n## Reading images to train on\n",
        "`python benchmarks/loader.py`, COCO photos to the recipe's sizes with flip and ground truth, images per second and "
        f"core: {own:.0f}, and {peer:.0f} for a loader as torchvision's users write it ({loader['times_as_fast']:.2f} times "
        "as fast).",
    ]
    return "\n".join(lines) + "\n"


def draw_picture() -> None:
    """Draw the painted photo with the outlines it was painted with: a picture of the drawing, not of a network's skill."""
    import numpy as np
    from PIL import Image

    from maskzoo.inference.result import make_prediction

    sys.path.insert(0, str(ROOT / "examples"))
    from still_life import make_photo

    photo, things = make_photo()
    classes = dict(enumerate(dict.fromkeys(name for name, _ in things)))
    label_of = {name: label for label, name in enumerate(classes.values())}
    boxes = [mask.getbbox() for _, mask in things]
    crops = [
        np.asarray(mask.crop(box).resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX))
        for (_, mask), box in zip(things, boxes, strict=True)
    ]
    prediction = make_prediction(
        np.array(boxes, np.float32),
        np.linspace(0.99, 0.9, len(things), dtype=np.float32),
        np.array([label_of[name] for name, _ in things]),
        np.stack(crops).astype(np.float32) / np.float32(255),
        size=(photo.height, photo.width),
        scale=(1.0, 1.0),
        classes=classes,
        image=np.asarray(photo),
    )
    PICTURE.parent.mkdir(exist_ok=True)
    prediction.draw().save(PICTURE, quality=90)


if __name__ == "__main__":
    main()
