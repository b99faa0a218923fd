"""What defines a network, as plain attributes: the sections of `maskzoo.config` inherit, check and explain them."""

from __future__ import annotations

from typing import Literal

__all__ = ["Anchors", "Backbone", "BoxLimits", "Limits", "Network", "Norm", "ProposalLimits", "RoiAlign"]

Norm = Literal["none", "frozen", "bn", "sync_bn", "gn"]


class Backbone:
    """A ResNet: depth, variant (b or d), width of the stem, groups, where blocks stride or deform, norm, frozen parts."""

    depth: int
    variant: str
    width: int
    groups: int
    group_width: int
    stride_in_1x1: bool
    deformable: tuple[str, ...]
    norm: Norm
    epsilon: float
    frozen: tuple[str, ...]


class Anchors:
    """Anchor sizes of each level in pixels, their ratios (height / width), the levels' strides, and whether all is whole."""

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]
    strides: tuple[int, ...]
    whole: bool


class RoiAlign:
    """Whether RoIs are shifted by half a cell, and how many samples a bin takes along each axis; 0 adapts to the RoI."""

    aligned: bool
    samples: int


class Network:
    """The kind of heads (fpn, dc5 or c4), how many box heads of which kind, widths, norm, backbone, anchors, rules."""

    heads: str
    channels: int
    box_stages: int
    box_head: str
    box_features: int
    rpn_convs: int
    norm: Norm
    shrinking_capped: bool
    backbone: Backbone
    anchors: Anchors
    roi_align: RoiAlign


class ProposalLimits:
    """How many proposals of each level enter and leave suppression, how many an image keeps, overlap and least side."""

    before_nms: int
    after_nms: int
    total: int
    iou: float
    min_side: float


class BoxLimits:
    """Which detections are kept: by score, least side, overlap within a class (hard or soft suppression) and number."""

    score: float
    iou: float
    total: int
    min_side: float
    suppression: str


class Limits:
    """The limits of proposals and of detections."""

    proposals: ProposalLimits
    detections: BoxLimits
