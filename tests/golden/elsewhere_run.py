"""What a network of torchvision, detectron2 or mmdetection computed for a photo, in the form that the fixtures have."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.storage import Recording
from golden.watch import Watch, to_array

ROI_STEP, ROI_CHANNELS = 125, 16  # of the RoI features, how far kept rows lie apart, and how many channels they keep


@dataclass
class Run:
    """Arrays by key, and what the COCO rows are made of: categories, scores and masks `[K H W]` of the photo."""

    arrays: Recording = field(default_factory=lambda: Recording("elsewhere"))
    category_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    masks: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 1), bool))

    def keep_stages(self, stages: Mapping[str, Any]) -> None:
        """Keep the backbone's stages, by their names res2 to res5."""
        for name, stage in stages.items():
            self.arrays.summarize(f"backbone.{name}", to_array(stage))
            self.arrays[f"backbone.{name}.channel_mean"] = to_array(stage).mean(axis=(0, 2, 3))

    def keep_levels(self, prefix: str, levels: Iterable[tuple[str, Any]]) -> None:
        """Keep one tensor of each pyramid level."""
        for name, level in levels:
            self.arrays.summarize(f"{prefix}.{name}", to_array(level))

    def keep_boxes(self, pooled: Any, feature: Any, scores: Any, deltas: Any) -> None:
        """Keep what the box head makes of the proposals."""
        pooled, scores, deltas = to_array(pooled), to_array(scores), to_array(deltas)
        for name, values in (("roi_feat", pooled), ("head_feat", to_array(feature)), ("logits", scores), ("deltas", deltas)):
            self.arrays.summarize(f"box.{name}", values)
        self.arrays["box.roi_feat.rows"] = pooled[::ROI_STEP, :: pooled.shape[1] // ROI_CHANNELS].copy()
        self.arrays["box.logits.rows"], self.arrays["box.deltas.rows"] = scores[::10].copy(), deltas[::50].copy()

    def keep_mask_logits(self, pooled: Any, logits: Any, labels: np.ndarray) -> None:
        """Keep the mask head's input, and of its logits those of each detection's own class."""
        logits = to_array(logits)
        self.arrays.summarize("mask.roi_feat", to_array(pooled))
        self.arrays.summarize("mask.logits_all", logits)
        self.arrays["mask.logits"] = logits[np.arange(len(labels)), labels.astype(np.int64)]

    def keep_objects(self, rows: np.ndarray, category_ids: Any, masks: Any) -> None:
        """Keep the detections on the photo, rows of label, score and box, and their masks."""
        self.category_ids, self.masks = np.asarray(category_ids, np.int64), to_array(masks) > 0
        self.arrays["det.original"], self.arrays["det.category_id"] = rows, self.category_ids
        self.arrays["mask.area"] = self.masks.sum(axis=(1, 2)).astype(np.int64)
        self.arrays["mask.shape"] = np.array(self.masks.shape)


@dataclass(frozen=True)
class Reference:
    """A library's network, ready to run.

    `network` has the weights, `score` is the layer that scores classes; `run` takes a photo (RGB, uint8) and a `Watch`.
    """

    network: Any
    score: Any
    run: Any

    def __call__(self, photo: np.ndarray) -> Run:
        return self.run(self, photo, Watch())
