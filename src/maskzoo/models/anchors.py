"""Anchors: the boxes that the RPN moves."""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.ops.transfer import send

__all__ = ["make_anchors"]


def make_anchors(
    height: int, width: int, stride: int, sizes: tuple[float, ...], ratios: tuple[float, ...], device: torch.device
) -> Tensor:
    """Return the anchors `[height * width * A, 4]` of one level, in order y, x, size, ratio (height / width).

    Unrounded; the anchors of cell (0, 0) are centred on pixel (0, 0), as the published weights expect.
    """
    cell = []
    for size in sizes:
        for ratio in ratios:
            half_width = (size * size / ratio) ** 0.5 / 2
            half_height = half_width * ratio
            cell.append([-half_width, -half_height, half_width, half_height])
    x = torch.arange(width, device=device, dtype=torch.float32) * stride
    y = torch.arange(height, device=device, dtype=torch.float32) * stride
    shift_y, shift_x = torch.meshgrid(y, x, indexing="ij")
    shifts = torch.stack([shift_x, shift_y, shift_x, shift_y], dim=-1)
    return (shifts[:, :, None] + send(torch.tensor(cell), device)).reshape(-1, 4)
