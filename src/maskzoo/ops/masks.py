"""From the mask of a box to the pixels of the image: soft values around the box, or runs of pixels, never a full image.

A mask is sampled at pixel centres, bilinear, and fades to zero within one cell beyond its outer cell centres: half a
cell outside the box is still covered. Pixels are numbered column by column (x, y of a height H image is x * H + y),
the order of COCO run lengths.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["find_runs", "paste", "to_counts", "to_crop", "to_whole_pixels"]

MASKS_AT_ONCE = 32  # enough to hide the cost of a call, few enough to stay near the processor's cache


def paste(probability: Tensor, box: Tensor, size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """Return the soft values float32 `[h w]` around the box, and the x, y of their first pixel in the image.

    `probability` `[M M]`, after the sigmoid; `box` float32 `[4]` in pixels of the image, clipped to it; `size` height,
    width. Every pixel that is not returned is zero. A box without width or height gives `[0 0]`.
    """
    across, down = _lay_out(box[None], size, probability.shape[-1])
    columns = _stretch(probability[None], across)
    start = columns.index_select(1, down.cell)
    values = start.addcmul_(columns.index_select(1, down.cell + 1).sub_(start), down.fraction).T
    return (values, (int(across.origin), int(down.origin))) if values.numel() else (values.new_zeros(0, 0), (0, 0))


def find_runs(probabilities: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float = 0.5) -> tuple[Tensor, ...]:
    """Return where each pasted mask reaches the `threshold` (> 0): first pixel and end of its runs, int64 `[R 2]`.

    `probabilities` `[N M M]`, `boxes` `[N 4]`, else as in `paste`. Runs ascend, and none leaves its column of pixels.
    """
    chunks = zip(torch.split(probabilities, MASKS_AT_ONCE), torch.split(boxes, MASKS_AT_ONCE), strict=True)
    return tuple(runs for chunk in chunks if len(chunk[0]) for runs in _find_runs(*chunk, size, threshold))


def to_counts(runs: Tensor, size: tuple[int, int]) -> list[int]:
    """Return the COCO run lengths of one mask's `runs`: pixels outside, inside, outside, ... of the whole image.

    Runs that touch, the bottom of one column and the top of the next, become one.
    """
    edges = _drop_pairs(runs.flatten())
    total = edges.new_full((1,), size[0] * size[1])
    counts: list[int] = torch.diff(edges, prepend=edges.new_zeros(1), append=total).tolist()
    return counts if counts[-1] or len(counts) == 1 else counts[:-1]


def to_crop(runs: Tensor, size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """Return the smallest bool mask `[h w]` that holds one mask's `runs`, and the x, y of its first pixel."""
    if len(runs) == 0:
        return torch.zeros(0, 0, dtype=torch.bool), (0, 0)
    column, start = runs[:, 0] // size[0], runs[:, 0] % size[0]
    end = start + runs[:, 1] - runs[:, 0]
    left, top = int(column[0]), int(start.min())
    width, height = int(column[-1]) + 1 - left, int(end.max()) - top
    edges = torch.stack([start, end], dim=1) + ((column - left) * height - top)[:, None]
    total = edges.new_full((1,), width * height)
    counts = torch.diff(edges.flatten(), prepend=edges.new_zeros(1), append=total).tolist()
    pixels = bytearray().join((b"\0", b"\1")[i % 2] * count for i, count in enumerate(counts))
    return torch.frombuffer(pixels, dtype=torch.bool).view(width, height).T, (left, top)


def to_whole_pixels(boxes: Tensor, side: int) -> Tensor:
    """Return the boxes `[N 4]` in which masks of `side` cells lie that are stretched to whole pixels, torchvision's rule.

    There a mask gets a border of one zero cell, its box grows by as much, and corners are cut to whole pixels, from the first
    to the last of which it is stretched. What is returned are the boxes of the cells within the border.
    """
    boxes = boxes.float()
    centre, half = (boxes[:, 2:] + boxes[:, :2]) * 0.5, (boxes[:, 2:] - boxes[:, :2]) * 0.5 * ((side + 2) / side)
    low, high = (centre - half).trunc(), (centre + half).trunc()
    cell = (high - low + 1).clamp(min=1) / (side + 2)
    return torch.cat([low + cell, low + cell * (side + 1)], dim=1)


class _Axis(NamedTuple):
    """The pixels that N masks reach along one axis: those of all masks in one row of length T."""

    owner: Tensor  # [T] which mask
    cell: Tensor  # [T] the cell at or before the pixel's centre: 0 the zero cell, 1..M the mask's
    fraction: Tensor  # [T] float32: how far the centre is on the way to the next cell
    begin: Tensor  # [N] where the mask begins in T
    origin: Tensor  # [N] its first pixel in the image


def _lay_out(boxes: Tensor, size: tuple[int, int], side: int) -> tuple[_Axis, _Axis]:
    """Lay out the masks of the `boxes` across and down the image."""
    boxes = boxes.float()
    solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return (
        _lay_out_axis(boxes[:, 0], boxes[:, 2], solid, size[1], side),
        _lay_out_axis(boxes[:, 1], boxes[:, 3], solid, size[0], side),
    )


def _lay_out_axis(low: Tensor, high: Tensor, solid: Tensor, limit: int, side: int) -> _Axis:
    margin = (high - low) / (2 * side) + 1  # half a cell, and one pixel for rounding
    origin = (low - margin).floor().clamp_(0, limit).long()
    count = ((high + margin).ceil().clamp_(0, limit).long() - origin) * solid
    begin = count.cumsum(0) - count
    owner = torch.arange(len(count)).repeat_interleave(count)
    pixel = torch.arange(len(owner)) + (origin - begin)[owner]
    # Every step rounds as in the published post-processing (a grid from -1 to 1), so that ties fall the same way.
    grid = (pixel + 0.5 - low[owner]) / (high - low)[owner] * 2 - 1
    position = (((grid + 1) * side - 1) / 2).clamp_(-1, side)
    cell = position.floor().clamp_(max=side - 1)
    return _Axis(owner, cell.long() + 1, position - cell, begin, origin)


def _stretch(probabilities: Tensor, across: _Axis) -> Tensor:
    """Stretch the masks `[N M M]` to columns of the image: `[T M+2]`, each a column of cells between two zero cells."""
    table = F.pad(probabilities.float().transpose(1, 2), (1, 1, 1, 1))
    at = across.owner * table.shape[1] + across.cell
    weights = torch.stack([1 - across.fraction, across.fraction], dim=1)
    at = torch.stack([at, at + 1], dim=1)
    return F.embedding_bag(at, table.flatten(0, 1), per_sample_weights=weights, mode="sum")


def _find_runs(probabilities: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float) -> tuple[Tensor, ...]:
    """Find the runs without looking at every pixel: the work grows with width * M, not with width * height.

    Down a column the value is linear from one cell centre to the next (a piece). So the mask switches between outside
    and inside once in each piece whose two cells differ, and nowhere else; halving finds the pixel.
    """
    across, down = _lay_out(boxes, size, probabilities.shape[-1])
    columns = _stretch(probabilities, across)
    cells = columns.shape[1]
    inside = columns >= threshold
    place = (inside[:, 1:] != inside[:, :-1]).flatten().nonzero()[:, 0]
    column, piece = place // (cells - 1), place % (cells - 1)
    owner = across.owner.take(column)

    bounds = _bound_pieces(down, len(boxes), cells - 1)
    low, high = bounds.take(owner * cells + piece) - 1, bounds.take(owner * cells + piece + 1)
    start, end = columns.take(column * cells + piece), columns.take(column * cells + piece + 1)
    step, after = end - start, end >= threshold
    fraction = F.pad(down.fraction, (0, 1))  # `middle` may be the end of the last piece
    for _ in range(int(bounds.diff(dim=1).max()).bit_length()):
        middle = (low + high + 1) >> 1
        found = (torch.addcmul(start, step, fraction.take(middle)) >= threshold) == after
        low, high = torch.where(found, low, middle), torch.where(found, middle, high)

    # A column gets one row more than the image has, so that its bottom and the top of the next are not one place.
    pitch = size[0] + 1
    edges = _drop_pairs(column * pitch + high + (down.origin - down.begin).take(owner))
    column, row = edges // pitch, edges % pitch
    owner = across.owner.take(column)
    runs = (column + (across.origin - across.begin).take(owner)) * size[0] + row
    return torch.split(runs.view(-1, 2), (torch.bincount(owner, minlength=len(boxes)) // 2).tolist())


def _bound_pieces(down: _Axis, masks: int, pieces: int) -> Tensor:
    """Return the places in T where each mask's pieces begin, and where the last one ends: `[N M+2]`."""
    count = torch.bincount(down.owner * pieces + down.cell, minlength=masks * pieces).view(masks, pieces)
    return F.pad(count.cumsum(1), (1, 0)) + down.begin[:, None]


def _drop_pairs(edges: Tensor) -> Tensor:
    """Drop pairs of equal values from ascending `edges`: two switches at one place cancel out."""
    edges, times = torch.unique_consecutive(edges, return_counts=True)
    return edges[times % 2 == 1]
