"""RoIAlign as one `embedding_bag`: every output bin is a weighted sum of feature rows.

The bilinear samples of a bin lie on a regular grid, so their mean separates into one set of weights along y and one
along x; a bin's taps are the products of the two. Each level of the pyramid is one table of rows `[rows C]`. Samples that
adapt to the RoI lie within a cell of each other; of a fixed number each has two taps of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["FeatureTable", "assign_levels", "make_table", "pool_level", "roi_align"]


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of each level, channels-last `[B C H W]` with `strides` in pixels, to be read as tables of rows."""

    levels: tuple[Tensor, ...]
    strides: tuple[int, ...]

    def rows(self, level: int) -> Tensor:
        """View one level as `[B*H*W C]`."""
        return self.levels[level].permute(0, 2, 3, 1).flatten(0, 2)


@dataclass(frozen=True, slots=True)
class _Taps:
    """Along one axis, per RoI and bin `[N S]`: the `first` feature index, how many (`count`), `weights` `[N S T]`."""

    first: Tensor
    count: Tensor
    weights: Tensor


def make_table(features: Sequence[Tensor], strides: Sequence[int]) -> FeatureTable:
    """Hold `features`, one channels-last `[B C H W]` a level; other memory orders are copied."""
    levels = tuple(level.contiguous(memory_format=torch.channels_last) for level in features)
    return FeatureTable(levels, tuple(strides))


def assign_levels(boxes: Tensor, levels: int) -> Tensor:
    """Return the pyramid level (0 is stride 4) `[...]` int64 of boxes `[... 4]`, by the square root of the area.

    224 pixels belong to the third level. The 1e-6 stands inside the logarithm, as the published weights expect.
    """
    # DIFFERS: torchvision, detectron2 and mmdetection add other small numbers, which tell within 1e-3 pixels of 112, 224, 448.
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    area = torch.where((width < 0) | (height < 0), torch.zeros_like(width), width * height)
    return (torch.log2(area.sqrt() / 224 + 1e-6) + 4).floor().clamp(2, levels + 1).to(torch.int64) - 2


def roi_align(
    table: FeatureTable,
    boxes: Tensor,
    images: Tensor,
    levels: Tensor,
    side: int,
    aligned: bool = True,
    samples: int = 0,
) -> Tensor:
    """Return RoI features `[N C side side]` (channels-last in memory) of boxes `[N 4]` in network-input pixels.

    `images` and `levels` `[N]` say where each box lies; levels must come in rising order. A bin has `samples` along each
    axis; 0 adapts them to the RoI: ceil(side of the RoI in cells / `side`), of which one without area has none and gives
    zeros. `aligned` shifts by half a cell; without it a RoI has at least the side of a cell. Compiled and exported
    programs hold it as one operator, `maskzoo::roi_align`.
    """
    if torch.compiler.is_compiling():
        where = (boxes, images, levels)
        pooled: Tensor = torch.ops.maskzoo.roi_align(table.levels, *where, table.strides, side, aligned, samples)
        return pooled
    return _pool(table, boxes, images, levels, side, aligned, samples)


def _pool(table: FeatureTable, boxes: Tensor, images: Tensor, levels: Tensor, side: int, aligned: bool, samples: int) -> Tensor:
    counts = torch.bincount(levels, minlength=len(table.levels)).tolist()
    pooled, begin = [], 0
    for level, count in enumerate(counts):
        if count:
            chosen = slice(begin, begin + count)
            pooled.append(pool_level(table, level, boxes[chosen], images[chosen], side, aligned, samples))
            begin += count
    channels = table.levels[0].shape[1]
    joined = pooled[0] if len(pooled) == 1 else torch.cat([table.levels[0].new_zeros(0, channels), *pooled])
    return joined.reshape(-1, side, side, channels).permute(0, 3, 1, 2)


@torch.library.custom_op("maskzoo::roi_align", mutates_args=())
def _operator(
    features: Sequence[Tensor],
    boxes: Tensor,
    images: Tensor,
    levels: Tensor,
    strides: Sequence[int],
    side: int,
    aligned: bool,
    samples: int,
) -> Tensor:
    return _pool(FeatureTable(tuple(features), tuple(strides)), boxes, images, levels, side, aligned, samples).contiguous()


@_operator.register_fake
def _(
    features: Sequence[Tensor],
    boxes: Tensor,
    images: Tensor,
    levels: Tensor,
    strides: Sequence[int],
    side: int,
    aligned: bool,
    samples: int,
) -> Tensor:
    return features[0].new_empty(boxes.shape[0], features[0].shape[1], side, side)


def pool_level(
    table: FeatureTable, level: int, boxes: Tensor, images: Tensor, side: int, aligned: bool, samples: int = 0
) -> Tensor:
    """RoI features `[N * side * side, C]` of boxes that all lie on one level."""
    height, width = table.levels[level].shape[2:]
    scale, shift = 1.0 / table.strides[level], 0.5 if aligned else 0.0
    start, end = boxes[:, :2] * scale - shift, boxes[:, 2:] * scale - shift
    length = end - start if aligned else (end - start).clamp(min=1)
    first = images.to(torch.int32) * (height * width)
    if samples:
        down_taps = _place_taps(start[:, 1], length[:, 1], height, side, samples)
        across_taps = _place_taps(start[:, 0], length[:, 0], width, side, samples)
        rows, weights, offsets = _cross_evenly(*down_taps, *across_taps, first, width)
    else:
        across = _find_taps(start[:, 0], length[:, 0], width, side)
        down = _find_taps(start[:, 1], length[:, 1], height, side)
        rows, weights, offsets = _cross(down, across, first, width)
    features = table.rows(level)
    return F.embedding_bag(
        rows, features, offsets, mode="sum", per_sample_weights=weights.to(features.dtype), include_last_offset=True
    )


def _find_taps(start: Tensor, length: Tensor, size: int, bins: int) -> _Taps:
    """Find which feature cells each bin reads along one axis, and with which weight.

    `start`, `length` `[N]` of the RoI in cells, `size` of the feature map. A sample beyond [-1, size] counts
    as zero; other samples are clamped to the map. Samples are at most one cell apart, so that a bin of g samples
    touches at most g + 1 neighbouring cells.
    """
    grid = (length / bins).ceil().clamp(min=0)
    # At least 1, without a branch, so that a tracer can follow.
    most: int = F.pad(grid.to(torch.int64), (0, 1), value=1).max().item()  # type: ignore[assignment]
    samples = torch.arange(most, device=start.device, dtype=start.dtype)
    step = (length / bins)[:, None, None]
    corner = start[:, None, None] + torch.arange(bins, device=start.device, dtype=start.dtype)[:, None] * step
    position = corner + (samples + 0.5) * step / grid.clamp(min=1)[:, None, None]
    inside = (position >= -1) & (position <= size) & (samples < grid[:, None, None])
    position = position.clamp(0, size - 1)
    low = position.floor()
    fraction = position - low
    first = low[..., 0]
    share = inside / grid.clamp(min=1)[:, None, None]
    weights = position.new_zeros(*low.shape[:2], most + 1)
    cell = (low - first[..., None]).to(torch.int64).clamp(max=most - 1)
    weights.scatter_add_(2, cell, share * (1 - fraction))
    weights.scatter_add_(2, cell + 1, share * fraction)
    last = low.gather(2, (grid.to(torch.int64) - 1).clamp(min=0)[:, None, None].expand(-1, bins, 1))[..., 0]
    count = ((last + 1).clamp(max=size - 1) - first + 1).to(torch.int32)
    return _Taps(first.to(torch.int32), torch.where(grid[:, None] > 0, count, 0).to(torch.int32), weights)


def _place_taps(start: Tensor, length: Tensor, size: int, bins: int, samples: int) -> tuple[Tensor, Tensor]:
    """Find the cells int32 `[N S 2*samples]` that each bin reads along one axis, and their weights, for fixed samples.

    Arguments and what lies outside as in `_find_taps`.
    """
    step = (length / bins)[:, None, None]
    corner = start[:, None, None] + torch.arange(bins, device=start.device, dtype=start.dtype)[:, None] * step
    position = corner + (torch.arange(samples, device=start.device, dtype=start.dtype) + 0.5) * step / samples
    share = ((position >= -1) & (position <= size)).to(position.dtype) / samples
    position = position.clamp(0, size - 1)
    low = position.floor()
    fraction = position - low
    cells = torch.cat([low, (low + 1).clamp(max=size - 1)], dim=2)
    return cells.to(torch.int32), torch.cat([share * (1 - fraction), share * fraction], dim=2)


def _cross_evenly(
    down: Tensor, down_weights: Tensor, across: Tensor, across_weights: Tensor, first: Tensor, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Combine the taps of both axes as `_cross` does, where each bin has equally many, `[N S T]`."""
    rows = (first[:, None, None] + down * width)[:, :, None, :, None] + across[:, None, :, None, :]
    weights = down_weights[:, :, None, :, None] * across_weights[:, None, :, None, :]
    taps = rows.shape[3] * rows.shape[4]
    bags = rows.shape[0] * rows.shape[1] * rows.shape[2]
    offsets = torch.arange(bags + 1, device=first.device, dtype=torch.int32) * taps
    return rows.reshape(-1), weights.reshape(-1), offsets


def _cross(down: _Taps, across: _Taps, first: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Combine the taps of both axes: table rows int32 `[T]`, their weights `[T]`, offsets of the bags `[N * S * S + 1]`.

    `first` int32 `[N]` is the table row of each RoI's image. Two ragged expansions: bins into lines (one per feature row
    that a bin touches), lines into cells. A member's number within its group is its position less the group's begin, so
    every "group value + number" below is one lookup of (group value - begin) and one addition of the position.
    """
    rois, bins = down.first.shape
    shape = (rois, bins, bins)
    lines = down.count[:, :, None].expand(shape).reshape(-1)  # of each bag
    cells = across.count[:, None, :].expand(shape).reshape(-1)  # of each line of a bag
    offsets = F.pad((lines * cells).cumsum(0, dtype=torch.int32), (1, 0))
    corner = (first[:, None, None] + (down.first * width)[:, :, None] + across.first[:, None, :]).reshape(-1)
    bin_number = torch.arange(rois * bins, dtype=torch.int32, device=first.device).reshape(rois, bins)
    down_at = (bin_number * down.weights.shape[2])[:, :, None].expand(shape).reshape(-1)
    across_at = (bin_number * across.weights.shape[2])[:, None, :].expand(shape).reshape(-1)

    bag, begin = _expand(lines)
    position = torch.arange(bag.numel(), dtype=torch.int32, device=first.device)
    line_weight = down.weights.reshape(-1).index_select(0, (down_at - begin).index_select(0, bag) + position)
    line_row = (corner - begin * width).index_select(0, bag) + position * width
    line_across = across_at.index_select(0, bag)

    line, begin = _expand(cells.index_select(0, bag))
    position = torch.arange(line.numel(), dtype=torch.int32, device=first.device)
    weights = across.weights.reshape(-1).index_select(0, (line_across - begin).index_select(0, line) + position)
    return (
        (line_row - begin).index_select(0, line).add_(position),
        weights.mul_(line_weight.index_select(0, line)),
        offsets,
    )


def _expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the group of each member `[sum(counts)]` and where each group begins `[G]`, from the groups' sizes int32."""
    ends = counts.cumsum(0, dtype=torch.int32)
    return torch.repeat_interleave(counts), ends - counts
