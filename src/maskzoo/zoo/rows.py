"""The rows of the zoo: their files, what each costs and reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.errors import ConfigError, suggest
from maskzoo.model_file import dump_config, parse_config, read_config
from maskzoo.weights.pdparams import refuse_foreign
from maskzoo.zoo.download import find_fetched

__all__ = [
    "RowSummary",
    "find_weights",
    "library_names",
    "list_models",
    "names",
    "read_model_config",
    "read_row",
    "row_text",
    "summarize",
    "to_markdown",
]

# Suffixes of files that are not models.
WEIGHTS = (".pdparams", ".pdiparams", ".pdmodel", ".pdopt", ".pth", ".pt", ".pkl", ".json")


BENCHMARK_SIZE = (800, 1216)  # a 4:3 .. 3:2 photo at the published test size, padded


@dataclass(frozen=True, slots=True)
class RowSummary:
    """One line of the table. AP in percent; `gflops` at 800x1216 with 1,000 proposals and 100 masks; `weights` if here."""

    name: str
    backbone: str
    heads: str
    schedule: str
    box_ap: float | None
    mask_ap: float | None
    parameters: int
    gflops: float
    licence: str
    weights: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain values for JSON."""
        return asdict(self) | {"weights": None if self.weights is None else str(self.weights)}


def names() -> list[str]:
    """List the published rows, small networks first.

    Returns:
        Their names, which `load` takes.
    """
    rows = [Path(entry.name).stem for entry in _folder().iterdir() if entry.name.endswith(".yml")]
    return sorted(rows, key=_rank)


def library_names() -> list[str]:
    """List the rows of other libraries, which `load` takes as well: `torchvision/maskrcnn_resnet50_fpn`, ..."""
    return sorted(f"{path.parent.name}/{path.stem}" for path in _folder().glob("*/*.yml"))


def _rank(row: str) -> tuple[int, str, bool, bool, bool, str]:
    """Depth, family, pyramid, variant, schedule: mask_rcnn_x101_vd_64x4d_fpn_1x_coco is depth 101 of family x."""
    family = row.removeprefix("mask_rcnn_").partition("_")[0]
    depth = int(family[1:]) if family[1:].isdecimal() else 0
    return depth, family[:1], "_fpn" in row, "_vd" in row, "_ssld" in row, row


def find_weights(model: str | Path) -> str | Path:
    """Return the best weights of a training run's folder, else the last; what is no folder, or a row's name, as it is.

    Raises ConfigError for a folder that holds none.
    """
    folder = Path(model)
    if not folder.is_dir() or str(model) in (*names(), *library_names()):
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


def row_text(name: str) -> str:
    """Return the YAML text of a published row. Raises ConfigError with the nearest names."""
    known = [*names(), *library_names()]
    if name not in known:
        hint = suggest(name, known) or "`maskzoo models` lists the names."
        raise ConfigError(f"{name}: no such model; {hint} A model file of your own is given by its path (my.yml)")
    return _folder().joinpath(f"{name}.yml").read_text(encoding="utf-8")


def read_row(name_or_path: str | Path, overrides: Sequence[str] = ()) -> ModelConfig:
    """Read a published row by name, or a model file by path (ends in .yml or .yaml), or that of a training run's folder.

    Raises ConfigError; WeightsError for a file of weights of a kind that is not read.
    """
    path = Path(name_or_path)
    if (path / "model.yml").is_file() and str(name_or_path) not in (*names(), *library_names()):
        return read_config(path / "model.yml", overrides)
    if path.suffix in (".yml", ".yaml"):
        return read_config(path, overrides)
    if path.suffix in WEIGHTS:
        refuse_foreign(path)
        row = path.stem if path.stem in names() else "MODEL"
        raise ConfigError(
            f"{path}: weights alone, which do not say what network they are of; expected a name from `maskzoo models`, or "
            f"your .yml: {row} --weights {path}. Or make one file of both: "
            f"`maskzoo convert {path} my.safetensors --model {row}`"
        )
    if path.suffix == ".safetensors":
        raise ConfigError(
            f"{path}: a checkpoint; expected a name from `maskzoo models`, or a model file (.yml), as the model.yml of a "
            f"training run. To begin with the checkpoint's weights: --from {path}"
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
    """Sum up every published row, small networks first.

    Returns:
        One summary a row: structure, published AP in percent, parameters, GFLOPs, licence, and where the weights lie if
        they are on this machine.

    Raises:
        DownloadError: The folder of weights cannot be read.
    """
    return [summarize(read_row(name)) for name in names()]


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
        f"| `{row.name}` | {row.backbone}-{row.heads} | {row.schedule} | {row.box_ap} | {row.mask_ap} "
        f"| {row.parameters / 1e6:.1f} M | {row.gflops:.0f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _folder() -> Path:
    return Path(str(files("maskzoo.zoo").joinpath("models")))
