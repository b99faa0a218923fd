"""The learning rate of every iteration, and what it applies to."""

from __future__ import annotations

import torch
from torch import nn

from maskzoo.config import Training
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.norms import BatchNorm

__all__ = ["change_epochs", "fit_recipe", "learning_rate", "make_optimizer"]


def learning_rate(recipe: Training, iteration: int, steps_per_epoch: int, scale: float = 1.0) -> float:
    """Return the learning rate of an `iteration`, counted from 0 and through the warm-up.

    Linear from `start_factor` to 1 over the warm-up, then the base rate, times `decay` from exactly the first iteration
    after each milestone epoch. `scale` is the total batch over the recipe's.
    """
    base, warmup = recipe.learning_rate * scale, recipe.warmup
    if iteration <= warmup.iterations and warmup.iterations > 0:
        done = iteration / warmup.iterations
        return base * (warmup.start_factor * (1 - done) + done)
    passed = sum(iteration >= milestone * steps_per_epoch for milestone in recipe.milestones)
    return base * recipe.decay**passed


def make_optimizer(model: MaskRCNN, recipe: Training, *, conditional: bool = False) -> torch.optim.SGD:
    """Return SGD with momentum over all parameters that train; weight decay spares none but norms with a decay of their own.

    Each group keeps its stage's share of the learning rate as `share`: a loop sets `lr` to the rate times the share.
    A `conditional` one (torch's fused SGD) leaves out a step on the device where its `found_inf` is not 0.
    """
    # DIFFERS: with group norms the published training gave the bias of fc6 twice the rate, and no weight decay.
    norms = {id(own) for part in model.modules() if isinstance(part, BatchNorm | nn.GroupNorm) for own in part.parameters()}
    norm_decay = recipe.weight_decay if recipe.norm_decay is None else recipe.norm_decay
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            stage = next((stage for stage in recipe.stage_rates if f".{stage}." in name), None)
            share = recipe.stage_rates[stage] if stage else 1.0
            decay = norm_decay if id(parameter) in norms else recipe.weight_decay
            groups.setdefault((share, decay), []).append(parameter)
    return torch.optim.SGD(
        [{"params": own, "share": share, "weight_decay": decay} for (share, decay), own in groups.items()],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        foreach=not conditional,  # the same sums, less to call: 3 % of a step of a small network
        fused=conditional,
    )


def fit_recipe(recipe: Training, steps: int, scale: float) -> tuple[Training, str]:
    """Return the recipe with a warm-up that fits a run of so many `steps`, and a line that says what the rates will be.

    A warm-up of more than a tenth of the run, as on a small data set, is shortened to that tenth. Published recipes on
    COCO are far from it. `scale` is the total batch over the recipe's: the rate follows it (the linear rule).
    """
    base, warmup = recipe.learning_rate, recipe.warmup
    line = f"learning rate {base * scale:g}"
    if scale != 1:
        line += f" ({base:g} for {recipe.images_per_batch} images, by the linear rule)"
    most = max(1, steps // 10)
    if warmup.iterations > most:
        line += f", warm-up shortened from {warmup.iterations} to {most} iterations, a tenth of the run"
        recipe = recipe.model_copy(update={"warmup": warmup.model_copy(update={"iterations": most})})
    return recipe, line


def change_epochs(recipe: Training, epochs: int) -> Training:
    """Return the recipe for another number of epochs, its milestones in proportion."""
    milestones = tuple(max(1, round(milestone * epochs / recipe.epochs)) for milestone in recipe.milestones)
    return recipe.model_copy(update={"epochs": epochs, "milestones": milestones})
