"""The data types that walk through the network. Letters: B images, P proposals, D detections, C classes, M mask side.

Every tensor leads with the batch axis and has a fixed number of slots; `valid` says which slots are real.
Boxes are x1 y1 x2 y2 in pixels of the resized image, continuous corners: width is x2 - x1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

__all__ = ["Detections", "GroundTruth", "ImageBatch", "Losses", "Proposals", "Samples"]


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Normalised RGB `pixels` float `[B 3 H W]`, zero beyond an image; `sizes` float32 `[B 2]`: where its boxes end."""

    pixels: Tensor
    sizes: Tensor


@dataclass(frozen=True, slots=True)
class Proposals:
    """`boxes` float32 `[B P 4]`, `scores` (RPN logits) float32 `[B P]`, `valid` bool `[B P]`: valid slots come first."""

    boxes: Tensor
    scores: Tensor
    valid: Tensor

    def trimmed(self) -> Proposals:
        """Drop the slots that are empty in every image."""
        return Proposals(*_trim(self.valid, self.boxes, self.scores, self.valid))


@dataclass(frozen=True, slots=True)
class Detections:
    """`boxes` float32 `[B D 4]`, `scores` `[B D]`, `labels` int64 `[B D]` (0..C-1), `rois` int64 `[B D]`, `valid` bool `[B D]`.

    Valid slots come first, by label, then by the proposal they were decoded from (`rois`). `masks` float `[B D M M]`:
    the probability that a cell of the box belongs to the object, of the predicted class; None before the mask head ran.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    rois: Tensor
    valid: Tensor
    masks: Tensor | None = None

    def trimmed(self) -> Detections:
        """Drop the slots that are empty in every image, so that the mask head runs on real detections only."""
        masks = () if self.masks is None else (self.masks,)
        return Detections(*_trim(self.valid, self.boxes, self.scores, self.labels, self.rois, self.valid, *masks))

    def with_masks(self, masks: Tensor) -> Detections:
        """Return the same detections with their `masks`."""
        return replace(self, masks=masks)


def _trim(valid: Tensor, *values: Tensor) -> list[Tensor]:
    count = int(valid.sum(dim=1).max()) if valid.numel() else 0
    return [value[:, :count] for value in values]


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The annotated objects of a batch: `boxes` float32 `[B G 4]`, `labels` int64 `[B G]`, `crowd`, `valid` bool `[B G]`.

    Boxes and outlines are in pixels of the resized images. `outlines[image][object]` is a list of polygons, each a flat
    sequence x y x y ...: ragged, so they stay on the host. Valid slots come first: there are as many as outlines.
    """

    boxes: Tensor
    labels: Tensor
    crowd: Tensor
    valid: Tensor
    outlines: Sequence[Sequence[Sequence[Sequence[float]]]]


@dataclass(frozen=True, slots=True)
class Samples:
    """The RoIs that train the heads: `boxes` `[B S 4]`, `labels` `[B S]` (C is background), `truth_index` `[B S]`.

    `foreground` and `valid` bool `[B S]`; the foreground comes first in each image, empty slots last. `counts` has for
    each image how many are foreground and how many are valid: the host's own numbers, for which it waits for no device.
    """

    boxes: Tensor
    labels: Tensor
    truth_index: Tensor
    foreground: Tensor
    valid: Tensor
    counts: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Losses:
    """The five losses of Mask R-CNN, each a scalar; their plain sum is what is minimised."""

    rpn_class: Tensor
    rpn_box: Tensor
    box_class: Tensor
    box_delta: Tensor
    mask: Tensor

    @property
    def total(self) -> Tensor:
        return self.rpn_class + self.rpn_box + self.box_class + self.box_delta + self.mask
