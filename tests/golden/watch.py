"""What passes through a library's network while it runs: its modules' and functions' results, kept by name."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Keep = Callable[[Any], Any]


def to_array(value: Any) -> np.ndarray:
    """Return an array of its own of a tensor, or of what numpy takes."""
    return np.array(value.detach() if isinstance(value, torch.Tensor) else value)


class Watch:
    """Every result that was seen under a name, in the order of the calls; `watch[name]` is the first."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Any]] = defaultdict(list)

    def __getitem__(self, name: str) -> Any:
        return self.seen[name][0]

    def module(self, name: str, module: torch.nn.Module) -> None:
        """Keep what a module returns."""
        module.register_forward_hook(lambda module, inputs, output: self.seen[name].append(output))

    def input(self, name: str, module: torch.nn.Module) -> None:
        """Keep a module's first input."""
        module.register_forward_pre_hook(lambda module, inputs: self.seen[name].append(inputs[0]))

    def function(self, name: str, owner: Any, attribute: str, keep: Keep = lambda result: result) -> None:
        """Keep what `keep` makes at once of a function's result: libraries change some results in place later."""
        original = getattr(owner, attribute)

        def watched(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            self.seen[name].append(keep(result))
            return result

        setattr(owner, attribute, watched)


def join_rows(labels: Any, scores: Any, boxes: Any) -> np.ndarray:
    """Return detections `[K 6]`: label, score, box."""
    labels, scores = to_array(labels)[:, None], to_array(scores)[:, None]
    return np.concatenate([labels, scores, to_array(boxes)], axis=1).astype(np.float32)
