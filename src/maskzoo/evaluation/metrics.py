"""COCO's twelve numbers for boxes and for masks, and AP of every class, from checked annotations and results.

hotcoco does the matching. It sees images and classes by their place, not by their ids: a layout of ids cannot matter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from hotcoco import COCO, COCOeval
from numpy.typing import NDArray

from maskzoo.datasets.annotations import AnnotationSet
from maskzoo.datasets.classes import ClassMap
from maskzoo.evaluation.results import Results
from maskzoo.system.collecting import without_collecting

__all__ = ["IOU50", "IOU75", "NAMES", "ClassMetrics", "Evaluation", "Kind", "Metrics", "compute_metrics", "match_objects"]

NAMES = (
    "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
    "AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip
AREAS = ("all", "small", "medium", "large")  # the order of COCO's ranges: below 32 x 32, up to 96 x 96, above
IOU50, IOU75 = 0, 5  # places in 0.50, 0.55 ... 0.95
Kind = Literal["bbox", "segm"]
Precision = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """AP of one class: 0 to 1, over IoU 0.50 to 0.95, and at 0.50; by area. None where there is no such object."""

    ap: float | None
    ap50: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None


@dataclass(frozen=True, slots=True)
class Metrics:
    """COCO's twelve `values` in the order of NAMES, 0 to 1, None where the data set has no such object; `classes` by label."""

    values: tuple[float | None, ...]
    classes: tuple[ClassMetrics, ...]

    @property
    def ap(self) -> float | None:
        return self.values[0]

    def to_dict(self) -> dict[str, float | None]:
        """Return name -> value of the twelve."""
        return dict(zip(NAMES, self.values, strict=True))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation gives: `box` and `mask` (None for what the results do not have), and what was counted.

    `objects` int64 `[C]`: how many of each class count, crowds left out.
    """

    box: Metrics | None
    mask: Metrics | None
    objects: NDArray[np.int64]
    images: int
    detections: int

    @property
    def kinds(self) -> dict[str, Metrics]:
        """What there is of `box` and `mask`, by name."""
        return {name: metrics for name, metrics in (("box", self.box), ("mask", self.mask)) if metrics is not None}

    def to_dict(self, classes: ClassMap) -> dict[str, Any]:
        """Return all numbers as plain values that `json.dumps` takes: AP and AR 0 to 1, null where nothing counts.

        `classes` are those of the data set.
        """
        rows = [
            {"id": number, "name": name, "objects": int(self.objects[label])}
            | {kind: asdict(metrics.classes[label]) for kind, metrics in self.kinds.items()}
            for label, (number, name) in enumerate(classes.to_classes().items())
        ]
        return {
            "images": self.images,
            "objects": int(self.objects.sum()),
            "detections": self.detections,
            "box": None if self.box is None else self.box.to_dict(),
            "mask": None if self.mask is None else self.mask.to_dict(),
            "classes": rows,
        }


def compute_metrics(annotations: AnnotationSet, results: Results) -> Evaluation:
    """Score results on all images of the data set: COCO's default protocol, 1, 10 and 100 detections of an image."""
    return Evaluation(
        box=_score(annotations, results, "bbox") if results.has_boxes else None,
        mask=_score(annotations, results, "segm") if results.has_masks else None,
        objects=np.array(annotations.count_objects()),
        images=len(annotations),
        detections=len(results),
    )


def _score(annotations: AnnotationSet, results: Results, kind: Kind) -> Metrics:
    classes = len(annotations.classes)
    if not len(annotations.ids):
        return Metrics((None,) * len(NAMES), (ClassMetrics(*(None,) * 5),) * classes)
    _, tables = match_objects(annotations, results, kind)
    precision, recall = np.asarray(tables["precision"]), np.asarray(tables["recall"])  # [T R K A M] and [T K A M]
    values = [
        _average(precision[..., 0, 2]), _average(precision[IOU50, ..., 0, 2]), _average(precision[IOU75, ..., 0, 2]),
        *(_average(precision[..., area, 2]) for area in (1, 2, 3)),
        *(_average(recall[..., 0, most]) for most in (0, 1, 2)),
        *(_average(recall[..., area, 2]) for area in (1, 2, 3)),
    ]  # fmt: skip
    return Metrics(tuple(values), tuple(_score_class(precision[:, :, label, :, 2]) for label in range(classes)))


def match_objects(annotations: AnnotationSet, results: Results, kind: Kind) -> tuple[COCOeval, dict[str, Any]]:
    """Return hotcoco's evaluator after it has matched and accumulated, and its tables, `precision` `[T R K A M]` ...

    Its ids are places: image and annotation rows and labels of the data set, and rows of the results, each plus 1.
    """
    with without_collecting():  # of an object for each mask
        truth = _load_truth(annotations, kind)
        evaluator = COCOeval(truth, _load_results(truth, annotations, results, kind), kind)
    evaluator.evaluate()
    evaluator.accumulate()
    tables: dict[str, Any] | None = evaluator.eval
    if tables is None:
        raise RuntimeError("hotcoco gave no result after accumulate()")
    return evaluator, tables


def _score_class(precision: Precision) -> ClassMetrics:
    """`precision` `[T R A]` of one class."""
    by_area = [_average(precision[:, :, area]) for area in range(len(AREAS))]
    return ClassMetrics(by_area[0], _average(precision[IOU50, :, 0]), *by_area[1:])


def _average(values: Precision) -> float | None:
    """The mean of what there is: -1 stands where no object counts."""
    there = values[values > -1]
    return float(there.mean()) if there.size else None


def _load_truth(annotations: AnnotationSet, kind: Kind) -> COCO:
    sizes = annotations.sizes.tolist()
    images = [{"id": place, "height": height, "width": width} for place, (height, width) in enumerate(sizes, 1)]
    names = annotations.classes.names
    masks = [annotations.segmentation(row) for row in range(len(annotations.ids))] if kind == "segm" else None
    return COCO.from_arrays(
        images,
        [{"id": label, "name": name} for label, name in enumerate(names, 1)],
        annotations.image_index.astype(np.int64) + 1,
        annotations.labels.astype(np.int64) + 1,
        annotations.bbox,
        area=annotations.area,
        iscrowd=annotations.crowd.astype(np.int64),
        segmentation=masks,
    )


def _load_results(truth: COCO, annotations: AnnotationSet, results: Results, kind: Kind) -> COCO:
    columns = np.zeros((len(results), 7))
    columns[:, 0], columns[:, 5], columns[:, 6] = results.images + 1, results.scores, results.labels + 1
    columns[:, 1:5] = results.bound(annotations)  # for masks too: hotcoco looks for wrong labels by boxes
    if kind == "bbox" or not len(results):
        return truth.load_res(columns)
    sizes = annotations.sizes.tolist()
    masks: list[dict[str, Any] | list[list[float]]] = [
        {"size": sizes[image], "counts": runs} for image, runs in zip(results.images.tolist(), results.runs, strict=True)
    ]
    loaded = truth.load_res(columns, segmentation=masks)
    # The published figures have the mask's area decide between small and large; a row with a box would have the box's.
    loaded.update_anns(ids=np.arange(1, len(results) + 1), area=results.areas.astype(np.float64))
    return loaded
