"""What the parts of the network are told, as plain attributes: `maskzoo.config` has the same, checked and explained."""

from __future__ import annotations

from typing import Literal

__all__ = ["Anchors", "Backbone", "BoxLimits", "Limits", "Network", "Norm", "ProposalLimits"]

Norm = Literal["none", "frozen", "bn", "sync_bn", "gn"]


class Backbone:
    """A ResNet: its depth, variant (b or d), width of the stem, groups, norm, and the parts that do not train."""

    depth: int
    variant: str
    width: int
    groups: int
    group_width: int
    norm: Norm
    frozen: tuple[str, ...]


class Anchors:
    """Anchor sizes of each level in pixels, their ratios (height / width), and the levels' strides."""

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]
    strides: tuple[int, ...]


class Network:
    """Which heads (fpn or c4) stand on which backbone, and how wide they are."""

    heads: str
    channels: int
    box_features: int
    norm: Norm
    backbone: Backbone
    anchors: Anchors


class ProposalLimits:
    """How many proposals of a level are looked at and kept, and how many of an image."""

    before_nms: int
    after_nms: int
    total: int
    iou: float
    min_side: float


class BoxLimits:
    """Which detections are kept: by score, by overlap within a class, by number."""

    score: float
    iou: float
    total: int


class Limits:
    """The limits of proposals and of detections."""

    proposals: ProposalLimits
    detections: BoxLimits
