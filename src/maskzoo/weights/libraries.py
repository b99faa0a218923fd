"""Whose weights a file holds, and from their names to ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from numpy.typing import NDArray

from maskzoo.config import Network
from maskzoo.errors import WeightsError, list_some
from maskzoo.weights import detectron2, mmdetection, torchvision
from maskzoo.weights.layer_names import list_layer_renames
from maskzoo.weights.rename import Layout, Rename, rename

__all__ = ["Library", "find_library", "list_library_renames", "share_rows", "to_ours"]

Library = Literal["torchvision", "detectron2", "mmdetection"]
SIGNS: dict[Library, tuple[str, ...]] = {  # how a name begins that only this library has
    "torchvision": ("backbone.body.",),
    "detectron2": ("proposal_generator.",),
    "mmdetection": ("neck.", "roi_head."),
}
# Counters of batch-norm, and what detectron2 stored besides weights once: its mean and deviation, and anchors.
IGNORED = (".num_batches_tracked", "pixel_mean", "pixel_std")
IGNORED_PARTS = (".cell_anchors.",)
SHARED_ROWS = {"heads.box.delta": 4, "heads.mask.logits": 1}  # rows of a layer that does not tell classes apart


def find_library(names: Iterable[str], origin: str) -> Library:
    """Return whose names these are.

    Raises WeightsError, which begins with `origin`, if they are of none, or of several libraries.
    """
    names = list(names)
    found = [library for library, signs in SIGNS.items() if any(name.startswith(signs) for name in names)]
    if len(found) != 1:
        raise WeightsError(
            f"{origin}: its names are not those of a Mask R-CNN of torchvision, detectron2 or mmdetection 2 and 3; found "
            f"{list_some(names[:3]) if names else 'none'}. Give the file that the library itself saved"
        )
    return found[0]


def list_library_renames(library: Library, network: Network, origin: str) -> list[Rename]:
    """List every entry of the library's weights file of a network. Raises WeightsError as `list_layer_renames` does."""
    if library == "detectron2":
        names = detectron2.C4_NAMES if network.heads == "c4" else detectron2.NAMES
    else:
        names = torchvision.NAMES if library == "torchvision" else mmdetection.NAMES
    if network.heads == "c4" and names.res5 is None:
        raise WeightsError(f"{origin}: {library}'s weights of C4 heads are not read; only detectron2's are")
    return list_layer_renames(network, names, origin)


def to_ours(
    source: Mapping[str, NDArray[Any]], network: Network, expected: Mapping[str, tuple[int, ...]], origin: str
) -> dict[str, torch.Tensor]:
    """Return our tensors from a library's, by the same strict rules as `rename`: nothing missing, nothing left over.

    Args:
        source: The library's arrays by its names.
        network: What network they are of.
        expected: Our names and shapes.
        origin: The source's name in errors.

    Raises:
        WeightsError: It is not known whose they are, or they do not fit the network; all faults at once.
    """
    library = find_library(source, origin)
    kept = {
        torchvision.modernise(name) if library == "torchvision" else name: array
        for name, array in source.items()
        if not name.endswith(IGNORED) and not any(part in name for part in IGNORED_PARTS)
    }
    table = list_library_renames(library, network, origin)
    return rename(kept, share_rows(table, kept), expected, origin)


def share_rows(table: Sequence[Rename], source: Mapping[str, NDArray[Any]]) -> list[Rename]:
    """Let all classes share the rows of a last layer that has those of one class only."""

    def is_shared(line: Rename) -> bool:
        array, rows = source.get(line.theirs), SHARED_ROWS.get(line.ours.rpartition(".")[0])
        return array is not None and array.ndim > 0 and array.shape[0] == rows

    return [replace(line, layout=Layout.SHARED) if is_shared(line) else line for line in table]
