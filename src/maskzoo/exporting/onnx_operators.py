"""The operators of ours, and one of torch that its exporter lacks, in ONNX's own: what a runtime finds in a graph.

Each function takes and gives values of the graph (onnxscript), with the arguments of the operator it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18 as op

from maskzoo.ops.boxes import BOX_WEIGHTS, MAX_GROWTH

__all__ = ["list_onnx_operators"]

Value = Any  # onnxscript's values are not typed
OUTSIDE = (-10000.0, -10000.0, -9999.0, -9999.0)  # a box beyond every image


def list_onnx_operators() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return the table that torch.onnx.export expects: an operator of ours, and how to write it."""
    ours, aten = torch.ops.maskzoo, torch.ops.aten
    return {
        ours.roi_align.default: roi_align,
        ours.nms.default: nms,
        ours.detect.default: detect,
        aten.sort.stable: sort,
    }


def roi_align(
    features: Sequence[Value],
    boxes: Value,
    images: Value,
    levels: Value,
    strides: Sequence[int],
    side: int,
    aligned: bool,
    samples: int,
) -> Value:
    """Pool level by level: boxes come in rising order of levels, so the parts only need joining.

    Where samples adapt, runtimes return zeros or NaN for a box without area: it is moved out of the image, where all is zero.
    """
    mode = "half_pixel" if aligned else "output_half_pixel"
    if not samples:
        low, high = op.Split(boxes, axis=1, num_outputs=2)
        solid = op.Greater(op.ReduceMin(op.Sub(high, low), _integers(1), keepdims=1), _floats(0.0))  # N 1
        boxes = op.Where(solid, boxes, op.Constant(value_floats=OUTSIDE))
    parts = []
    for level, (feature, stride) in enumerate(zip(features, strides, strict=True)):
        chosen, on = boxes, images
        if len(features) > 1:
            index = op.Squeeze(op.NonZero(op.Equal(levels, _integers(level))), _integers(0))
            chosen, on = op.Gather(boxes, index), op.Gather(images, index)
        parts.append(
            op.RoiAlign(
                feature,
                chosen,
                on,
                coordinate_transformation_mode=mode,
                mode="avg",
                output_height=side,
                output_width=side,
                sampling_ratio=samples,  # 0 lets them adapt to the box
                spatial_scale=1.0 / stride,
            )
        )
    return op.Concat(*parts, axis=0) if len(parts) > 1 else parts[0]


def nms(boxes: Value, valid: Value, iou: float, limit: int | None = None) -> Value:
    """Score the boxes of a list by their place in it, since the order decides what is kept."""
    count = op.Shape(valid, start=1, end=2)
    place = op.Range(_scalar(0), op.Squeeze(count), _scalar(1))
    score = op.Where(valid, op.Cast(op.Sub(count, place), to=1), _floats(0.0))
    most = count if limit is None else _integers(limit)
    kept = op.NonMaxSuppression(
        boxes, op.Unsqueeze(score, _integers(1)), most, _floats(iou), _floats(0.0)
    )  # rows of list, class, box
    at = op.Concat(_column(kept, 0), _column(kept, 2), axis=1)
    ones = op.Expand(_integers(1), op.Shape(at, start=0, end=1))
    none = op.Expand(_integers(0), op.Shape(valid))
    return op.Cast(op.ScatterND(none, at, ones), to=9)


def detect(
    class_scores: Value,
    box_deltas: Value,
    proposals: Value,
    valid: Value,
    sizes: Value,
    least: float,
    iou: float,
    total: int,
    min_side: float,
) -> tuple[Value, Value, Value, Value, Value]:
    """Suppress in one list for each image and class, padded to all proposals; a list's empty slots score -1."""
    count, classes = op.Shape(box_deltas, start=1, end=2), op.Shape(box_deltas, start=2, end=3)
    probability = op.Slice(op.Softmax(class_scores, axis=-1), _integers(0), classes, _integers(2))
    candidate = op.And(op.Greater(probability, _floats(least)), op.Unsqueeze(valid, _integers(2)))
    scores = op.Transpose(op.Where(candidate, probability, _floats(-1.0)), perm=[0, 2, 1])  # B C P
    boxes = _clip(_decode(op.Unsqueeze(proposals, _integers(1)), op.Transpose(box_deltas, perm=[0, 2, 1, 3])), sizes)
    if min_side:
        low, high = op.Split(boxes, axis=-1, num_outputs=2)
        least = op.ReduceMin(op.Sub(high, low), _integers(3), keepdims=0)
        scores = op.Where(op.GreaterOrEqual(least, _floats(min_side)), scores, _floats(-1.0))

    lists = op.Reshape(scores, op.Concat(_integers(-1), count, axis=0))  # B*C P
    rows = op.Reshape(boxes, op.Concat(_integers(-1), count, _integers(4), axis=0))
    kept = op.NonMaxSuppression(rows, op.Unsqueeze(lists, _integers(1)), count, _floats(iou), _floats(0.0))
    at = op.Concat(_column(kept, 0), _column(kept, 2), axis=1)
    none = op.Expand(_floats(-1.0), op.Shape(lists))
    survivors = op.ScatterND(none, at, op.GatherND(lists, at))

    # A candidate's number is class * P + proposal: rising, it is the order of detections, and what decides between equals.
    numbers = op.Mul(classes, count)
    flat = op.Reshape(survivors, op.Concat(_integers(-1), numbers, axis=0))  # B C*P
    flat = op.Pad(flat, _integers(0, 0, 0, total), _scalar(-1.0))
    best, number = op.TopK(flat, _integers(total), axis=1, largest=1, sorted=1)
    number = op.Where(op.Greater(best, _floats(0.0)), number, numbers)
    number, _ = op.TopK(number, _integers(total), axis=1, largest=0, sorted=1)
    found = op.Less(number, numbers)
    number = op.Where(found, number, _integers(0))
    score = op.Where(found, op.GatherElements(flat, number, axis=1), _floats(0.0))
    index = op.Expand(op.Unsqueeze(number, _integers(2)), _integers(1, 1, 4))
    box = op.GatherElements(op.Reshape(boxes, op.Concat(_integers(0, -1, 4), axis=0)), index, axis=1)
    box = op.Where(op.Unsqueeze(found, _integers(2)), box, _floats(0.0))
    return box, score, op.Div(number, count), op.Mod(number, count), found


def sort(values: Value, stable: bool | None = None, dim: int = -1, descending: bool = False) -> tuple[Value, Value]:
    """Take all as the best ones: of equals ONNX gives the earlier first."""
    sorted_values: tuple[Value, Value] = op.TopK(
        values, op.Shape(values, start=dim, end=dim + 1 or None), axis=dim, largest=int(descending), sorted=1
    )
    return sorted_values


def _decode(source: Value, deltas: Value) -> Value:
    """Move boxes `[B 1 P 4]` by deltas `[B C P 4]`, in the steps of `maskzoo.ops.boxes.decode`."""
    x1, y1, x2, y2 = _parts(source)
    dx, dy, dw, dh = _parts(op.Div(deltas, _floats(*BOX_WEIGHTS)))
    low_x, high_x = _move(x1, x2, dx, dw)
    low_y, high_y = _move(y1, y2, dy, dh)
    return op.Concat(low_x, low_y, high_x, high_y, axis=-1)


def _move(low: Value, high: Value, shift: Value, growth: Value) -> tuple[Value, Value]:
    """Both ends of the box along one axis."""
    side, half = op.Sub(high, low), _floats(0.5)
    centre = op.Add(op.Add(low, op.Mul(half, side)), op.Mul(shift, side))
    reach = op.Mul(op.Mul(half, side), op.Exp(op.Min(growth, _floats(MAX_GROWTH))))
    return op.Sub(centre, reach), op.Add(centre, reach)


def _clip(boxes: Value, sizes: Value) -> Value:
    """Clip boxes `[B C P 4]` to the images' `sizes` `[B 2]`."""
    limits = op.Unsqueeze(op.Gather(sizes, _integers(1, 0, 1, 0), axis=1), _integers(1, 2))
    return op.Min(op.Max(boxes, _floats(0.0)), limits)


def _parts(boxes: Value) -> tuple[Value, ...]:
    """Four values `[... 1]` of one `[... 4]`."""
    parts: tuple[Value, ...] = op.Split(boxes, axis=-1, num_outputs=4)
    return parts


def _column(rows: Value, number: int) -> Value:
    return op.Slice(rows, _integers(number), _integers(number + 1), _integers(1))


def _integers(*values: int) -> Value:
    return op.Constant(value_ints=list(values))


def _floats(*values: float) -> Value:
    return op.Constant(value_floats=list(values))


def _scalar(value: float) -> Value:
    return op.Constant(value_int=value) if isinstance(value, int) else op.Constant(value_float=value)
