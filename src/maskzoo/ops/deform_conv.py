"""Deformable convolution (v2): every point of a kernel looks where an offset says, and counts as much as a mask says."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["deform_conv"]


def deform_conv(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """Convolve at moved points, padded to keep the size.

    Between pixels values are bilinear, beyond the map they fade to zero within a pixel.

    Args:
        x: The map `[B C H W]`.
        offset: `[B 2k² h w]`: of each point of the kernel, row by row, how many pixels it is moved down, then across.
        mask: `[B k² h w]`: what each point's value is multiplied by.
        weight: `[O C/groups k k]`, odd k.
        stride: Of the output's pixels.
        groups: Of channels.

    Returns:
        The outputs `[B O h w]`.
    """
    kernel, (batch, channels), (height, width) = weight.shape[2], x.shape[:2], offset.shape[2:]
    wide = torch.promote_types(x.dtype, torch.float32)  # half floats would move points
    moved = offset.unflatten(1, (kernel * kernel, 2)).to(wide)
    reach = torch.arange(kernel, device=x.device) - kernel // 2
    rows = (torch.arange(height, device=x.device) * stride)[:, None] + moved[:, :, 0]
    columns = torch.arange(width, device=x.device) * stride + moved[:, :, 1]
    rows = rows + reach.repeat_interleave(kernel)[:, None, None]
    columns = columns + reach.repeat(kernel)[:, None, None]
    # grid_sample's -1 and 1 are the outer edges of the first and the last pixel
    grid = torch.stack([(2 * columns + 1) / x.shape[3] - 1, (2 * rows + 1) / x.shape[2] - 1], dim=-1)
    values = F.grid_sample(x.to(wide), grid.flatten(1, 2), mode="bilinear", padding_mode="zeros", align_corners=False)
    values = values.reshape(batch, channels, kernel * kernel, height, width) * mask.to(wide)[:, None]
    taps = values.to(x.dtype).reshape(batch, groups, -1, height * width)
    out = weight.reshape(groups, weight.shape[0] // groups, -1) @ taps
    return out.reshape(batch, weight.shape[0], height, width)
