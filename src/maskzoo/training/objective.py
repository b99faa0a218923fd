"""What a training step minimises: the network's losses on a batch.

On a GPU the host sends work ahead. It waits for values only where a size or a random draw depends on them:
- `targets._choose` (twice an image): how many candidates there are decides what a generator draws, and so every number;
- `targets.assign_boxes` (of a cascade, once for each image and later box head): how many boxes are objects;
- `_find_outlines`: polygons are rasterised on the host, by COCO's own rule;
- `nms`: greedy suppression goes on until nothing changes, which no count of rounds foresees;
- `roi_align`: RoIs of a level, samples of a bin and taps of a RoI are ragged, and a table's size is a number of the host's.
What a step gave is read by `trainer.Trainer` when it is some steps old. `tests/training/test_late_reading.py` holds this list.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from maskzoo.config import Training
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.roi_heads import CascadeRoiHeads
from maskzoo.ops.gather import take_rows
from maskzoo.ops.roi_align import FeatureTable
from maskzoo.ops.transfer import send
from maskzoo.structures import GroundTruth, ImageBatch, Losses, Samples
from maskzoo.training.losses import box_losses, mask_loss, rpn_losses
from maskzoo.training.targets import Shuffle, assign_boxes, list_slots, rasterize, sample_anchors, sample_boxes

__all__ = ["Objective"]

_Outlined = tuple[Sequence[Sequence[float]], list[float]]  # the outline of a foreground RoI's object, and the RoI


class Objective(nn.Module):
    """The losses of `model` under a recipe. The model itself holds none; this is the module that trains, and that DDP wraps."""

    def __init__(self, model: MaskRCNN, recipe: Training, classes: int) -> None:
        super().__init__()
        self.model, self.recipe, self.classes = model, recipe, classes

    def forward(self, batch: ImageBatch, truth: GroundTruth, shuffles: Sequence[Shuffle]) -> Losses:
        """Return the losses of a batch. `shuffles` draw the samples of each image, so that what an image is sampled for
        depends on its seed alone, not on its place in a batch or on which process has it."""
        model = self.model
        features = model.features(batch.pixels)
        scores, deltas, anchors = model.score_anchors(features)
        rpn_class, rpn_box = self._rpn(scores, deltas, torch.cat(anchors), truth, shuffles)
        with torch.no_grad():  # proposals are constants
            proposals = model.propose(scores, deltas, anchors, batch.sizes, self.recipe.proposals)
            samples = sample_boxes(proposals, truth, self.recipe.boxes, self.classes, shuffles)
            chosen = list_slots([count for count, _ in samples.counts], samples.boxes.shape[1], samples.boxes.device)
            rois, labels = samples.boxes.flatten(0, 1)[chosen], samples.labels.flatten()[chosen]
            outlined = _find_outlines(rois, chosen, samples, truth)
        table = model.heads.table([level.float() for level in features])  # half floats would lose sums of gradients
        class_scores, box_deltas, shared = model.heads.boxes_and_mask_features(table, samples.boxes)
        box_class, box_delta = self._boxes(table, (class_scores, box_deltas), samples, truth, batch.sizes)
        owners = chosen // samples.boxes.shape[1]
        # Where the mask head shares the box head's features they are those of all samples.
        maps = model.heads.mask_features(table, rois, owners) if shared is None else shared[chosen]
        logits = model.heads.mask(maps, labels).float()
        targets = send(_rasterize(outlined, logits.shape[-1]), logits.device).to(logits.dtype)
        empty = sum(count == 0 for count, _ in samples.counts)
        return Losses(rpn_class, rpn_box, box_class, box_delta, mask_loss(logits, targets, empty))

    def _boxes(
        self, table: FeatureTable, found: tuple[Tensor, Tensor], samples: Samples, truth: GroundTruth, sizes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The mean of the box heads' losses: `found` are the first one's logits and deltas, the later ones go on from them."""
        heads = self.model.heads
        losses = [_box_losses(*found, samples, truth)]
        if isinstance(heads, CascadeRoiHeads):
            for place, iou in enumerate(self.recipe.boxes.later_ious, 1):
                with torch.no_grad():
                    # A box that is no number has no area: it is left out, and the loss that moved it says what is wrong.
                    boxes = heads.move(samples.boxes, found[1], sizes).nan_to_num(0.0)
                    samples = assign_boxes(boxes, samples, truth, iou, self.classes)
                found = heads.boxes(table, samples.boxes, place)
                losses.append(_box_losses(*found, samples, truth, place + 1))
        box_class, box_delta = (torch.stack(terms).mean() for terms in zip(*losses, strict=True))
        return box_class, box_delta

    def _rpn(
        self, scores: list[Tensor], deltas: list[Tensor], anchors: Tensor, truth: GroundTruth, shuffles: Sequence[Shuffle]
    ) -> tuple[Tensor, Tensor]:
        all_scores, all_deltas = torch.cat(scores, dim=1), torch.cat(deltas, dim=1)
        images, settings = range(len(all_scores)), self.recipe.rpn
        positive, negative, objects = zip(
            *(sample_anchors(anchors, truth, image, settings, shuffles[image]) for image in images), strict=True
        )
        return rpn_losses(
            torch.cat([all_scores[image, positive[image]] for image in images]),
            torch.cat([all_scores[image, negative[image]] for image in images]),
            torch.cat([all_deltas[image, positive[image]] for image in images]),
            anchors[torch.cat(positive)],
            torch.cat(objects),
            settings.samples * len(images),
        )


def _box_losses(
    scores: Tensor, deltas: Tensor, samples: Samples, truth: GroundTruth, fineness: int = 1
) -> tuple[Tensor, Tensor]:
    objects = take_rows(truth.boxes, samples.truth_index) if truth.boxes.shape[1] else samples.boxes
    return box_losses(scores.float(), deltas.float(), samples, objects, fineness)


def _find_outlines(rois: Tensor, chosen: Tensor, samples: Samples, truth: GroundTruth) -> list[_Outlined]:
    """Read before the heads run, so that what they do is not waited for."""
    rows = torch.cat([rois.float(), samples.truth_index.flatten()[chosen, None]], dim=1).tolist()
    owners = [image for image, (count, _) in enumerate(samples.counts) for _ in range(count)]
    return [(truth.outlines[image][int(row[4])], row[:4]) for image, row in zip(owners, rows, strict=True)]


def _rasterize(outlined: list[_Outlined], side: int) -> Tensor:
    """The 0/1 masks `[N side side]` of all foreground RoIs."""
    masks = [rasterize(outline, box, side) for outline, box in outlined]
    return torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, side, side)
