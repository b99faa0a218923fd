"""Regenerate parts of the documentation: the zoo's table, parity, performance, the reference pages, the README's picture.

python tools/write_docs.py [--check]      --check only tells whether they are stale (exit code 1)
"""

import argparse
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

from performance import tell_performance
from reference import tell_api, tell_commands

import maskzoo
from maskzoo.zoo.rows import GROUPS, OWN, list_models, name_group, names, read_row, to_markdown

ROOT = Path(__file__).resolve().parent.parent
PARITY = ROOT / "benchmarks" / "results" / "parity.json"
PICTURE = ROOT / "docs" / "images" / "drawing.jpg"
ARCHS = ("r50_c4", "r50_fpn", "r50_vd_fpn", "r101_fpn", "r101_vd_fpn", "x101_vd_64x4d_fpn")
MORE = (
    "gn_r50_fpn", "cascade_r50_fpn", "cascade_r50_vd_fpn", "cascade_gn_r50_fpn",
    "dcn_r50_fpn", "dcn_r50_vd_fpn", "dcn_r101_vd_fpn", "dcn_x101_vd_64x4d_fpn",
)  # fmt: skip
ELSEWHERE = {  # by the beginning of the names of fixtures: the library, and its networks
    "tv": ("torchvision", ("r50_fpn", "r50_fpn_v2")),
    "d2": (
        "detectron2",
        ("r50_fpn", "r50_fpn_lsj", "r50_c4", "r50_dc5", "r101_fpn", "r101_c4", "x101_32x8d_fpn"),
    ),
    "mm": (
        "mmdetection",
        ("r50_fpn", "r50_fpn_caffe", "r101_fpn_caffe", "x101_32x4d_fpn", "x101_64x4d_fpn", "x101_32x8d_fpn"),
    ),
}
LEVEL = re.compile(r"\.(p|res)\d$")
AUTO_RECIPE = ROOT / "benchmarks" / "results" / "auto_recipe.json"
SMALL_ROWS = ROOT / "benchmarks" / "results" / "small_rows.json"
SMALL_DATA = {
    "shapes": "200 of `maskzoo demo`'s pictures, 96 x 96 pixels",
    "people": "128 made-up pictures of one to four people-like outlines, 192 x 192 pixels",
}
SCRATCH, CURVE = ROOT / "benchmarks" / "results" / "scratch.json", ROOT / "docs" / "images" / "scratch.svg"
CURVE_STYLE = (
    "text{font:12px sans-serif;fill:#444}line{stroke:#ccc}path,polyline{fill:none;stroke-width:2}"
    ".series-1{stroke:#1f77b4}.series-2{stroke:#d62728}circle.series-1{fill:#1f77b4}circle.series-2{fill:#d62728}"
)
MASK_SIDE = 112  # four times a network's, so that the outlines show the drawing and not the map

ZOO_INTRODUCTION = """# The zoo

Made from the model files in `src/maskzoo/zoo/models` by `make docs`. AP in percent, as the libraries publish it (on COCO
val2017, unless a row's name says Cityscapes or LVIS v0.5; `-`: not published); parameters without running statistics; GFLOPs
of one image of 800 x 1216 with 1,000 proposals and 100 masks (300 for LVIS; a multiplication and an addition are two). `*`
marks the most mask AP for a megabyte of weights, and the most for a GFLOP of work, that is, for a second at equal speed.

Weights are fetched from their library's own server at the first use. torchvision and mmdetection state the first digits of
the file's SHA-256 in its name, and a file that does not begin with them is refused; what detectron2's names end in is not
known to be a checksum, and is not compared.

"""
ZOO_NOTES = {
    "PaddleDetection": """\
Weights: Apache-2.0. PaddleX's names stand for rows too: `MaskRCNN-ResNet50-FPN` is `mask_rcnn_r50_fpn_1x_coco`
([all of them](migrating.md#from-paddlex)).""",
    "More of PaddleDetection": """\
Weights: Apache-2.0. `gn` has group norms in pyramid and heads and four convolutions before the box head's linear layer;
`cascade` has three box heads in a row; `dcn` has deformable convolutions in res3 to res5, whose sampling takes longer than the
GFLOPs say. A name without `paddle/` stands for the row too.""",
    "torchvision": """\
Weights: no licence of their own is stated; the code is under BSD-3-Clause. Labels are COCO's ids 1 to 90; ten of them are in
no data set, and are called `not used 12` and so on.""",
    "detectron2": """\
Weights: CC BY-SA 3.0: whoever passes them on, or weights trained from them, names their origin (Wu, Kirillov, Massa, Lo and
Girshick, *Detectron2*) and keeps the licence. Names are those of the config files; names of LVIS v0.5's classes are LVIS's own
(Gupta, Dollár and Girshick, CC BY 4.0). The rows `..._LSJ` were trained with large-scale jitter: `--recipe lsj`
([what it sets](training.md#augmentation)) trains so.""",
    "mmdetection": """\
Weights: Apache-2.0. Names are those of the config files of version 3, and the older ones are understood. It trains weight and
bias of the pytorch style's norms with fixed statistics; here norms are fixed altogether, unless you set
`network.backbone.norm=bn`.""",
    OWN: """\
Nobody has trained these: begin with random weights (`maskzoo train maskzoo_r18_fpn_small my-data --batch 4`), which their norms
allow. All their stages, pyramid and heads learn; the input is smaller than the published rows', 384 and 256 pixels.""",
}
ZOO_TITLES = {OWN: "Small rows, for training on a CPU; no weights"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if something is stale")
    check = parser.parse_args().check
    rows = list_models()
    groups = {name: [row for row in rows if name_group(row.name) == name] for name in GROUPS}
    zoo = "\n".join(
        f"## {ZOO_TITLES.get(name, name)}\n\n{ZOO_NOTES[name]}\n\n{to_markdown(group)}" for name, group in groups.items()
    )
    own = [replace(row, best=()) for row in groups["PaddleDetection"]]
    texts = {
        ROOT / "docs" / "zoo.md": ZOO_INTRODUCTION + zoo + small_rows() + recipes(),
        ROOT / "README.md": between(ROOT / "README.md", "zoo", to_markdown(own)),
        ROOT / "docs" / "zoo.zh.md": between(ROOT / "docs" / "zoo.zh.md", "zoo", in_chinese(to_markdown(own))),
        ROOT / "docs" / "command-line.md": tell_commands(),
        ROOT / "docs" / "api.md": tell_api(),
    }
    if PARITY.exists():
        page = ROOT / "docs" / "parity.md"
        texts[page] = between(page, "parity", parity_tables())
        texts[page] = between(page, "elsewhere", elsewhere_tables(), texts[page])
    page = ROOT / "docs" / "training.md"
    texts[page] = between(page, "auto recipe", auto_recipe_table())
    page = ROOT / "docs" / "performance.md"
    texts[page] = between(page, "performance", tell_performance())
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run `make docs`", file=sys.stderr)
        sys.exit(bool(stale))
    for path in stale:
        path.write_text(texts[path], encoding="utf-8")
    draw_picture()
    draw_curve()


def in_chinese(table: str) -> str:
    """The zoo's table with the words that PaddleDetection's own page has in its head."""
    words = {"model": "模型", "backbone": "主干网络", "schedule": "学习率策略", "parameters": "参数量"}
    head, _, rows = table.partition("\n")
    for english, chinese in words.items():
        head = head.replace(f"| {english} |", f"| {chinese} |")
    return f"{head}\n{rows}"


def between(path: Path, name: str, body: str, text: str | None = None) -> str:
    """The text of a page, or that which it is to have, with what stands between its two markers replaced."""
    text = path.read_text(encoding="utf-8") if text is None else text
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return before + begin + body + end + rest.split(end)[1]


def small_rows() -> str:
    """What the small rows reach in so much time, as benchmarks/small_rows.py measured it."""
    lines = [
        "\nWhat they reach from random weights on pictures they have not seen (`benchmarks/small_rows.py`;",
        "seconds of processor time on one core, evaluation included, measured beside other work):\n",
        "| model | data | images seen | seconds | box AP | mask AP |",
        "|---|---|---|---|---|---|",
    ]
    record = json.loads(SMALL_ROWS.read_text(encoding="utf-8"))
    lines += [
        f"| `{row}` | {SMALL_DATA[data]} | {one['images_seen']} | {one['processor_seconds']:.0f} "
        f"| {one['box_ap']} | {one['mask_ap']} |"
        for row, sets in record.items()
        for data, one in sets.items()
    ]
    return "\n".join(lines) + "\n"


def auto_recipe_table() -> str:
    """Mask AP by the recipe from the data and by fixed ones, as benchmarks/auto_recipe.py measured it, and the means."""
    record = json.loads(AUTO_RECIPE.read_text(encoding="utf-8"))
    arms = ("auto", "row", "published")
    lines = [
        "| set | input | images seen | from the data | the row's recipe | the published recipe |",
        "|---|---|---|---|---|---|",
    ]
    reached = [[one["arms"][arm]["mask_ap"] for arm in arms] for one in record.values()]
    for (kind, one), row in zip(record.items(), reached, strict=True):
        chosen = one["arms"]["auto"]
        figures = " | ".join(map(str, row))
        lines.append(f"| {kind} ({one['seconds']:g} s) | {chosen['short_side']} | {chosen['images_seen']} | {figures} |")
    means = " | ".join(f"{sum(column) / len(reached):.1f}" for column in zip(*reached, strict=True))
    return "\n".join([*lines, f"| mean | | | {means} |"]) + "\n"


def recipes() -> str:
    """The training recipe of each row, and where its backbone's ImageNet weights come from."""
    lines = [
        "\n## Recipes\n",
        "SGD, momentum 0.9, weight decay 0.0001 (0.00004 for LSJ). Other rows than PaddleDetection's name no ImageNet weights:",
        "begin with `--from` a row. `torchvision/maskrcnn_resnet50_fpn_v2` has the recipe of the row before it here; what was",
        "published is of 400 epochs of large-scale jitter (`--recipe lsj`). The rate is divided by 10 after these epochs; a",
        "warm-up is its steps, and the part of the rate that it begins with.\n",
        "| model | epochs | learning rate | images a step | ÷ 10 after | short sides | warm-up | ImageNet weights |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in names():
        config = read_row(name)
        recipe, weights = config.training, config.source.imagenet.rsplit("/", 1)[-1]
        warmup = f"{recipe.warmup.iterations} from {recipe.warmup.start_factor:.3g}"
        epochs = ", ".join(map(str, recipe.milestones))
        rate = f"{recipe.learning_rate} | {recipe.images_per_batch}"
        sides = " to ".join(map(str, sorted({min(recipe.short_sides), max(recipe.short_sides)})))
        lines.append(
            f"| `{name}` | {recipe.epochs} | {rate} | {epochs} | {sides} | {warmup} | {f'`{weights}`' if weights else '-'} |"
        )
    return "\n".join(lines) + "\n"


def parity_tables() -> str:
    """The largest error of each stage for each architecture, of prediction and of training, as `make parity` measured them."""
    record = json.loads(PARITY.read_text(encoding="utf-8"))
    tables = []
    for kind, title, archs in (
        ("infer", "Prediction", ARCHS),
        ("train", "One step of training", ARCHS),
        ("infer", "Prediction, more of PaddleDetection", MORE),
        ("train", "One step of training, more of PaddleDetection", MORE),
    ):
        largest: dict[str, dict[str, float]] = {}
        for case, errors in record["errors"].items():
            arch = next((arch for arch in archs if f"/{kind}_{arch}_" in case), None)
            for stage, error in errors.items() if arch else ():
                row = largest.setdefault(stage, {})
                row[arch] = max(row.get(arch, 0.0), error)
        if largest:
            tables.append(f"### {title}\n\n" + parity_table(largest, record["tolerances"], archs))
    return "\n".join(tables)


def elsewhere_tables() -> str:
    """The largest error of each stage for each network of another library; levels and stages of a kind are one row."""
    record = json.loads(PARITY.read_text(encoding="utf-8"))
    tables = []
    for start, (title, archs) in ELSEWHERE.items():
        largest: dict[str, dict[str, float]] = {}
        tolerances: dict[str, float] = {}
        for case, errors in record["errors"].items():
            key = case.rpartition("/elsewhere_")[2]
            arch = max((arch for arch in archs if key.startswith(f"{start}_{arch}_")), key=len, default=None)
            for name, error in errors.items() if arch else ():
                stage = LEVEL.sub("", name)
                row = largest.setdefault(stage, {})
                row[arch] = max(row.get(arch, 0.0), error)
                tolerances[stage] = record["tolerances"][name]
        if largest:
            tables.append(f"### {title}\n\n" + parity_table(largest, tolerances, archs))
    return "\n".join(tables)


def parity_table(largest: dict[str, dict[str, float]], tolerances: dict[str, float], every: tuple[str, ...] = ARCHS) -> str:
    """One row for each stage, one column for each architecture that was measured."""
    archs = [arch for arch in every if any(arch in row for row in largest.values())]
    lines = ["| stage | " + " | ".join(archs) + " | tolerance |", "|---|" + "---|" * (len(archs) + 1)]
    for stage, row in sorted(largest.items(), key=lambda item: (" " in item[0], item[0])):
        cells = [f"{row[arch]:.1e}" if arch in row else "" for arch in archs]
        lines.append(f"| {stage} | " + " | ".join(cells) + f" | {tolerances[stage]:g} |")
    return "\n".join(lines) + "\n"


def draw_picture() -> None:
    """Paint the package's photo, and draw the outlines it was painted with: no picture of a network's skill."""
    import numpy as np
    from PIL import Image

    from maskzoo.inference.prediction import make_prediction

    sys.path.insert(0, str(ROOT / "examples"))
    from still_life import make_photo

    photo, things = make_photo()
    photo.save(maskzoo.sample_photo(), quality=90, optimize=True)
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


def draw_curve() -> None:
    """Draw AP50 of the run from nothing on real photos, by epoch, as an SVG that needs no style sheet."""
    import numpy as np

    from maskzoo.html.plots import Axis, Line, plot_lines

    rows = json.loads(SCRATCH.read_text(encoding="utf-8"))["evaluations"]
    epochs = np.array([row["epoch"] for row in rows], np.float64)
    lines = [
        Line(kind, epochs, np.array([row[f"{kind}_ap50"] for row in rows], np.float64), f"series-{place}")
        for place, kind in enumerate(("box", "mask"), 1)
    ]
    svg = plot_lines(lines, Axis("epoch", low=0), Axis("AP50, percent", low=0), title="AP50 of boxes (blue) and masks (red)")
    svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    CURVE.write_text(svg.replace(">", f"><style>{CURVE_STYLE}</style>", 1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
