"""What defines a network, as plain attributes: the sections of `maskzoo.config` inherit, check and explain them."""

from __future__ import annotations

from typing import Literal

__all__ = ["Anchors", "Backbone", "BoxLimits", "Limits", "Network", "Norm", "ProposalLimits"]

Norm = Literal["none", "frozen", "bn", "sync_bn", "gn"]


class Backbone:
    """A ResNet: depth, variant (b or d), width of the stem, groups, norm, and the parts that do not train."""

    depth: int
    variant: str
    width: int
    groups: int
    group_width: int
    norm: Norm
    frozen: tuple[str, ...]


class Anchors:
    """Anchor sizes of each level in pixels, their ratios (height / width), and the strides of the levels."""

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]
    strides: tuple[int, ...]


class Network:
    """The kind of heads (fpn or c4), their widths and norm, the backbone and the anchors."""

    heads: str
    channels: int
    box_features: int
    norm: Norm
    backbone: Backbone
    anchors: Anchors


class ProposalLimits:
    """How many proposals of each level enter and leave suppression, how many an image keeps, overlap and least side."""

    before_nms: int
    after_nms: int
    total: int
    iou: float
    min_side: float


class BoxLimits:
    """Which detections are kept: by score, overlap within a class and number."""

    score: float
    iou: float
    total: int


class Limits:
    """The limits of proposals and of detections."""

    proposals: ProposalLimits
    detections: BoxLimits
