"""The factor that keeps float16's gradients in its range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["LossScale"]

START, LEAST = 2.0**16, 1.0  # below 1 it is the gradients themselves that are not finite
INTERVAL = 2000  # steps in a row without an overflow before the scale doubles


class LossScale:
    """A scale that an overflow halves; all of it stays on the device, so that nobody waits for a decision.

    `torch.amp.GradScaler` cannot leave out a step that the host has not seen yet. Without `enabled` it does nothing.
    """

    def __init__(self, device: torch.device, *, enabled: bool) -> None:
        self.enabled = enabled
        self._scale = torch.full((), START, device=device)
        self._sound = torch.zeros((), dtype=torch.int64, device=device)  # steps since the scale last changed

    def multiply(self, loss: Tensor) -> Tensor:
        """Return the loss times the scale."""
        return loss * self._scale if self.enabled else loss

    def divide(self, gradients: Iterable[Tensor]) -> None:
        """Take the scale out of the gradients, in place."""
        if self.enabled:
            torch._foreach_mul_(list(gradients), self._scale.double().reciprocal().float())

    def can_fall(self) -> Tensor:
        """Whether gradients that are not finite may be float16's range only: bool, a scalar."""
        return self._scale > LEAST if self.enabled else torch.zeros_like(self._scale, dtype=torch.bool)

    def update(self, counted: Tensor, overflow: Tensor) -> None:
        """Take in a step: halve after an `overflow`, double after many steps without; nothing if it is not `counted`."""
        if not self.enabled:
            return
        sound = torch.where(overflow, 0, self._sound + 1)
        full = sound == INTERVAL
        doubled = torch.where((self._scale * 2).isfinite() & full, self._scale * 2, self._scale)
        self._scale.copy_(torch.where(counted, torch.where(overflow, self._scale * 0.5, doubled), self._scale))
        self._sound.copy_(torch.where(counted, torch.where(full, 0, sound), self._sound))

    def describe(self) -> dict[str, Any]:
        """Return the state as JSON values, under the names that GradScaler gives them."""
        return {"scale": float(self._scale), "_growth_tracker": int(self._sound)} if self.enabled else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what was described."""
        if self.enabled:
            self._scale.fill_(state["scale"])
            self._sound.fill_(state["_growth_tracker"])
