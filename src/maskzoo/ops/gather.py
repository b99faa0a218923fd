"""Picking rows of batched tensors, and packing ragged lists into padded ones."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["take_rows", "to_slots"]


def take_rows(values: Tensor, index: Tensor) -> Tensor:
    """Return rows `index` `[B K]` of `values` `[B N ...]`, batch by batch: `[B K ...]`."""
    shape = index.shape + (1,) * (values.dim() - 2)
    return values.gather(1, index.reshape(shape).expand(*index.shape, *values.shape[2:]))


def to_slots(group: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Number the members of each group in their order: returns slot `[T]` and the groups' sizes `[groups]`.

    `group` int64 `[T]` is sorted in rising order.
    """
    sizes = torch.bincount(group, minlength=groups)
    begin = sizes.cumsum(0) - sizes
    return torch.arange(group.numel(), device=group.device) - begin[group], sizes
