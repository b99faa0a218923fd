"""Values of a recipe and the reasons for them: reasons are data, and the sentences are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Decision"]

# What each reason says; the names in braces are the decision's facts.
SENTENCES = {
    "published-weights": "its published weights are on this machine, and what has learnt already learns the rest soonest",
    "gpu": "the machine has a GPU, and published weights learn the rest soonest; they are fetched",
    "cpu-time": "a CPU, random weights: {wanted:,} images seen would take {minutes:.0f} minutes, and {budget:.0f} are there",
    "cpu-no-time": "a CPU, random weights: with the next larger network {wanted:,} images seen would take about "
    "{minutes:.0f} minutes, and {budget:.0f} are there",
    "begins-with": "the weights that the network is published with",
    "no-weights": "the network has no published weights, and its norms learn",
    "object-sizes": "so that a tenth of the objects is smaller than {small:.0f} pixels and half smaller than {middle:.0f}; "
    "images have {short_side:.0f}",
    "hurried-sizes": "a tenth of the objects is smaller than {small:.0f} pixels and half smaller than {middle:.0f}, as they "
    "need; more pixels would leave too few images in this time",
    "size-limit": "objects would want {wanted}; bounded by {limit} pixels, 1.5 times the images' own or what the network takes",
    "least-size": "objects are large: {wanted} would do; {limit} is the least",
    "image-shapes": "95 of 100 images are no longer than {aspect:.2f} times their short side",
    "around-size": "sizes around that of the input, so that scale is learnt",
    "anchors-fit": "anchors by the boxes reach {fitted:.1%} of them at IoU 0.5, the row's {usual:.1%}",
    "anchors-usual": "the row's: they reach {usual:.1%} of the boxes at IoU 0.5, anchors by the boxes {fitted:.1%}",
    "crowded": "an image has up to {most} objects",
    "cpu-batch": "enough for norms that learn; more would mean fewer steps",
    "few-images": "there are {images} images to train on",
    "gpu-batch": "the largest power of two that fitted the GPU's memory in a trial",
    "linear-rule": "the row's rate, {rate:g} for {images} images, goes with the batch",
    "images-seen": "{images} images to train on, so that about {seen:,} are seen",
    "hours": "{seconds:.2f} s an image in a trial; so many epochs of {images} images fit into {hours:g} hours",
    "steps-averaged": "the mean over about a twentieth of the {steps:,} steps",
    "five-times": "measured about five times",
    "rare-classes": "{rarest} is in {share:.1%} of the images, the middle class in {middle:.1%}: images with rare classes come "
    "more often",
    "processors": "{processors} processors: images are read beside the training by the others",
    "one-processor": "{processors} processors: the training wants them itself",
    "faster": "{gain:.2f} times as fast as float32 in a trial",
    "not-faster": "bfloat16 was {gain:.2f} times as fast in a trial, too little",
    "no-bfloat16": "this machine does not compute in bfloat16",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A value of a model file or a run, its `key` as --set takes it, and why: a `reason` of `SENTENCES`, and its `facts`."""

    key: str
    value: Any
    reason: str
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.key} = {_tell(self.value)}: {SENTENCES[self.reason].format(**self.facts)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        return asdict(self) | {"facts": dict(self.facts)}


def _tell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_tell, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
