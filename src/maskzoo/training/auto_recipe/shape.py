"""Sizes of a recipe: of the input by the sizes of objects, anchors by the boxes, limits by how many there are."""

from __future__ import annotations

from typing import Any

from maskzoo.config import ModelConfig
from maskzoo.training.auto_recipe.anchor_fit import fit_anchors, measure_recall
from maskzoo.training.auto_recipe.decisions import Decision
from maskzoo.training.auto_recipe.facts import DataFacts

__all__ = ["decide_shape"]

# Pixels of the input that a tenth of the objects, and half of them, may fall short of: of a small row, for which pixels are
# dear, and of one with published weights, which saw such objects in them. The first is what anchors and pyramid need to reach
# an object at all, the second what makes its outline exact.
SMALL, MIDDLE = (16, 24), (48, 64)
STEP = 32  # pixels, of which an input size is a multiple
LEAST = 96  # pixels
LARGER = 1.5  # times an image's own size, beyond which time is better spent on more steps
MOST = 640  # pixels of the input, or the row's own
AROUND = (0.85, 0.92, 1.0, 1.08, 1.15)  # of the input's size, in training
LONGEST = 2.5  # long side by short side that is taken whole
GAIN = 0.01  # recall that is worth other anchors than the row's
ROOM = 1.5  # detections by the objects of the fullest image
PER_OBJECT = 3  # proposals for each


def decide_shape(config: ModelConfig, facts: DataFacts, *, hurried: bool = False) -> tuple[ModelConfig, list[Decision]]:
    """Return a row's config with sizes, anchors and limits for the data, and the decisions.

    A `hurried` run, in which an input of the size that objects want would leave too few images, gets what they need.
    """
    size = _decide_size(config, facts, hurried)
    short = size.value
    aspect = min(max(facts.aspect, 1.0), LONGEST)
    long = Decision("input.long_side", -(-round(short * aspect) // STEP) * STEP, "image-shapes", {"aspect": facts.aspect})
    sides = [round(short * factor) for factor in AROUND]
    decisions = [size, long, Decision("training.short_sides", sides, "around-size", {})]
    anchors = config.network.anchors
    boxes = facts.boxes * short
    fitted = fit_anchors(anchors, boxes)
    recalls = {"fitted": measure_recall(fitted, boxes), "usual": measure_recall(anchors, boxes)}
    fits = recalls["fitted"] - recalls["usual"] >= GAIN
    chosen = fitted if fits else anchors
    value = {"sizes": [list(level) for level in chosen.sizes], "ratios": list(chosen.ratios)}
    decisions += [
        Decision(f"network.anchors.{key}", one, "anchors-fit" if fits else "anchors-usual", recalls)
        for key, one in value.items()
    ]
    changes: dict[str, Any] = {
        "network": config.network.model_copy(update={"anchors": chosen}),
        "input": config.input.model_copy(update={"short_side": short, "long_side": long.value}),
        "training": config.training.model_copy(
            update={"short_sides": tuple(sides), "long_side": round(long.value * AROUND[-1])}
        ),
    }
    config = config.model_copy(update=changes)
    return _make_room(config, facts, decisions)


def _decide_size(config: ModelConfig, facts: DataFacts, hurried: bool) -> Decision:
    published = bool(config.source.weights)
    wanted = max(SMALL[published] / facts.small, 0 if hurried else MIDDLE[published] / facts.middle)
    limit = min(LARGER * facts.short_side, max(MOST, config.input.short_side))
    short = round(min(max(wanted, LEAST), limit) / STEP) * STEP or STEP
    if wanted > limit:
        return Decision("input.short_side", short, "size-limit", {"wanted": round(wanted), "limit": round(limit)})
    if wanted < LEAST and not hurried:
        return Decision("input.short_side", short, "least-size", {"wanted": round(wanted), "limit": LEAST})
    sizes = {"small": facts.small * short, "middle": facts.middle * short, "short_side": facts.short_side}
    return Decision("input.short_side", short, "hurried-sizes" if hurried else "object-sizes", sizes)


def _make_room(config: ModelConfig, facts: DataFacts, decisions: list[Decision]) -> tuple[ModelConfig, list[Decision]]:
    """Raise the limits where images hold more objects than they let through."""
    found, proposals = config.limits.detections, config.limits.proposals
    if facts.most * ROOM <= found.total:
        return config, decisions
    total, most = round(facts.most * ROOM), max(proposals.total, facts.most * PER_OBJECT)
    decisions += [
        Decision("limits.detections.total", total, "crowded", {"most": facts.most}),
        Decision("limits.proposals.total", most, "crowded", {"most": facts.most}),
    ]
    limits = config.limits.model_copy(
        update={
            "detections": found.model_copy(update={"total": total}),
            "proposals": proposals.model_copy(update={"total": most}),
        }
    )
    return config.model_copy(update={"limits": limits}), decisions
