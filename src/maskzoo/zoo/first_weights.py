"""Where training starts: random weights, an ImageNet backbone, or a network that has learnt already."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from maskzoo.config import ModelConfig, Network
from maskzoo.errors import ConfigError, DownloadError, WeightsError, list_some
from maskzoo.models.build import build
from maskzoo.models.initialization import initialize
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.progress import OnProgress, say_nothing
from maskzoo.weights.checkpoint import read_checkpoint
from maskzoo.weights.foreign import read_tensors
from maskzoo.weights.imagenet import fit_imagenet, is_imagenet, list_imagenet_renames
from maskzoo.weights.libraries import to_ours
from maskzoo.weights.paddledetection import list_renames
from maskzoo.weights.pdparams import read_pdparams
from maskzoo.weights.rename import STATISTICS, list_own_renames, rename, to_arrays
from maskzoo.zoo.download import fetch
from maskzoo.zoo.load import LIBRARY_SUFFIXES, build_empty, list_shapes
from maskzoo.zoo.rows import find_row, find_weights, read_row

__all__ = ["FirstWeights", "make_first_weights", "refuse_random"]

LAST_LAYERS = {"box.score": 1, "box.delta": 4, "mask.logits": 1}  # rows of each class
HEAD_SETTINGS = ("box_features", "norm", "box_head", "rpn_convs", "box_stages")
SCORE_BIASES = ("bbox_head.bbox_score.bias", "bbox_head.bbox_score_stage0.bias")  # in PaddleDetection's files
CHOICES = "Choose weights of this network, or change the model file"


@dataclass(frozen=True, slots=True)
class FirstWeights:
    """A `model` ready to train, float32 on the CPU, and a `report` of where its weights come from."""

    model: MaskRCNN
    report: str


@dataclass(frozen=True, slots=True)
class _Learnt:
    """Weights that fit the network, or only its backbone; last layers may be of other `classes` (None: not known)."""

    tensors: dict[str, Tensor]
    classes: Sequence[str] | None
    report: str


def make_first_weights(
    config: ModelConfig, source: str | Path | None, *, seed: int, on_progress: OnProgress = say_nothing
) -> FirstWeights:
    """Return a network of the config to train, its weights from `source`; what no file holds is drawn from `seed`.

    `source` is a zoo row's name (downloaded; `on_progress` is told of the bytes), a run's folder, a `.safetensors` checkpoint,
    a `.pdparams` file of a whole network or of an ImageNet classifier, "none" for random weights only, or None: the
    ImageNet weights that the config names, if it names any. Where a whole network knows other classes, its last layers
    are drawn anew, except the rows of classes of the same name and of the background.

    Raises WeightsError that lists all that does not fit, DownloadError, or ConfigError for a source of unknown kind.
    """
    learnt = _read(config, source, on_progress)
    model = build_empty(config)
    model.to_empty(device="cpu")
    initialize(model, torch.Generator().manual_seed(seed))
    if learnt is None:
        return FirstWeights(model, _describe_random(config, seed))
    state = model.state_dict()
    fitted, report = _fit_classes(learnt, state, list(config.classes.values()))
    model.load_state_dict(state | fitted)
    return FirstWeights(model, report)


def refuse_random(config: ModelConfig, source: str | Path | None) -> None:
    """Raise ConfigError for random weights where the backbone's norms are frozen: such a network does not learn."""
    random = str(source) == "none" or (source is None and not config.source.imagenet)
    if random and config.network.backbone.norm == "frozen":
        frozen = " --set network.backbone.frozen=[]" if config.network.backbone.frozen else ""
        raise ConfigError(
            f"{config.name}: random weights with frozen norms (network.backbone.norm), which only pretrained weights can use; "
            "expected norms that learn, or weights to begin with: --from NAME or FILE; to begin with none, "
            f"--from none --set network.backbone.norm=bn{frozen} (gn instead of bn where a GPU holds fewer than 8 images)"
        )


def _read(config: ModelConfig, source: str | Path | None, on_progress: OnProgress) -> _Learnt | None:
    if source is None:
        return _fetch_imagenet(config, on_progress) if config.source.imagenet else None
    if str(source) == "none":
        return None
    source = find_weights(source)
    kind = Path(source).suffix
    if kind == ".safetensors":
        return _read_checkpoint(Path(source), config)
    if kind == ".pdparams":
        return _read_pdparams(Path(source), config)
    if row := find_row(str(source)):
        return _fetch_row(row, config, on_progress)
    if Path(source).is_file():  # its content says what it is, and why it is none
        return _read_pdparams(Path(source), config)
    raise ConfigError(
        f"{source}: nothing to begin with; expected a name that `maskzoo models` lists, a .safetensors or .pdparams "
        "file, or none for random weights"
    )


def _fetch_imagenet(config: ModelConfig, on_progress: OnProgress) -> _Learnt:
    url = config.source.imagenet
    list_imagenet_renames(config.network, url)  # refuses a network that they cannot fit before they are fetched
    try:
        path = fetch(url, on_progress=on_progress)
    except DownloadError as error:
        raise DownloadError(
            f"{error}. These are the backbone's ImageNet weights; give a file of them, or weights of the whole network, "
            "with --from FILE"
        ) from error
    return _read_imagenet(path, read_pdparams(path), config)


def _fetch_row(name: str, config: ModelConfig, on_progress: OnProgress) -> _Learnt:
    row = read_row(name)
    _compare(row.network, config.network, name)
    path = fetch(row.source.weights, row.source.sha256, on_progress=on_progress)
    classes, notes = list(row.classes.values()), _note_rules(row, config)
    if path.suffix not in LIBRARY_SUFFIXES:
        return _fit_published(path, read_pdparams(path), config, classes, notes)
    tensors = to_ours(read_tensors(path).tensors, config.network, _list_shapes(config, len(classes)), str(path))
    return _describe(path, tensors, config, classes, notes)


def _read_pdparams(path: Path, config: ModelConfig) -> _Learnt:
    arrays = read_pdparams(path)
    if is_imagenet(arrays):
        return _read_imagenet(path, arrays, config)
    # A file of a whole network holds no class names: a row's own file is known by its name and number of classes.
    known = list(read_row(path.stem).classes.values()) if find_row(path.stem) else None
    if known is not None and len(known) != _count_classes(arrays):
        known = None
    return _fit_published(path, arrays, config, known)


def _read_imagenet(path: Path, arrays: Mapping[str, NDArray[Any]], config: ModelConfig) -> _Learnt:
    tensors, surplus = fit_imagenet(arrays, config.network, list_shapes(build_empty(config)), str(path))
    notes = [f"backbone from the ImageNet weights {path}, all other weights random", *_note_norms("frozen", config)]
    notes += [f"not used: {list_some(surplus, 10)}"] if surplus else []
    return _Learnt(tensors, None, "; ".join(notes))


def _fit_published(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    config: ModelConfig,
    classes: Sequence[str] | None,
    notes: Sequence[str] = (),
) -> _Learnt:
    table = list_renames(config.network, str(path))
    count = _count_classes(arrays) or len(config.classes)  # a file without scores is refused with all that it lacks
    tensors = rename(arrays, table, _list_shapes(config, count), str(path))
    return _describe(path, tensors, config, classes, notes)


def _describe(
    path: Path, tensors: dict[str, Tensor], config: ModelConfig, classes: Sequence[str] | None, notes: Sequence[str]
) -> _Learnt:
    return _Learnt(tensors, classes, "; ".join([f"weights of {path}", *notes, *_note_norms("frozen", config)]))


def _read_checkpoint(path: Path, config: ModelConfig) -> _Learnt:
    checkpoint = read_checkpoint(path)
    theirs = checkpoint.config
    _compare(theirs.network, config.network, str(path))
    found = theirs.network.backbone.norm
    shapes = _list_shapes(config, len(theirs.classes))
    arrays = to_arrays(checkpoint.tensors, str(path))
    tensors = rename(arrays, list_own_renames(shapes, found, config.network.backbone.norm), shapes, str(path))
    notes = [f"weights of {path}", *_note_rules(theirs, config), *_note_norms(found, config)]
    return _Learnt(tensors, list(theirs.classes.values()), "; ".join(notes))


def _count_classes(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Count the classes of PaddleDetection's file by its scores; 0 where it has none."""
    return next((max(0, arrays[name].size - 1) for name in SCORE_BIASES if name in arrays), 0)


def _list_shapes(config: ModelConfig, count: int) -> dict[str, tuple[int, ...]]:
    """List the network's shapes as they would be with `count` classes."""
    with torch.device("meta"):
        return list_shapes(build(config.network, count, config.limits))


# Networks that differ


def _compare(found: Network, wanted: Network, origin: str) -> None:
    """Refuse weights whose network is another one by its settings, which say more than names and shapes."""
    theirs, ours = _list_settings(found), _list_settings(wanted)
    differing = [key for key in ours if key in theirs and _unify(theirs[key]) != _unify(ours[key])]
    faults = [f"  {key}: found {theirs[key]}, expected {ours[key]}" for key in differing]
    if "network.norm" in differing:
        faults.append("  (a convolution of pyramid and mask head has either a bias or a norm, and each kind is its own)")
    if faults:
        raise WeightsError("\n".join([f"{origin}: belongs to another network. {CHOICES}:", *faults]))


def _list_settings(network: Network) -> dict[str, object]:
    """List what the names and shapes of the weights follow from, as a model file calls it."""
    settings: dict[str, object] = {"network.heads": network.heads, "network.channels": network.channels}
    if network.heads != "c4":
        settings |= {f"network.{key}": getattr(network, key) for key in HEAD_SETTINGS}
    shape = network.backbone.model_dump(exclude={"frozen"})
    settings |= {f"network.backbone.{key}": value for key, value in shape.items()}
    settings["anchors in each place"] = len(network.anchors.sizes[0]) * len(network.anchors.ratios)
    return settings


def _unify(setting: object) -> object:
    """Make norms equal whose weights are the same."""
    return "batch-norm" if setting in STATISTICS else setting


def _note_rules(theirs: ModelConfig, config: ModelConfig) -> list[str]:
    """Name the rules by which the weights were trained, and by which they will not be trained on."""
    rules = {
        f"{section}.{key}": (getattr(getattr(theirs, section), key), getattr(getattr(config, section), key))
        for section, keys in (("input", ("order", "mean", "std")), ("network", ("roi_align", "shrinking_capped")))
        for key in keys
    }
    rules["network.anchors.whole"] = (theirs.network.anchors.whole, config.network.anchors.whole)
    return [
        f"warning: they were trained with {key} {found}, and the model file has {wanted}"
        for key, (found, wanted) in rules.items()
        if found != wanted
    ]


def _note_norms(found: str, config: ModelConfig) -> list[str]:
    wanted = config.network.backbone.norm
    return [] if found == wanted else [f"norms of the backbone: {found} -> {wanted}"]


# Classes that differ


def _fit_classes(learnt: _Learnt, drawn: Mapping[str, Tensor], classes: Sequence[str]) -> tuple[dict[str, Tensor], str]:
    """Return the tensors with last layers for `classes`, and the report; `drawn` are the network's random weights."""
    score = learnt.tensors.get("heads.box.score.bias")
    if score is None:  # a backbone alone
        return learnt.tensors, learnt.report
    count, found = len(score) - 1, learnt.classes
    if found is None and count == len(classes):
        return learnt.tensors, f"{learnt.report}; it names no classes: its {count} are taken for the model file's"
    if found is not None and [_fold(name) for name in found] == [_fold(name) for name in classes]:
        return learnt.tensors, f"{learnt.report}; all {count} classes as in the model file"
    place = {_fold(name): row for row, name in enumerate(found or ())}
    kept = {row: place[_fold(name)] for row, name in enumerate(classes) if _fold(name) in place}
    tensors = dict(learnt.tensors)
    for layer, size in _list_last_layers(drawn).items():
        rows = kept | {len(classes): count} if layer.endswith("box.score") else kept
        for name in (f"{layer}.weight", f"{layer}.bias"):
            tensors[name] = _copy_rows(drawn[name], tensors[name], rows, size)
    new = [name for row, name in enumerate(classes) if row not in kept]
    reason = "" if found else " (the file names no classes)"
    report = (
        f"{learnt.report}; last layers replaced: {count} -> {len(classes)} classes{reason}; "
        f"kept by name: {list_some([classes[row] for row in kept], 10) or 'none'}; new: {list_some(new, 10) or 'none'}"
    )
    return tensors, report


def _list_last_layers(names: Collection[str]) -> dict[str, int]:
    """List the layers that have rows of each class, and how many each has: not the deltas of a cascade, which all share."""
    shared = any(name.startswith("heads.later.") for name in names)
    sizes = {f".{last}.bias": size for last, size in LAST_LAYERS.items() if not (shared and last == "box.delta")}
    return {name.removesuffix(".bias"): size for name in names for last, size in sizes.items() if name.endswith(last)}


def _copy_rows(drawn: Tensor, learnt: Tensor, rows: Mapping[int, int], size: int) -> Tensor:
    """Return `drawn` with each row `ours` of `rows` replaced by row `theirs` of `learnt`; a row has `size` outputs."""
    out = drawn.clone()
    ours, theirs = torch.tensor(list(rows), dtype=torch.int64), torch.tensor(list(rows.values()), dtype=torch.int64)
    out.unflatten(0, (-1, size))[ours] = learnt.unflatten(0, (-1, size))[theirs]
    return out


def _fold(name: str) -> str:
    return name.strip().casefold()


def _describe_random(config: ModelConfig, seed: int) -> str:
    frozen = ", ".join(config.network.backbone.frozen)
    warning = f"; warning: {frozen} of the backbone are frozen and stay random; set network.backbone.frozen to []"
    return f"random weights (seed {seed}){warning if frozen else ''}"
