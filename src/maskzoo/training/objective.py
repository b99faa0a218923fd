"""What a training step minimises: the network's losses on a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from maskzoo.config import Training
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.ops.gather import take_rows
from maskzoo.structures import GroundTruth, ImageBatch, Losses, Samples
from maskzoo.training.losses import box_losses, mask_loss, rpn_losses
from maskzoo.training.targets import Shuffle, rasterize, sample_anchors, sample_boxes

__all__ = ["Objective"]


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
        table = model.heads.table([level.float() for level in features])  # half floats would lose sums of gradients
        class_scores, box_deltas, features_of_masks = model.heads.boxes_and_mask_features(table, samples.boxes)
        objects = take_rows(truth.boxes, samples.truth_index) if truth.boxes.shape[1] else samples.boxes
        box_class, box_delta = box_losses(class_scores.float(), box_deltas.float(), samples, objects)
        chosen = samples.foreground
        if features_of_masks is None:
            features_of_masks = model.heads.mask_features(table, samples.boxes[chosen], chosen.nonzero()[:, 0])
        else:  # the box head's own, in the order of the samples
            features_of_masks = features_of_masks[chosen.flatten()]
        logits = model.heads.mask(features_of_masks, samples.labels[chosen]).float()
        targets = self._mask_targets(samples, truth, logits.shape[-1]).to(logits)
        empty = int((~chosen.any(dim=1)).sum())
        return Losses(rpn_class, rpn_box, box_class, box_delta, mask_loss(logits, targets, empty))

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

    def _mask_targets(self, samples: Samples, truth: GroundTruth, side: int) -> Tensor:
        """The 0/1 masks `[N side side]` of all foreground RoIs, image by image."""
        masks = []
        for image, slot in samples.foreground.nonzero().tolist():
            outline = truth.outlines[image][int(samples.truth_index[image, slot])]
            masks.append(rasterize(outline, samples.boxes[image, slot].tolist(), side))
        return torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, side, side)
