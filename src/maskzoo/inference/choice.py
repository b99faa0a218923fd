"""Which objects of a prediction are wanted, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskzoo.config import ModelConfig
from maskzoo.errors import ArgumentError, list_some, suggest
from maskzoo.inference.prediction import Prediction

__all__ = ["SCORE", "Choice"]

SCORE = 0.5  # the least score of an object that a person wants to see, in Python as on the command line


@dataclass(frozen=True, slots=True)
class Choice:
    """Objects from `score` on, of the classes with these `labels` (None: all), the highest score first."""

    score: float
    labels: tuple[int, ...] | None

    @classmethod
    def make(cls, score: float, classes: str | Sequence[str] | None, config: ModelConfig) -> Choice:
        """Return the choice for names of a model's classes. Raises ArgumentError for a name that it does not have."""
        if not 0 <= score <= 1:
            raise ArgumentError(f"score (--score): found {score}; expected 0 to 1")
        if classes is None:
            return cls(score, None)
        shown = list_some(config.classes.values(), 10)
        known = [name.casefold() for name in config.classes.values()]
        whole = not isinstance(classes, str) or classes.casefold() in known
        names = ([classes] if whole else classes.split(",")) if isinstance(classes, str) else list(classes)
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise ArgumentError(f"classes (--classes): found {wrong[0]!r}; expected names of {shown}")
        labels = []
        for name in (name.strip() for name in names):
            if name.casefold() not in known:
                advice = suggest(name, config.classes.values()) or f"expected of {shown}"
                raise ArgumentError(f"classes (--classes): {config.name} has no class {name!r}; {advice}")
            labels += [label for label, one in enumerate(known) if one == name.casefold()]
        return cls(score, tuple(labels))

    def apply(self, prediction: Prediction) -> Prediction:
        """Return the objects of a prediction that are wanted; of equal scores the earlier stays the first."""
        order = np.argsort(-prediction.scores, kind="stable")
        wanted = prediction.scores[order] >= self.score
        if self.labels is not None:
            wanted &= np.isin(prediction.labels[order], self.labels)
        return prediction[order[wanted]]
