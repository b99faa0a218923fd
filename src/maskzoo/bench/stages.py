"""Where the time of an eager prediction goes: the predictor's own steps, one by one, with a clock between them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from maskzoo.data.batching import batch_resized
from maskzoo.data.images import read_image
from maskzoo.data.transforms import resize_photo
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor, Source
from maskzoo.inference.result import make_prediction
from maskzoo.models.detections import detect
from maskzoo.models.proposals import propose
from maskzoo.models.roi_heads import MASK_SIDE
from maskzoo.structures import Detections, ImageBatch

__all__ = ["STAGES", "Stages", "time_stages"]

STAGES = (
    "read and resize",
    "backbone, pyramid, RPN head",
    "proposals",
    "box RoIAlign",
    "box head",
    "box post-processing",
    "mask RoIAlign",
    "mask head",
    "paste and encode",
)


@dataclass(frozen=True, slots=True)
class Stages:
    """`seconds` by stage, and what the image had: its `canvas` (height, width), `proposals`, `detections`."""

    seconds: dict[str, float]
    canvas: tuple[int, int]
    proposals: int
    detections: int


class _Clock:
    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, dict.fromkeys(STAGES, 0.0)
        self.last = time.perf_counter()

    def lap(self, stage: str) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.seconds[stage], self.last = now - self.last, now


@torch.inference_mode()
def time_stages(predictor: Predictor, source: Source) -> Stages:
    """Predict one photo step by step. RoIAlign runs once more on its own, and is taken off the head's time."""
    backend, config = predictor.backend, predictor.config
    if not isinstance(backend, Eager):
        raise TypeError(f"the backend is {backend.name}; only eager's steps can be told apart")
    model, heads, clock = backend.model, backend.model.heads, _Clock(backend.device)
    pixels = read_image(source)
    resized = resize_photo(pixels, config.input)
    batch = batch_resized([resized], config.input)
    batch = ImageBatch(batch.pixels.to(backend.device, getattr(torch, backend.dtype)), batch.sizes.to(backend.device))
    clock.lap("read and resize")
    features = model.features(batch.pixels)
    scores, deltas = model.rpn(features)
    clock.lap("backbone, pyramid, RPN head")
    proposals = propose(scores, deltas, model.make_anchors(features), batch.sizes, config.limits.proposals)
    clock.lap("proposals")
    table = heads.table(features)
    heads.visit(table, proposals.boxes[0], _zeros(proposals.boxes), heads.box_side, _first)
    clock.lap("box RoIAlign")
    class_scores, box_deltas = heads.boxes(table, proposals.boxes)
    clock.lap("box head")
    found = detect(class_scores, box_deltas, proposals, batch.sizes, config.limits.detections).trimmed()
    clock.lap("box post-processing")
    heads.visit(table, found.boxes[0], _zeros(found.boxes), MASK_SIDE, _first)
    clock.lap("mask RoIAlign")
    done = model.add_masks(found, table)
    clock.lap("mask head")
    _encode(predictor, done, pixels.shape[:2], resized.scale)
    clock.lap("paste and encode")
    seconds = clock.seconds
    for kind in ("box", "mask"):
        seconds[f"{kind} head"] = max(0.0, seconds[f"{kind} head"] - seconds[f"{kind} RoIAlign"])
    height, width = batch.pixels.shape[2:]
    return Stages(seconds, (height, width), int(proposals.valid.sum()), int(done.valid.sum()))


def _encode(
    predictor: Predictor, found: Detections, size: tuple[int, ...], scale: tuple[float, float]
) -> list[dict[str, object]]:
    valid = found.valid[0].cpu()
    rows = (found.boxes, found.scores, found.labels, found.masks)
    boxes, scores, labels, masks = (torch.empty(0) if row is None else row[0].cpu()[valid] for row in rows)
    settings = predictor.config
    prediction = make_prediction(
        boxes.numpy(),
        scores.numpy(),
        labels.numpy(),
        masks.numpy(),
        size=(size[0], size[1]),
        scale=scale,
        classes=settings.classes,
        threshold=settings.limits.detections.mask_threshold,
        image=None,
        source=None,
    )
    return prediction.masks.rle()


def _first(pooled: Tensor) -> Tensor:
    return pooled[:, :1, 0, 0]


def _zeros(boxes: Tensor) -> Tensor:
    return torch.zeros(boxes.shape[1], dtype=torch.int64, device=boxes.device)
