"""The rules without parameters, each against the reference's own numbers (`units.npz` of both golden sets)."""

import numpy as np
import pytest
import torch

from maskzoo.config import BoxSampling, ProposalLimits, RpnSampling
from maskzoo.data.augment import AnnotatedImage, flip, resize
from maskzoo.data.transforms import resize_image
from maskzoo.inference.result import make_prediction
from maskzoo.models.anchors import make_anchors
from maskzoo.models.detections import detect
from maskzoo.models.proposals import propose
from maskzoo.ops.boxes import BOX_WEIGHTS, RPN_WEIGHTS, clip, decode, encode, pairwise_iou
from maskzoo.ops.masks import paste
from maskzoo.ops.nms import nms
from maskzoo.ops.roi_align import assign_levels, make_table, roi_align
from maskzoo.structures import GroundTruth, Proposals
from maskzoo.training.mask_targets import rasterize
from maskzoo.training.matching import match
from maskzoo.training.sampling import in_order, sample_anchors, sample_boxes
from maskzoo.zoo.table import read_row
from shared_data import GOLDEN, PORTABLE, need_golden

CLASSES = {index: f"class {index}" for index in range(80)}


@pytest.fixture(scope="module", params=[PORTABLE, GOLDEN], ids=lambda folder: folder.name)
def units(request):
    return dict(np.load(need_golden(request.param) / "units.npz"))


@pytest.fixture
def limits():
    return read_row("mask_rcnn_r50_fpn_1x_coco").limits


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array))


def test_resized_sizes_and_scales_are_equal(units):
    for (height, width, short, long), expected in zip(units["resize.in"], units["resize.out"], strict=True):
        resized = resize_image(np.zeros((int(height), int(width), 3), np.uint8), int(short), int(long), "rounded")
        assert resized.extent == resized.pixels.shape[:2]
        assert (*resized.extent, *resized.scale) == tuple(expected)


def test_boxes_and_outlines_are_resized_and_flipped_equally(units):
    """The fixture is a picture of 427 x 640, resized to 672 and 1333, then flipped."""
    outline = [units["aug.poly_in"]]
    boxes = units["aug.bbox_in"]
    image = AnnotatedImage(
        np.zeros((427, 640, 3), np.uint8), boxes, np.zeros(len(boxes), np.int64), [outline] * len(boxes)
    )
    for step, kind in ((lambda image: resize(image, 672, 1333, "rounded"), "resized"), (flip, "flipped")):
        image = step(image)
        assert image.boxes.tolist() == units[f"aug.bbox_{kind}"].tolist()
        for (polygon,) in image.outlines:
            assert polygon.tolist() == units[f"aug.poly_{kind}"].tolist()


def test_anchors_are_equal(units):
    for family in ("fpn", "c4"):
        row = read_row("mask_rcnn_r50_fpn_1x_coco" if family == "fpn" else "mask_rcnn_r50_1x_coco").network.anchors
        for index, (stride, sizes) in enumerate(zip(row.strides, row.sizes, strict=True)):
            height, width = units[f"anchors.{family}.{index}.grid"]
            ours = make_anchors(int(height), int(width), stride, sizes, row.ratios, torch.device("cpu"))
            assert np.abs(ours.numpy() - units[f"anchors.{family}.{index}"]).max() <= 1e-4


@pytest.mark.parametrize(("kind", "weights"), [("rpn", RPN_WEIGHTS), ("box", BOX_WEIGHTS)])
def test_boxes_are_encoded_and_decoded_equally(units, kind, weights):
    source, target, deltas = (tensor(units[f"code.{kind}.{key}"]) for key in ("src", "dst", "deltas"))
    encoded = units[f"code.{kind}.encoded"]
    assert np.abs(encode(source, target, weights).numpy() - encoded).max() <= 1e-5 * max(1, np.abs(encoded).max())
    decoded = units[f"code.{kind}.decoded"]
    assert np.abs(decode(source, deltas, weights).numpy() - decoded).max() <= 1e-5 * np.abs(decoded).max()


@pytest.mark.parametrize("case", ["test", "all", "train"])
def test_proposals_of_one_level_are_equal(units, case):
    before, after, collect = (int(value) for value in units[f"prop.{case}.pre_post_tac"])
    kept = before if collect else after  # where levels are collected later, each keeps as many as it looked at
    ours = _propose(units, units["prop.deltas"], before, kept)
    expected, scores = units[f"prop.{case}.boxes"], units[f"prop.{case}.scores"].reshape(-1)
    assert ours.boxes.shape[1] == len(expected)
    assert np.abs(ours.scores[0].numpy() - scores).max() <= 1e-6
    assert np.abs(ours.boxes[0].numpy() - expected).max() <= 1e-3


def test_a_level_without_boxes_gives_no_proposal_where_the_reference_gives_one_of_zeros(units):
    deltas = units["prop.deltas"].copy()
    deltas[:, 2::4] = -8
    assert units["prop.none.boxes"].tolist() == [[0, 0, 0, 0]]
    assert _propose(units, deltas, 300, 60).boxes.shape[1] == 0


def _propose(units, deltas, before, after):
    scores = units["prop.scores"]
    _, count, height, width = scores.shape
    anchors = make_anchors(height, width, 8, (32.0,), (0.5, 1.0, 2.0), torch.device("cpu"))
    limits = ProposalLimits(before_nms=before, after_nms=after, total=after, iou=0.7, min_side=1.0)
    flat_scores = tensor(scores.transpose(0, 2, 3, 1).reshape(1, -1))
    flat_deltas = tensor(deltas.reshape(1, count, 4, height, width).transpose(0, 3, 4, 1, 2).reshape(1, -1, 4))
    return propose([flat_scores], [flat_deltas], [anchors], tensor(units["prop.im_shape"]), limits).trimmed()


def test_levels_are_assigned_equally(units):
    assert (assign_levels(tensor(units["levels.boxes"]), 4) + 2).tolist() == units["levels.level"].tolist()


@pytest.mark.parametrize("aligned", [True, False])
def test_roi_features_are_equal_and_zero_for_a_side_of_zero(units, aligned):
    features = tensor(units["roialign.x"])
    images = torch.repeat_interleave(tensor(units["roialign.num"]).long())
    table = make_table([features], [round(1 / float(units["roialign.spatial_scale"]))])
    ours = roi_align(table, tensor(units["roialign.boxes"]), images, torch.zeros_like(images), 7, aligned).numpy()
    expected = units[f"roialign.aligned{int(aligned)}.sr0"]
    if aligned:
        assert np.isnan(expected[-2:]).all() and (ours[-2:] == 0).all()  # 0 / 0 in the reference's CPU kernel
        ours, expected = ours[:-2], expected[:-2]
    assert np.abs(ours - expected).max() <= 1e-5


def test_class_wise_suppression_is_equal(units):
    boxes, scores = tensor(units["nms.boxes"]), tensor(units["nms.scores"])
    assert _survivors(boxes, scores, None) == units["nms.all.index"].tolist()
    assert _survivors(boxes, scores, 20) == units["nms.top20.index"].tolist()


def _survivors(boxes, scores, total):
    """RoI * classes + class of what is left, by class, then RoI: boxes of one class at a time, as the rule reads."""
    classes = scores.shape[1]
    found = []
    for label in range(classes):
        order = scores[:, label].argsort(descending=True, stable=True)
        keep = nms(boxes[order, label][None], (scores[order, label] > 0.05)[None], 0.5)[0]
        found += [(int(roi), label) for roi in order[keep]]
    found.sort(key=lambda entry: (entry[1], entry[0]))
    best = sorted(found, key=lambda entry: -scores[entry])[:total]
    return [roi * classes + label for label, roi in sorted((label, roi) for roi, label in best)]


def test_scores_and_class_boxes_are_decoded_equally(units, limits):
    rois, deltas, logits = (tensor(units[f"decode.{key}"]) for key in ("rois", "deltas", "logits"))
    sizes = tensor(units["decode.im_shape"])
    boxes = clip(decode(rois[None, :, None], deltas.unflatten(1, (-1, 4))[None], BOX_WEIGHTS), sizes)[0]
    assert np.abs(boxes[:, ::8].numpy() - units["decode.boxes"]).max() <= 1e-3
    scores = logits.softmax(dim=-1)[:, :80].numpy()
    assert np.abs(scores - units["decode.scores"]).max() <= 1e-6
    every = limits.detections.model_copy(update={"score": 0.0, "iou": 1.0, "total": 560})
    proposals = Proposals(rois[None], rois.new_zeros(1, 7), torch.ones(1, 7, dtype=torch.bool))
    ours = detect(logits[None], deltas.unflatten(1, (-1, 4))[None], proposals, sizes, every).trimmed()
    assert ours.boxes.shape[1] == int((units["decode.scores"] > 0).sum())
    assert np.abs(ours.scores[0].numpy() - units["decode.scores"][ours.rois[0], ours.labels[0]]).max() <= 1e-6
    assert torch.equal(ours.boxes[0], boxes[ours.rois[0], ours.labels[0]])


def test_detections_return_to_the_photo_equally(units):
    found, expected = units["rescale.det"], units["rescale.out"]
    scale_y, scale_x = (float(value) for value in units["rescale.scale_factor"][0])
    height, width = (int(value) for value in units["rescale.origin"][0])
    ours = make_prediction(
        found[:, 2:], found[:, 1], found[:, 0].astype(np.int64), np.ones((len(found), 28, 28), np.float32),
        size=(height, width), scale=(scale_y, scale_x), classes=CLASSES, threshold=0.5, image=None, source=None,
    )  # fmt: skip
    kept = expected[expected[:, 0] >= 0]
    assert 0 < len(kept) < len(expected)
    assert ours.labels.tolist() == kept[:, 0].tolist()
    assert ours.scores.tolist() == kept[:, 1].tolist()
    assert np.abs(ours.boxes - kept[:, 2:]).max() <= 1e-4


@pytest.mark.parametrize("side", [14, 28])
def test_masks_are_pasted_equally(units, side):
    height, width = (int(value) for value in units[f"paste.{side}.size"])
    masks, boxes = tensor(units[f"paste.{side}.masks"]), tensor(units[f"paste.{side}.boxes"])
    for mask, box, soft, binary in zip(
        masks, boxes, units[f"paste.{side}.soft"], units[f"paste.{side}.binary"], strict=True
    ):
        values, (left, top) = paste(mask, box, (height, width))
        full = np.zeros((height, width), np.float32)
        full[top : top + values.shape[0], left : left + values.shape[1]] = values
        assert np.abs(full - soft).max() <= 1e-5
        assert ((full >= 0.5) != (binary > 0)).sum() <= 2


@pytest.mark.parametrize("crowd", ["nocrowd", "crowd"])
def test_anchors_and_proposals_are_matched_and_sampled_equally(units, crowd):
    boxes, objects = tensor(units["match.anchors"]), tensor(units["match.gt"])
    flags = (
        tensor(units["match.crowd"][:, 0]).bool() if crowd == "crowd" else torch.zeros(len(objects), dtype=torch.bool)
    )
    truth = GroundTruth(
        objects[None],
        tensor(units["match.cls"][:, 0]).long()[None],
        flags[None],
        torch.ones(1, len(objects)).bool(),
        [],
    )
    iou = pairwise_iou(objects, boxes)
    assert np.abs(iou.numpy() - units["match.iou"]).max() <= 1e-6
    usable = torch.where(flags[:, None], -1.0, iou)
    best = usable.max(dim=0).values
    clear = ((best > 0) & ((usable == best).sum(dim=0) == 1)).numpy()  # a tie's winner is arbitrary in the reference
    assert clear.sum() > 50
    for kind, positive, negative, rescue in (("rpn", 0.7, 0.3, True), ("box", 0.5, 0.5, False)):
        ours = match(boxes, objects, flags, positive, negative, rescue=rescue)
        assert ours.kind.tolist() == units[f"match.{crowd}.{kind}.label"].tolist()
        assert (ours.truth_index.numpy() == units[f"match.{crowd}.{kind}.gt_index"])[clear].all()

    settings = RpnSampling(samples=64, positive_fraction=0.5, positive_iou=0.7, negative_iou=0.3)
    chosen, rest, targets = sample_anchors(boxes, truth, 0, settings, in_order)
    labels = torch.full((len(boxes),), -1)
    labels[rest], labels[chosen] = 0, 1
    assert labels.tolist() == units[f"match.{crowd}.rpn.sampled"].tolist()
    deltas = encode(boxes[chosen], targets, RPN_WEIGHTS).numpy()
    known = clear[chosen.numpy()]
    assert np.abs(deltas - units[f"match.{crowd}.rpn.deltas"][chosen])[known].max() <= 1e-5

    proposals = Proposals(boxes[None], torch.zeros(1, len(boxes)), torch.ones(1, len(boxes), dtype=torch.bool))
    sampling = BoxSampling(samples=64, foreground_fraction=0.25, foreground_iou=0.5)
    samples = sample_boxes(proposals, truth, sampling, 80, [in_order])
    assert np.abs(samples.boxes[0].numpy() - units[f"match.{crowd}.box.rois"]).max() == 0
    assert samples.labels[0].tolist() == units[f"match.{crowd}.box.cls"].tolist()
    foreground = samples.foreground[0].numpy()
    assert (samples.truth_index[0].numpy() == units[f"match.{crowd}.box.gtidx"])[foreground].all()


@pytest.mark.parametrize("side", [14, 28])
def test_outlines_are_rasterised_equally(units, side):
    counts = units["raster.inst_len"]
    polygons = np.split(units["raster.poly"], np.cumsum(counts[:, 1])[:-1])
    for instance, (box, expected) in enumerate(zip(units["raster.boxes"], units[f"raster.{side}"], strict=True)):
        outline = [polygon.tolist() for polygon, (owner, _) in zip(polygons, counts, strict=True) if owner == instance]
        assert len(outline) > 0
        assert (rasterize(outline, box.tolist(), side) == expected).all()
