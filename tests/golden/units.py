"""units.npz: the rules without parameters, each by the reference's own function on drawn inputs.

The draws follow one another, so that the order of the functions in `record_units` is part of the file.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from golden.draws import Draw

Arrays = dict[str, Any]

PHOTO_SIZES = (
    (427, 640), (640, 427), (480, 640), (375, 500), (333, 500), (612, 612), (200, 1000), (1000, 200), (51, 640),
    (2448, 3264), (359, 640), (385, 640), (384, 640), (383, 640), (500, 334), (61, 67), (1333, 800), (801, 1333),
)  # fmt: skip
TARGETS = ([640, 1333], [800, 1333], [320, 533])
RATIOS = [0.5, 1.0, 2.0]
GRIDS = {
    "fpn": ([[32], [64], [128], [256], [512]], [4, 8, 16, 32, 64], [(5, 7), (3, 4), (2, 2), (1, 2), (1, 1)]),
    "c4": ([32, 64, 128, 256, 512], [16], [(4, 3)]),
}
EDGE_SIDES = (112, 111.999, 112.0001, 224, 223.9998, 448, 447.999, 56, 896, 1)  # of squares at the levels' borders
CLASSES = 80
IMAGE_SIZE, SCALE = np.float32([[320.0, 427.0]]), np.float32([[0.66666669, 0.66718751]])


def record_units(seed: int) -> Arrays:
    """Return the arrays of units.npz."""
    draw = Draw(seed)
    parts = (
        record_sizes, record_augmentation, record_anchors, record_box_coding, record_proposals, record_levels,
        record_roi_align, record_matching, record_rasters, record_suppression, record_decoding, record_rescaling,
        record_pasting,
    )  # fmt: skip
    return {key: value for part in parts for key, value in part(draw)}


def tensor(values: Any) -> Any:
    """Return a Paddle tensor."""
    import paddle

    return paddle.to_tensor(values)


def record_sizes(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Rows h, w, target short, target long; results h, w, scale y, scale x."""
    from ppdet.data.transform.operators import Resize

    asked = [(height, width, *target) for height, width in PHOTO_SIZES for target in TARGETS]
    results = []
    for height, width, *target in asked:
        sample = Resize(target, True, 2)(_blank(height, width))
        results.append([*sample["im_shape"], *sample["scale_factor"]])
    yield "resize.in", np.array(asked)
    yield "resize.out", np.array(results, np.float32)


def record_augmentation(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Boxes and outlines of a picture of 427 x 640 resized to 672 and 1333, then mirrored."""
    from ppdet.data.transform.operators import RandomFlip, Resize

    outlines = [[draw.polygon(12)], [draw.polygon(8), draw.polygon(10)]]
    sample = _blank(427, 640) | {"gt_bbox": draw.boxes(4, 640, 427), "gt_poly": outlines}
    yield "aug.bbox_in", sample["gt_bbox"].copy()
    yield "aug.poly_in", _flatten(outlines)
    for name, step in (("resized", Resize([672, 1333], True, 2)), ("flipped", RandomFlip(1.0))):
        sample = step(sample)
        yield f"aug.bbox_{name}", sample["gt_bbox"].copy()
        yield f"aug.poly_{name}", _flatten(sample["gt_poly"])


def record_anchors(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Anchors of small grids."""
    for name, (sizes, strides, grids) in GRIDS.items():
        for place, anchors in enumerate(_make_anchors(sizes, strides, grids)):
            yield f"anchors.{name}.{place}", anchors.numpy()
            yield f"anchors.{name}.{place}.grid", np.array(grids[place])


def record_box_coding(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Boxes to deltas and back; some deltas lie beyond the clip at log(1000/16)."""
    from ppdet.modeling import bbox_utils

    source, target = draw.boxes(40, 500, 400), draw.boxes(40, 500, 400)
    for name, weights in (("rpn", [1.0, 1.0, 1.0, 1.0]), ("box", [10.0, 10.0, 5.0, 5.0])):
        deltas = (draw.normal(0, 1, (40, 4)) * 3 * np.array(weights) / 2).astype(np.float32)
        yield f"code.{name}.src", source
        yield f"code.{name}.dst", target
        yield f"code.{name}.encoded", bbox_utils.bbox2delta(tensor(source), tensor(target), weights).numpy()
        yield f"code.{name}.deltas", deltas
        yield f"code.{name}.decoded", bbox_utils.delta2bbox(tensor(deltas), tensor(source), weights).numpy()[:, 0]


def record_proposals(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Proposals of one level of size 32 and stride 8; `none` has boxes below one pixel only."""
    from ppdet.modeling.proposal_generator.proposal_generator import ProposalGenerator

    (anchors,) = _make_anchors([[32]], [8], [(12, 15)])
    scores, deltas = draw.normals(2, 1, 3, 12, 15), draw.normals(0.7, 1, 12, 12, 15)
    deltas[0, 2::4, :2] -= 5  # boxes thinner than a pixel
    size = np.array([[90.5, 113.0]], np.float32)
    yield from {"prop.scores": scores, "prop.deltas": deltas, "prop.im_shape": size}.items()
    thin = deltas.copy()
    thin[0, 2::4] = -8
    for name, maps, before, after, collect in (
        ("test", deltas, 300, 60, False),
        ("all", deltas, 6000, 1000, False),
        ("train", deltas, 200, 30, True),
        ("none", thin, 300, 60, False),
    ):
        generator = ProposalGenerator(before, after, 0.7, 0.0, 1.0, collect)
        boxes, logits, *_ = generator(tensor(scores), tensor(maps), anchors, tensor(size))
        yield f"prop.{name}.boxes", boxes.numpy()
        yield f"prop.{name}.scores", logits.numpy().ravel()
        if name != "none":
            yield f"prop.{name}.pre_post_tac", np.array([before, after, collect])


def record_levels(draw: Draw) -> Iterator[tuple[str, Any]]:
    """The pyramid level of boxes; the last is empty, the ten before lie at the levels' borders."""
    from paddle.vision.ops import distribute_fpn_proposals

    squares = np.array([[0, 0, side, side] for side in EDGE_SIDES], np.float32)
    boxes = np.concatenate([draw.boxes(60, 1333, 800, 2, 900), squares, np.zeros((1, 4), np.float32)])
    parts, order, _ = distribute_fpn_proposals(tensor(boxes), 2, 5, 4, 224, rois_num=tensor(np.int32([len(boxes)])))
    levels = np.repeat(np.arange(2, 6), [len(part) for part in parts])
    yield from {"levels.boxes": boxes, "levels.level": levels[order.numpy().ravel()]}.items()


def record_roi_align(draw: Draw) -> Iterator[tuple[str, Any]]:
    """RoIAlign by Paddle's CPU kernel, which makes not-a-number of a side of zero where it is aligned."""
    from paddle.vision.ops import roi_align

    feature = draw.normals(1, 2, 3, 13, 17)
    special = [
        [-30, -20, 20, 30], [100, 80, 170, 140], [5, 5, 5.5, 5.4], [0, 0, 136, 104], [136, 104, 136, 104], [40, 40, 40, 60],
    ]  # fmt: skip
    boxes = np.concatenate([draw.boxes(10, 17 * 8, 13 * 8, 1, 120), np.array(special, np.float32)])
    counts = np.array([len(boxes) - 7, 7], np.int32)
    yield from {"roialign.x": feature, "roialign.boxes": boxes, "roialign.num": counts}.items()
    yield "roialign.spatial_scale", np.array(1 / 8)
    for aligned in (True, False):
        for ratio in (0, 2):
            pooled = roi_align(tensor(feature), tensor(boxes), tensor(counts), 7, 1 / 8, ratio, aligned)
            yield f"roialign.aligned{int(aligned)}.sr{ratio}", pooled.numpy()


def record_matching(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Matching and sampling in order, without and with a crowd; some anchors are objects or twins, two objects nearly are."""
    from ppdet.modeling import bbox_utils
    from ppdet.modeling.proposal_generator import target

    anchors, objects = draw.boxes(400, 300, 300, 20, 150), draw.boxes(6, 300, 300, 30, 150)
    objects[5] = objects[4] + np.float32([0.25, 0.5, 1.0, 0.75])
    anchors[:5] = objects[:5]
    anchors[5] = anchors[6] = objects[0] + np.float32(20)
    crowd = np.array([[0], [0], [1], [0], [0], [0]], np.int32)
    classes = draw.randint(0, CLASSES, (6, 1)).astype(np.int32)
    yield from {"match.anchors": anchors, "match.gt": objects, "match.crowd": crowd, "match.cls": classes}.items()
    yield "match.iou", bbox_utils.bbox_overlaps(tensor(objects), tensor(anchors)).numpy()
    for name, flags in (("nocrowd", np.zeros_like(crowd)), ("crowd", crowd)):
        key = f"match.{name}"
        for kind, high, low, rescue in (("rpn", 0.7, 0.3, True), ("box", 0.5, 0.5, False)):
            index, label = target.label_box(tensor(anchors), tensor(objects), high, low, rescue, -1.0, tensor(flags))
            yield f"{key}.{kind}.gt_index", index.numpy()
            yield f"{key}.{kind}.label", label.numpy()
        labels, _, deltas = target.rpn_anchor_target(
            tensor(anchors), [tensor(objects)], 64, 0.7, 0.3, 0.5, False, 1, -1, [tensor(flags)]
        )
        yield f"{key}.rpn.sampled", labels[0].numpy()
        yield f"{key}.rpn.deltas", deltas[0].numpy()
        truth = [tensor(classes)], [tensor(objects)]
        rois, labels, boxes, indices, _ = target.generate_proposal_target(
            [tensor(anchors)], *truth, 64, 0.25, 0.5, 0.5, CLASSES, -1.0, [tensor(flags)], False
        )
        yield f"{key}.box.rois", rois[0].numpy()
        yield f"{key}.box.cls", labels[0].numpy().ravel()
        yield f"{key}.box.gt", boxes[0].numpy()
        yield f"{key}.box.gtidx", indices[0].numpy().ravel()


def record_rasters(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Mask targets of outlines of one to three polygons in boxes that cut them; box 3 is empty, box 4 a square."""
    from ppdet.modeling.proposal_generator.target import rasterize_polygons_within_box

    outlines, boxes = [], []
    for place in range(12):
        center = draw.uniform(30, 100, 2)
        outlines.append([draw.star(center, part) for part in range(1 + place % 3)])
        half = draw.uniform(8, 60, 2) / 2
        middle = center + draw.uniform(-15, 15, 2)
        boxes.append([*(middle - half), *(middle + half)])
    boxes = np.array(boxes, np.float32)
    boxes[3, 2:], boxes[4, 2:] = boxes[3, :2], boxes[4, :2] + 16
    yield "raster.poly", _flatten(outlines)
    lengths = [[place, len(polygon)] for place, outline in enumerate(outlines) for polygon in outline]
    yield from {"raster.inst_len": np.array(lengths), "raster.boxes": boxes}.items()
    for side in (14, 28):
        rasters = [
            rasterize_polygons_within_box(copy.deepcopy(outline), box, side).numpy()
            for outline, box in zip(outlines, boxes, strict=True)
        ]
        yield f"raster.{side}", np.stack(rasters).astype(np.uint8)


def record_suppression(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Suppression per class: equal scores, a score equal to the threshold, more survivors than are kept."""
    from ppdet.modeling.layers import MultiClassNMS

    count, classes = 80, 6
    boxes = draw.boxes(count, 200, 150, 20, 90)[:, None].repeat(classes, 1)
    boxes = boxes + draw.uniform(-3, 3, (count, classes, 4)).astype(np.float32)
    scores = (draw.uniform(0, 1, (count, classes)) ** 3).astype(np.float32)
    scores[10], boxes[11], scores[20, 2] = scores[11], boxes[10] + 60, 0.05
    yield from {"nms.boxes": boxes, "nms.scores": scores}.items()
    for name, kept in (("top20", 20), ("all", 1000)):
        suppress = MultiClassNMS(score_threshold=0.05, nms_threshold=0.5, keep_top_k=kept, return_index=True)
        found, _, index = suppress((tensor(boxes), tensor(np.int32([count]))), tensor(scores), classes)
        yield f"nms.{name}.out", found.numpy()
        yield f"nms.{name}.index", index.numpy().ravel()


def record_decoding(draw: Draw) -> Iterator[tuple[str, Any]]:
    """RoIs and the box head's outputs to boxes, clipped, and scores; boxes of every eighth class are kept."""
    import paddle
    from ppdet.modeling.layers import RCNNBox

    rois = draw.boxes(7, 533, 320, 8, 200)
    rois[0] = [500, 300, 533, 320]
    deltas, logits = draw.normals(1.5, 7, 4 * CLASSES), draw.normals(2, 7, CLASSES + 1)
    outputs = tensor(deltas), paddle.nn.functional.softmax(tensor(logits))
    proposals = [tensor(rois)], tensor(np.int32([7]))
    (boxes, _), scores = RCNNBox()(outputs, proposals, tensor(IMAGE_SIZE), tensor(SCALE))
    yield from {"decode.rois": rois, "decode.deltas": deltas, "decode.logits": logits, "decode.im_shape": IMAGE_SIZE}.items()
    yield from {"decode.boxes": boxes.numpy()[:, ::8], "decode.scores": scores.numpy()}.items()


def record_rescaling(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Detections back to the photo; the last two lose their area. `empty` is what becomes of none."""
    from ppdet.modeling.post_process import BBoxPostProcess

    columns = draw.randint(0, CLASSES, (9, 1)), draw.uniform(0.05, 1, (9, 1)), draw.boxes(9, 427, 320, 5, 300)
    found = np.concatenate(columns, axis=1).astype(np.float32)
    found[7, 4] = found[7, 2]
    found[8, 2:] = [426.9999, 10, 427, 50]
    process = BBoxPostProcess()
    _, rescaled, _ = process.get_pred(tensor(found), tensor(np.int32([9])), tensor(IMAGE_SIZE), tensor(SCALE))
    yield from {"rescale.det": found, "rescale.scale_factor": SCALE, "rescale.out": rescaled.numpy()}.items()
    yield "rescale.origin", process.origin_shape_list.numpy()
    none = tensor(np.zeros((0, 6), np.float32)), tensor(np.int32([0]))
    _, rescaled, count = process.get_pred(*none, tensor(IMAGE_SIZE), tensor(SCALE))
    yield from {"rescale.empty.out": rescaled.numpy(), "rescale.empty.num": count.numpy()}.items()


def record_pasting(draw: Draw) -> Iterator[tuple[str, Any]]:
    """Probability maps pasted into a picture of 61 x 83: whole, at its corner, and smaller than a pixel."""
    from ppdet.modeling.post_process import MaskPostProcess, paste_mask

    height, width = size = np.array([61, 83])
    for side in (14, 28):
        masks = (draw.uniform(0, 1, (8, side, side)) ** 0.7).astype(np.float32)
        boxes = draw.boxes(8, width, height, 3, 70)
        boxes[:3] = [[0, 0, width, height], [70.3, 50.2, width, height], [10.5, 20.5, 11.25, 21.0]]
        found = np.concatenate([np.ones((8, 2), np.float32), boxes], axis=1)
        sizes = np.full((8, 2), size, np.float32)
        yield from {f"paste.{side}.masks": masks, f"paste.{side}.boxes": boxes, f"paste.{side}.size": size}.items()
        yield f"paste.{side}.soft", paste_mask(tensor(masks)[:, None], tensor(boxes), int(height), int(width)).numpy()
        pasted = MaskPostProcess()(tensor(masks), tensor(found), tensor(np.int32([8])), tensor(sizes))
        yield f"paste.{side}.binary", pasted.numpy().astype(np.int8)


def _blank(height: int, width: int) -> Arrays:
    return {"image": np.zeros((height, width, 3), np.uint8), "scale_factor": np.ones(2, np.float32)}


def _flatten(outlines: list[list[Any]]) -> np.ndarray:
    return np.concatenate([np.asarray(polygon, np.float64) for outline in outlines for polygon in outline])


def _make_anchors(sizes: Any, strides: list[int], grids: list[tuple[int, int]]) -> Any:
    import paddle
    from ppdet.modeling.proposal_generator.anchor_generator import AnchorGenerator

    generator = AnchorGenerator(anchor_sizes=sizes, aspect_ratios=RATIOS, strides=strides)
    return generator([paddle.zeros([1, 1, height, width]) for height, width in grids])
