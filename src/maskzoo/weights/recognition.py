"""What network a weights file of another library is of, found from names and shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from numpy.typing import NDArray

from maskzoo.config import Network
from maskzoo.errors import WeightsError, list_some
from maskzoo.weights import caffe2, detectron2, libraries, mmdetection, paddledetection, torchvision
from maskzoo.weights.layer_names import LayerNames, list_layer_renames
from maskzoo.weights.not_computed import refuse_not_computed
from maskzoo.weights.rename import Rename, rename
from maskzoo.weights.shape_reader import LayerReader, PaddleReader

__all__ = ["Library", "Recognised", "recognise"]

Array = NDArray[Any]
Library = Literal["torchvision", "detectron2", "mmdetection", "PaddleDetection", "Detectron"]


@dataclass(frozen=True, slots=True)
class Recognised:
    """What network a file is of.

    Attributes:
        library: whose names they are.
        arrays: the network's arrays by the library's newer names.
        settings: values of the model file by key, and what in the file shows each.
        classes: how many, without the background.
        anchors: how many in each place.
        left_out: what of the file is no weight: the reason, and the names.
        statistics: mean and deviation of pixels, where the file has them, by "pixel_mean" and "pixel_std".
    """

    library: Library
    arrays: dict[str, Array]
    settings: dict[str, tuple[Any, str]]
    classes: int
    anchors: int
    left_out: dict[str, list[str]]
    statistics: dict[str, list[float]]
    table: Callable[[Network, str], list[Rename]] = field(repr=False)

    def to_ours(self, network: Network, expected: Mapping[str, tuple[int, ...]], origin: str) -> dict[str, torch.Tensor]:
        """Return our tensors of a network, whose names and shapes are `expected`; `origin` begins each error's message.

        Raises:
            WeightsError: They do not fit it exactly; all faults at once.
        """
        table = libraries.share_rows(self.table(network, origin), self.arrays)
        return rename(self.arrays, table, expected, origin)


def recognise(arrays: Mapping[str, Array], origin: str) -> Recognised:
    """Find the library and the network of a file's arrays.

    Args:
        arrays: They, by the names in the file.
        origin: The file's name in errors.

    Raises:
        WeightsError: It is no Mask R-CNN, or one that is not computed here; the message says what was found.
    """
    arrays, outside = _take_network(arrays, origin)
    refuse_not_computed(arrays, origin)
    blobs = caffe2.is_caffe2(arrays)
    kept, left_out = _sort_out(caffe2.rename_blobs(arrays) if blobs else arrays)
    left_out |= outside
    if blobs:
        gone = [name for name in arrays if name.endswith("_momentum")]
        left_out |= {"what the optimiser kept": gone} if gone else {}
    statistics = {name: arrays[name].reshape(-1).tolist() for name in ("pixel_mean", "pixel_std") if name in arrays}
    if "rpn_head.rpn_feat.rpn_conv.weight" in kept:
        settings, classes, anchors = PaddleReader(kept, origin).find()
        return Recognised(
            "PaddleDetection", kept, settings, classes, anchors, left_out, statistics, paddledetection.list_renames
        )
    _refuse_parts(kept, origin)
    library = libraries.find_library(kept, origin)
    kept = {torchvision.modernise(name) if library == "torchvision" else name: array for name, array in kept.items()}
    names = _choose_names(library, blobs, kept)
    settings, classes, anchors = LayerReader(kept, origin, names, any("num_batches_tracked" in name for name in arrays)).find()
    chosen: Library = "Detectron" if blobs else library

    def list_table(network: Network, origin: str) -> list[Rename]:
        return list_layer_renames(network, names, origin)

    return Recognised(chosen, kept, settings, classes, anchors, left_out, statistics, list_table)


def _take_network(arrays: Mapping[str, Array], origin: str) -> tuple[Mapping[str, Array], dict[str, list[str]]]:
    """Return the entries of the network under its own names, and what stands outside of a wrapper's prefix for it.

    A LightningModule, or a class of one's own, calls the network `model.`, `net.`, `detector.` or anything else.
    """
    prefixes = {name[: name.index("backbone.")] for name in arrays if re.search(r"(^|\.)backbone\.", name)}
    if "" in prefixes or not prefixes:
        return arrays, {}
    if len(prefixes) > 1:
        raise WeightsError(
            f"{origin}: holds {len(prefixes)} networks, under {list_some(map(repr, sorted(prefixes)))}; expected one: save it "
            "alone, torch.save(THE_ONE.state_dict(), 'weights.pth')"
        )
    (prefix,) = prefixes
    outside = [name for name in arrays if not name.startswith(prefix)]
    kept = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    return kept, {f"outside of {prefix!r}, where the network is": outside} if outside else {}


def _sort_out(arrays: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, list[str]]]:
    """Part the weights from what else a state dict holds."""
    kept: dict[str, Array] = {}
    left_out: dict[str, list[str]] = {}
    for name, array in arrays.items():
        if name.endswith(".num_batches_tracked"):
            left_out.setdefault("counters of batch-norm, which only training needs", []).append(name)
        elif "." not in name and array.ndim == 0:
            left_out.setdefault("counters of averaging", []).append(name)
        elif "cell_anchors" in name:
            left_out.setdefault("anchors, which follow from the settings", []).append(name)
        elif name.endswith(("pixel_mean", "pixel_std")):
            left_out.setdefault("mean and deviation of pixels, which became input.mean and input.std", []).append(name)
        else:
            kept[name] = array
    return kept, left_out


def _refuse_parts(arrays: Mapping[str, Array], origin: str) -> None:
    """Refuse files that are a part of a Mask R-CNN only."""
    names = list(arrays)
    if not any("mask" in name for name in names) and any(name.startswith(("roi_head", "bbox_head")) for name in names):
        raise WeightsError(
            f"{origin}: has no mask head: a Faster R-CNN, whose boxes alone are not computed here; found {len(names)} entries, "
            f"as {list_some(names[:3])}. Train on from its library's Mask R-CNN"
        )
    heads = ("roi_head", "rpn", "proposal_generator", "neck", "bbox_head")
    if not any(name.startswith(heads) for name in names) and any(
        re.search(r"(layer1|res2)\.0\.conv1\.weight$", name) for name in names
    ):
        raise WeightsError(
            f"{origin}: a backbone alone, such as an ImageNet classifier's; expected a whole Mask R-CNN. Found "
            f"{list_some(names[:3])}"
        )


def _choose_names(library: libraries.Library, blobs: bool, arrays: Mapping[str, Array]) -> LayerNames:
    if library == "detectron2":
        c4 = any(name.startswith("roi_heads.res5.") for name in arrays)
        if blobs:
            return caffe2.C4_NAMES if c4 else caffe2.NAMES
        if not c4 and any(name.startswith("backbone.stem.") for name in arrays):
            return detectron2.DC5_NAMES
        return detectron2.C4_NAMES if c4 else detectron2.NAMES
    return torchvision.NAMES if library == "torchvision" else mmdetection.NAMES
