"""Where the time of an eager prediction goes: the network's own steps, each with a clock around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor, Source

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
    """Adds the time that passes to the stage it is in; a step inside another takes over until it ends."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, dict.fromkeys(STAGES, 0.0)
        self.stage, self.last = STAGES[0], time.perf_counter()
        self.calls: dict[str, tuple[Any, Any]] = {}  # by step: arguments, result

    def enter(self, stage: str) -> None:
        """Go on in another stage."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.seconds[self.stage] += now - self.last
        self.stage, self.last = stage, now

    @contextmanager
    def watch(self, owner: Any, step: str, stage: str, after: str = "") -> Iterator[None]:
        """Time every call of a method of `owner`, and keep the last one. A pooling belongs to the head around it."""
        method: Callable[..., Any] = getattr(owner, step)
        own = vars(owner).get(step)  # a compiled step is an attribute already

        def timed(*arguments: Any) -> Any:
            before = self.stage
            self.enter(stage or before.replace("head", "RoIAlign"))
            result = method(*arguments)
            self.calls[step] = arguments, result
            self.enter(after or before)
            return result

        setattr(owner, step, timed)
        try:
            yield
        finally:
            delattr(owner, step) if own is None else setattr(owner, step, own)


def time_stages(predictor: Predictor, source: Source) -> Stages:
    """Predict one photo, from reading it to run-length masks, and return where the time went.

    Args:
        predictor: one whose backend is PyTorch; other runtimes do not tell their steps apart.
        source: the photo.

    Returns:
        The seconds of every stage of `STAGES`, and the sizes that explain them.

    Raises:
        TypeError: the backend is another runtime.
        ImageError: the photo cannot be read.
    """
    backend = predictor.backend
    if not isinstance(backend, Eager):
        raise TypeError(f"the backend is {backend.name}; only eager's steps can be told apart")
    clock, model, read, paste = _Clock(backend.device), backend.model, STAGES[0], STAGES[-1]
    steps = (
        (backend, "detect", "box post-processing", paste),
        (model, "features", "backbone, pyramid, RPN head", ""),
        (model, "score_anchors", "backbone, pyramid, RPN head", ""),
        (model, "propose", "proposals", ""),
        (model.heads, "boxes", "box head", ""),
        (model.heads, "pool", "", ""),
        (model, "detect", "box post-processing", ""),
        (model, "add_masks", "mask head", ""),
    )
    with ExitStack() as stack:
        for owner, step, stage, after in steps:
            stack.enter_context(clock.watch(owner, step, stage, after))
        clock.enter(read)
        predictor.predict(source, score=0).masks.rle()
        clock.enter(paste)
    (pixels,), _ = clock.calls["features"]
    proposals, found = clock.calls["propose"][1], clock.calls["add_masks"][1]
    return Stages(clock.seconds, tuple(pixels.shape[2:]), int(proposals.valid.sum()), int(found.valid.sum()))
