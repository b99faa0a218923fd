"""The learning rate of every iteration, and what it applies to."""

from __future__ import annotations

import torch

from maskzoo.config import Training
from maskzoo.models.mask_rcnn import MaskRCNN

__all__ = ["learning_rate", "make_optimizer"]


def learning_rate(recipe: Training, iteration: int, steps_per_epoch: int, scale: float = 1.0) -> float:
    """Return the learning rate of an `iteration`, counted from 0 and through the warm-up.

    Linear from `start_factor` to 1 over the warm-up, then the base rate, times `decay` from exactly the first iteration
    after each milestone epoch. `scale` is the total batch over the recipe's.
    """
    base, warmup = recipe.learning_rate * scale, recipe.warmup
    if iteration <= warmup.iterations and warmup.iterations > 0:
        progress = iteration / warmup.iterations
        return base * (warmup.start_factor * (1 - progress) + progress)
    passed = sum(iteration >= milestone * steps_per_epoch for milestone in recipe.milestones)
    return base * recipe.decay**passed


def make_optimizer(model: MaskRCNN, recipe: Training) -> torch.optim.SGD:
    """Return SGD with momentum over all parameters that train; weight decay spares none, biases included.

    Each group keeps its stage's share of the learning rate as `share`: a loop sets `lr` to the rate times the share.
    """
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            stage = next((stage for stage in recipe.stage_rates if f".{stage}." in name), None)
            groups.setdefault(recipe.stage_rates[stage] if stage else 1.0, []).append(parameter)
    return torch.optim.SGD(
        [{"params": parameters, "share": share} for share, parameters in groups.items()],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
