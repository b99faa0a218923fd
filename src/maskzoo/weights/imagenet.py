"""Published ImageNet classifiers as the backbone of a network: PaddleDetection's names without their prefix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from maskzoo.config import Network
from maskzoo.weights.paddledetection import list_backbone_renames
from maskzoo.weights.rename import Rename, rename

__all__ = ["fit_imagenet", "is_imagenet", "list_imagenet_renames"]

OFFSET = ".conv_offset."  # of deformable convolutions
PREFIXES = ("backbone.", "bbox_head.head.")  # the second: res5 of C4 heads


def is_imagenet(names: Iterable[str]) -> bool:
    """Tell a classifier's file from a whole network's by the names of its entries."""
    starts = {name.partition(".")[0] for name in names}
    return "res2" in starts and "backbone" not in starts


def list_imagenet_renames(network: Network, origin: str) -> list[Rename]:
    """List every entry of a classifier's file that the network takes, and where it goes; it has no offsets.

    Raises WeightsError, which begins with `origin`, for a backbone of which no weights are published.
    """
    table = []
    for line in list_backbone_renames(network, origin):
        if OFFSET in line.theirs:
            continue
        prefix = next(prefix for prefix in PREFIXES if line.theirs.startswith(prefix))
        table.append(Rename(line.theirs.removeprefix(prefix), line.ours, line.layout))
    return table


def fit_imagenet(
    arrays: Mapping[str, NDArray[Any]], network: Network, shapes: Mapping[str, tuple[int, ...]], origin: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the backbone's tensors by our names, and the names of the file that no backbone has (`fc.weight`, ...).

    `shapes` are those of the whole network. Raises WeightsError that lists all that is missing or has another shape.
    """
    # DIFFERS: PaddleDetection matches names by their longest suffix and leaves out in silence what does not fit.
    table = list_imagenet_renames(network, origin)
    expected = {line.ours: shapes[line.ours] for line in table}
    tensors = rename(arrays, table, expected, origin, allow_surplus=True)
    return tensors, sorted(arrays.keys() - {line.theirs for line in table})
