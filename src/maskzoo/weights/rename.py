"""From another library's names to ours: a table, followed strictly in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.errors import WeightsError

__all__ = ["STATISTICS", "Layout", "Rename", "list_own_renames", "rename", "rename_back"]

MAX_LISTED = 10
STATISTICS = {  # what mean and variance are called by the backbone's norms that have them
    "frozen": ("mean", "variance"),
    "bn": ("running_mean", "running_var"),
    "sync_bn": ("running_mean", "running_var"),
}
ROI_SIDE = 7


class Layout(Enum):
    """How a tensor lies in the source: as ours; TRANSPOSED, a linear weight stored [in, out]; ROI_LINEAR, transposed too,
    with the inputs of a 7x7 RoI feature ordered channel, y, x, where ours are y, x, channel; ROI_ROWS, so without being
    transposed. BACKGROUND_FIRST: the first row belongs to the background, ours is last; BACKGROUND_BOX, BACKGROUND_MASK: its
    four deltas or its mask stand first, of which ours has none. SHARED: the rows of one class serve all.
    """

    SAME = auto()
    TRANSPOSED = auto()
    ROI_LINEAR = auto()
    ROI_ROWS = auto()
    BACKGROUND_FIRST = auto()
    BACKGROUND_BOX = auto()
    BACKGROUND_MASK = auto()
    SHARED = auto()


BACKGROUND_ROWS = {Layout.BACKGROUND_BOX: 4, Layout.BACKGROUND_MASK: 1}


@dataclass(frozen=True, slots=True)
class Rename:
    """One line of a table: their name, our name, and how theirs lies."""

    theirs: str
    ours: str
    layout: Layout = Layout.SAME


def list_own_renames(names: Iterable[str], found: str, wanted: str) -> list[Rename]:
    """List where our own `names` stand in a checkpoint of ours whose backbone has norms `found`, where ours are `wanted`.

    Stored and running statistics are the same numbers under other names; group norms have none.
    """
    leaves = dict(zip(STATISTICS.get(wanted, ()), STATISTICS.get(found, ()), strict=False))

    def find(name: str) -> str:
        stem, _, leaf = name.rpartition(".")
        return f"{stem}.{leaves.get(leaf, leaf)}" if name.startswith(("backbone.", "heads.res5.")) else name

    return [Rename(find(name), name) for name in names]


def rename(
    source: Mapping[str, NDArray[Any]],
    table: Sequence[Rename],
    expected: Mapping[str, tuple[int, ...]],
    origin: str,
    *,
    allow_surplus: bool = False,
) -> dict[str, torch.Tensor]:
    """Return our tensors, float32 and contiguous, in the order of `expected` (our name -> shape).

    Every line of the table must find a finite floating array of its shape in `source`, and every array of `source` must
    have a line, unless `allow_surplus`. `origin` names the source in errors. Raises WeightsError that lists all faults
    at once, and ValueError for a table that does not cover `expected` exactly.
    """
    by_ours = _index(table, expected)
    missing = [line.theirs for line in table if line.theirs not in source]
    surplus = [] if allow_surplus else sorted(source.keys() - {line.theirs for line in table})
    misshapen, unsuitable, tensors = [], [], {}
    for ours, shape in expected.items():
        line = by_ours[ours]
        if line.theirs not in source:
            continue
        array = source[line.theirs]
        wanted = _find_source_shape(tuple(shape), line.layout, array)
        if array.shape != wanted:
            misshapen.append(f"{line.theirs}: found {list(array.shape)}, expected {list(wanted)}")
        elif array.dtype.kind != "f":
            unsuitable.append(f"{line.theirs}: {array.dtype}")
        else:
            tensors[ours] = _to_tensor(_lay_out(array, line.layout, tuple(shape)))
    endless = {by_ours[ours].theirs: int((~tensor.isfinite()).sum()) for ours, tensor in tensors.items()}
    faults = [
        *_report("missing, expected in the file", missing),
        *_report("not part of this network", surplus),
        *_report("of another shape than this network's", misshapen),
        *_report("not floating-point", unsuitable),
        *_report("with values that are infinite or not a number", [f"{name}: {n}" for name, n in endless.items() if n]),
    ]
    if faults:
        raise WeightsError(
            f"{origin}: does not fit the network; nothing was loaded. Check that file and model belong together, "
            "and fetch a damaged file again.\n" + "\n".join(faults)
        )
    return tensors


def rename_back(tensors: Mapping[str, torch.Tensor], table: Sequence[Rename]) -> dict[str, NDArray[np.float32]]:
    """Return another library's arrays from ours, contiguous and in the table's order: what `rename` reads as the same tensors.

    Rows that ours has none of, the background's deltas and mask, are zeros: no library looks at them. Raises ValueError for a
    table that does not cover `tensors` exactly.
    """
    by_ours = _index(table, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    return {
        line.theirs: np.array(
            _lay_back(tensors[ours].detach().cpu().float().numpy(), line.layout), np.float32, order="C", copy=True
        )
        for ours, line in by_ours.items()
    }


def _index(table: Sequence[Rename], expected: Mapping[str, tuple[int, ...]]) -> dict[str, Rename]:
    by_ours = {line.ours: line for line in table}
    if len(by_ours) != len(table) or len({line.theirs for line in table}) != len(table):
        raise ValueError("the table gives a name twice")
    if by_ours.keys() != expected.keys():
        raise ValueError(f"the table does not cover the network exactly: {sorted(by_ours.keys() ^ expected.keys())}")
    return by_ours


def _find_source_shape(shape: tuple[int, ...], layout: Layout, array: NDArray[Any]) -> tuple[int, ...]:
    if layout in (Layout.TRANSPOSED, Layout.ROI_LINEAR):
        return shape[::-1]
    if layout is Layout.SHARED:
        return (array.shape[0], *shape[1:])
    return (shape[0] + BACKGROUND_ROWS.get(layout, 0), *shape[1:]) if shape else shape


def _lay_out(array: NDArray[Any], layout: Layout, shape: tuple[int, ...]) -> NDArray[Any]:
    if layout is Layout.TRANSPOSED:
        return array.T
    if layout in (Layout.ROI_LINEAR, Layout.ROI_ROWS):
        rows = array if layout is Layout.ROI_ROWS else array.T
        return rows.reshape(shape[0], -1, ROI_SIDE, ROI_SIDE).transpose(0, 2, 3, 1).reshape(shape[0], -1)
    if layout is Layout.BACKGROUND_FIRST:
        return np.roll(array, -1, axis=0)
    if layout is Layout.SHARED:
        return np.concatenate([array] * (shape[0] // array.shape[0]))
    return array[BACKGROUND_ROWS.get(layout, 0) :] if shape else array


def _lay_back(array: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """The inverse of `_lay_out`. SHARED rows have been copied to every class, and stay so."""
    if layout is Layout.TRANSPOSED:
        return array.T
    if layout in (Layout.ROI_LINEAR, Layout.ROI_ROWS):
        cells = array.reshape(len(array), ROI_SIDE, ROI_SIDE, -1)
        rows_there = cells.transpose(0, 3, 1, 2).reshape(len(array), -1)
        return rows_there if layout is Layout.ROI_ROWS else rows_there.T
    if layout is Layout.BACKGROUND_FIRST:
        return np.roll(array, 1, axis=0)
    rows = BACKGROUND_ROWS.get(layout, 0)
    return np.concatenate([np.zeros((rows, *array.shape[1:]), array.dtype), array]) if rows else array


def _to_tensor(array: NDArray[Any]) -> torch.Tensor:
    """Copy: a file's array may be read-only, unaligned, or share its memory with others."""
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is reported as such
        return torch.from_numpy(np.array(array, np.float32, order="C", copy=True))


def _report(fault: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    if not names:
        return []
    more = [f"    and {len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return [f"  {len(names)} {fault}:", *(f"    {name}" for name in names[:MAX_LISTED]), *more]
