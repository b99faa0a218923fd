"""Anchors: the boxes that the RPN moves."""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.ops.transfer import send

__all__ = ["make_anchors"]


def make_anchors(
    height: int,
    width: int,
    stride: int,
    sizes: tuple[float, ...],
    ratios: tuple[float, ...],
    device: torch.device,
    canvas: tuple[int, int] | None = None,
) -> Tensor:
    """Return the anchors `[height * width * A, 4]` of one level, in order y, x, size, ratio (height / width).

    Unrounded; the anchors of cell (0, 0) are centred on pixel (0, 0), as the published weights expect. With the `canvas`
    (height, width) all is whole: corners are rounded, half to even, and cells stand canvas // cells pixels apart.
    """
    down, across = (stride, stride) if canvas is None else (canvas[0] // height, canvas[1] // width)
    cell = []
    for size in sizes:
        for ratio in ratios:
            half_width = (size * size / ratio) ** 0.5 / 2
            half_height = half_width * ratio
            corner = (half_width, half_height) if canvas is None else (round(half_width), round(half_height))
            cell.append([-corner[0], -corner[1], *corner])
    x = torch.arange(width, device=device, dtype=torch.float32) * across
    y = torch.arange(height, device=device, dtype=torch.float32) * down
    shift_y, shift_x = torch.meshgrid(y, x, indexing="ij")
    shifts = torch.stack([shift_x, shift_y, shift_x, shift_y], dim=-1)
    return (shifts[:, :, None] + send(torch.tensor(cell, dtype=torch.float32), device)).reshape(-1, 4)
