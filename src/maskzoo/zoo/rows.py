"""The rows of the zoo: their files, what each costs and reaches."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from maskzoo.config import COCO_VAL, ModelConfig
from maskzoo.errors import ConfigError, suggest
from maskzoo.model_file import dump_config, parse_config, read_config
from maskzoo.progress import OnProgress, say_nothing
from maskzoo.weights.pdparams import refuse_foreign
from maskzoo.zoo.download import find_fetched
from maskzoo.zoo.hub import fetch_hub, is_hub_name

__all__ = [
    "GROUPS",
    "OWN",
    "RowSummary",
    "find_row",
    "find_weights",
    "list_models",
    "name_group",
    "names",
    "read_model_config",
    "read_row",
    "row_text",
    "summarize",
    "to_markdown",
]

# Suffixes of files that are not models.
WEIGHTS = (".pdparams", ".pdiparams", ".pdmodel", ".pdopt", ".pth", ".pt", ".pkl", ".json")


FOLDER = Path(str(files("maskzoo.zoo").joinpath("models")))
BENCHMARK_SIZE = (800, 1216)  # a 4:3 .. 3:2 photo at the published test size, padded
# Who trained and published a row, by the folder that its name begins with; PaddleDetection's twelve Mask R-CNNs have none.
# The project's own rows are small networks for a CPU, which nobody has trained.
LIBRARIES = {
    "": "PaddleDetection",
    "paddle": "More of PaddleDetection",
    "torchvision": "torchvision",
    "detectron2": "detectron2",
    "mmdet": "mmdetection",
}
OWN = "maskzoo"
GROUPS = (*LIBRARIES.values(), OWN)
# What PaddleX calls these networks, with the weights of PaddleDetection's 1x schedule.
PADDLEX = {
    "MaskRCNN-ResNet50": "mask_rcnn_r50_1x_coco",
    "MaskRCNN-ResNet50-FPN": "mask_rcnn_r50_fpn_1x_coco",
    "MaskRCNN-ResNet50-vd-FPN": "mask_rcnn_r50_vd_fpn_1x_coco",
    "MaskRCNN-ResNet50-vd-SSLDv2-FPN": "mask_rcnn_r50_vd_fpn_ssld_1x_coco",
    "MaskRCNN-ResNet101-FPN": "mask_rcnn_r101_fpn_1x_coco",
    "MaskRCNN-ResNet101-vd-FPN": "mask_rcnn_r101_vd_fpn_1x_coco",
    "MaskRCNN-ResNeXt101-vd-FPN": "mask_rcnn_x101_vd_64x4d_fpn_1x_coco",
    "Cascade-MaskRCNN-ResNet50-FPN": "paddle/cascade_mask_rcnn_r50_fpn_1x_coco",
    "Cascade-MaskRCNN-ResNet50-vd-SSLDv2-FPN": "paddle/cascade_mask_rcnn_r50_vd_fpn_ssld_1x_coco",
}
# How detectron2's config folders and mmdetection's older names stand in a row's name.
SPELLINGS = (
    ("coco-instancesegmentation/", ""),
    ("new_baselines/", ""),
    ("cityscapes/", "cityscapes_"),
    ("lvisv0.5-instancesegmentation/", "lvisv0.5_"),
    ("-", "_"),
    ("mstrain", "ms"),
)
BYTES = 4  # of a parameter
_SIZE, _EPOCHS = re.compile(r"(r|x|resnet)_?(\d+)"), re.compile(r"(\d+)ep")


@dataclass(frozen=True, slots=True)
class RowSummary:
    """One line of the table. AP in percent on `data`; `gflops` at 800x1216 with all proposals and masks; `weights` if here.

    `best` says where no other COCO row has more mask AP: for a "megabyte" of float32 weights, for a "GFLOP" of work.
    """

    name: str
    backbone: str
    heads: str
    schedule: str
    box_ap: float | None
    mask_ap: float | None
    data: str
    parameters: int
    gflops: float
    licence: str
    weights: Path | None
    best: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain values for JSON."""
        return asdict(self) | {"weights": None if self.weights is None else str(self.weights), "best": list(self.best)}


def names() -> list[str]:
    """List the rows, library by library, small networks first.

    Returns:
        Their names, which `load` takes: PaddleDetection's as it names them, others as `detectron2/mask_rcnn_R_50_FPN_3x`. The
        last are small networks for a CPU, `maskzoo_r18_fpn_small`, of which there are no weights: `train` takes them.
    """
    return list(_list_names())


@cache  # the rows are part of the package
def _list_names() -> tuple[str, ...]:
    found = [path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yml")]
    return tuple(sorted(found, key=lambda row: (GROUPS.index(name_group(row)), _rank(row.rpartition("/")[2]))))


def name_group(row: str) -> str:
    """Return which of `GROUPS` a row belongs to: the library that published it, or the project itself."""
    return OWN if row.startswith(f"{OWN}_") else LIBRARIES[row.rpartition("/")[0]]


def _rank(row: str) -> tuple[bool, int, str, bool, bool, bool, int, bool, str]:
    """Other data than COCO last; depth, family (of mask_rcnn_x101_vd_64x4d_fpn_1x_coco 101, x), pyramid, variant, epochs."""
    small = row.casefold()
    family, depth = match.groups() if (match := _SIZE.search(small.partition("rcnn_")[2])) else ("", "0")
    epochs = int(match[1]) if (match := _EPOCHS.search(small)) else 0
    variant = "fpn" in small, "_vd" in small, "_ssld" in small
    other = not small.startswith(("mask", "cascade_mask"))
    return other, int(depth), family, *variant, epochs, "tiny" not in small, row


def find_row(name: str) -> str | None:
    """Return the row that a name stands for, or None: its own name, PaddleX's, or one as its library writes it."""
    if name in _list_names():
        return name
    if name in PADDLEX:
        return PADDLEX[name]
    if (more := f"paddle/{name}") in _list_names():
        return more
    return next((row for row in _list_names() if "/" in row and _fold(row) == _fold(name)), None)


def _fold(name: str) -> str:
    name = name.casefold()
    for theirs, ours in SPELLINGS:
        name = name.replace(theirs, ours)
    return name


def find_weights(model: str | Path, on_progress: OnProgress = say_nothing) -> str | Path:
    """Return the best weights of a training run's folder, else the last, or those of `hf://user/name`, pulled at the first use.

    What is neither, or a row's name, is returned as it is. Raises ConfigError for a folder that holds none, and as `pull` does.
    """
    if is_hub_name(model):
        return fetch_hub(model, on_progress)
    folder = Path(model)
    if not str(model) or not folder.is_dir() or find_row(str(model)):
        return model
    for file in (folder / "best.safetensors", folder / "last.safetensors"):
        if file.is_file():
            return file
    if (folder / "run.json").exists():
        raise ConfigError(f"{model}: a run that has kept no weights yet; go on with it first: maskzoo train --resume {model}")
    raise ConfigError(
        f"{model}: a folder without best.safetensors or last.safetensors; expected a run of maskzoo train, a name from "
        "`maskzoo models`, or a model's file"
    )


def row_text(name: str, augmentation: str | None = None) -> str:
    """Return the YAML text of a published row, with the list of a preset of augmentations if one is named.

    Raises ConfigError with the nearest names.
    """
    row = find_row(name)
    if row is None:
        if Path(name).is_file():
            raise ConfigError(f"{name}: a file that is no model; expected .yml, .safetensors or an exported file")
        alike = [known for known in names() if known.rpartition("/")[2] == name]  # its library was left out
        hint = suggest(name, alike or [*names(), *PADDLEX]) or "`maskzoo models` lists the names."
        raise ConfigError(f"{name}: no such model; {hint} A model file of your own is given by its path (my.yml)")
    text = FOLDER.joinpath(f"{row}.yml").read_text(encoding="utf-8")
    if augmentation is None:
        return text
    entries = parse_config(text, name, [f"training.augmentation={augmentation}"]).training.augmentation
    values = [", ".join(f"{key}: {value}" for key, value in one.model_dump(mode="json").items()) for one in entries]
    lines = "".join(f"  - {{{value}}}\n" for value in values)
    return re.sub(r"^  flip: .*\n", rf"\g<0>  augmentation:\n{lines}", text, count=1, flags=re.MULTILINE)


def read_row(name_or_path: str | Path, overrides: Sequence[str] = ()) -> ModelConfig:
    """Read a published row by name, or a model file by path (ends in .yml or .yaml), or that of a training run's folder.

    Raises ConfigError; WeightsError for a file of weights of a kind that is not read.
    """
    path = Path(name_or_path)
    if (path / "model.yml").is_file() and not find_row(str(name_or_path)):
        return read_config(path / "model.yml", overrides)
    if path.suffix in (".yml", ".yaml"):
        return read_config(path, overrides)
    if path.suffix in (".pth", ".pt", ".pkl") and path.is_file():
        raise ConfigError(
            f"{path}: another library's weights, which do not say all that a model needs; make a model of them: "
            f"`maskzoo convert {path} {path.stem}.safetensors`, and take that file"
        )
    if path.suffix in WEIGHTS:
        refuse_foreign(path)
        row = find_row(path.stem) or "MODEL"
        raise ConfigError(
            f"{path}: weights alone, which do not say what network they are of; expected a name from `maskzoo models`, or "
            f"your .yml: {row} --weights {path}. Or make one file of both: "
            f"`maskzoo convert {path} my.safetensors`"
        )
    if path.suffix == ".safetensors" or is_hub_name(name_or_path):
        raise ConfigError(
            f"{name_or_path}: a checkpoint; expected a name from `maskzoo models`, or a model file (.yml), as the model.yml of "
            f"a training run. To begin with its weights: --from {name_or_path}, beside which it may be the model as well"
        )
    return parse_config(row_text(str(name_or_path)), str(name_or_path), overrides)


def read_model_config(model: str | Path, overrides: Sequence[str] = ()) -> ModelConfig:
    """Read what network a model is, with `key.path=value` overrides: a row's name, a model file, a .safetensors file, a run.

    Raises ConfigError; WeightsError for a file of weights that is damaged, or of a kind that is not read.
    """
    model = find_weights(model)
    if Path(model).suffix != ".safetensors":
        return read_row(model, overrides)
    from maskzoo.weights.checkpoint import read_checkpoint_config  # imports torch

    config = read_checkpoint_config(model)
    return parse_config(dump_config(config), str(model), overrides) if overrides else config


def list_models() -> list[RowSummary]:
    """Sum up every published row, library by library, small networks first.

    Returns:
        One summary a row: structure, published AP in percent, parameters, GFLOPs, licence, and where the weights lie if
        they are on this machine. The rows with the best mask AP for their size and for their work say so.

    Raises:
        DownloadError: The folder of weights cannot be read.
    """
    rows = [replace(summarize(read_row(name)), name=name) for name in names()]

    def find_best(cost: Callable[[RowSummary], float]) -> RowSummary:
        return max(rows, key=lambda row: (row.mask_ap or 0.0) / cost(row) if row.data == COCO_VAL else 0.0)

    smallest, fastest = find_best(lambda row: row.parameters * BYTES / 1e6), find_best(lambda row: row.gflops)
    marks = (("megabyte", smallest), ("GFLOP", fastest))
    return [replace(row, best=tuple(mark for mark, best in marks if row is best)) for row in rows]


def summarize(config: ModelConfig, *, measured: bool = False) -> RowSummary:
    """Sum up a model file; the costs are those in the file, or `measured` on its network (always, if none are there)."""
    shape, published = config.network.backbone, config.source.published
    kind = f"ResNeXt{shape.depth}" if shape.groups > 1 else f"ResNet{shape.depth}"
    if measured or published is None:
        from maskzoo.models.cost import measure_cost  # torch takes seconds, and a table of the published rows needs none of it

        parameters, gflops = measure_cost(config.network, len(config.classes), config.limits, BENCHMARK_SIZE)
    else:
        parameters, gflops = published.parameters, published.gflops
    return RowSummary(
        name=config.name,
        backbone=kind
        + ("-vd" if shape.variant == "d" else "")
        + (f"-{shape.groups}x{shape.group_width}d" if shape.groups > 1 else ""),
        heads=config.network.heads.upper(),
        schedule=config.schedule,
        box_ap=published.box_ap if published else None,
        mask_ap=published.mask_ap if published else None,
        data=published.data if published else "",
        parameters=parameters,
        gflops=gflops,
        licence=config.source.licence,
        weights=find_fetched(config.source.weights) if config.source.weights else None,
    )


def to_markdown(rows: Sequence[RowSummary]) -> str:
    """Return the zoo table as Markdown."""
    lines = [
        "| model | backbone | schedule | box AP | mask AP | parameters | GFLOPs |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row.name}` | {row.backbone}-{row.heads} | {row.schedule} | {row.box_ap or '-'} | {row.mask_ap or '-'} "
        f"| {row.parameters / 1e6:.1f} M{_mark('megabyte', row)} | {row.gflops:.0f}{_mark('GFLOP', row)} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _mark(measure: str, row: RowSummary) -> str:
    return " *" if measure in row.best else ""
