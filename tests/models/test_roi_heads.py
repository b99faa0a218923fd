import pytest
import torch
import torch.nn.functional as F

from maskzoo.models.layers import ConvLayer
from maskzoo.models.packing import pack
from maskzoo.models.roi_heads import C4RoiHeads, CascadeRoiHeads, FpnRoiHeads, MaskPredictor
from maskzoo.ops.boxes import clip, decode
from maskzoo.ops.roi_align import assign_levels, roi_align
from maskzoo.structures import Proposals
from networks import edge_boxes

CLASSES = 3


def make_heads(kind):
    """Heads for 4 channels; small RoI boxes live on the finest level, so the pyramid's boxes are also made larger."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "fpn":
            heads = FpnRoiHeads(4, CLASSES, hidden=16)
        else:
            heads = C4RoiHeads(ConvLayer(4, 8, 3, stride=2, relu=True), 8, CLASSES, 256)
    return heads.requires_grad_(False)


def make_table(heads, images=2):
    random = torch.Generator().manual_seed(1)
    sides = [(-(-512 // stride), -(-768 // stride)) for stride in heads.strides]
    return heads.table([torch.randn(images, 4, *side, generator=random) for side in sides])


def make_boxes(images=2):
    """Boxes of every level, ordinary and degenerate, in no order of levels."""
    small = edge_boxes()
    boxes = torch.cat([small, small * 8, small * 3])
    order = torch.randperm(len(boxes), generator=torch.Generator().manual_seed(2))
    return torch.stack([boxes[order].roll(image, 0) for image in range(images)])


both = pytest.mark.parametrize("kind", ["fpn", "c4"])


@both
def test_outputs_stand_in_the_order_of_the_boxes(kind):
    heads, boxes = make_heads(kind), make_boxes()
    table, labels = make_table(heads), torch.arange(boxes.shape[1]).remainder(CLASSES).repeat(2, 1)
    assert len(assign_levels(boxes, len(heads.strides)).unique()) == len(heads.strides)
    scores, deltas = heads.boxes(table, boxes)
    masks = heads.masks(table, boxes, labels)
    count = boxes.shape[1]
    assert scores.shape == (2, count, CLASSES + 1) and deltas.shape == (2, count, CLASSES, 4)
    assert masks.shape == (2, count, *[28 if kind == "fpn" else 14] * 2)
    for image in range(2):
        for place in range(count):
            level = assign_levels(boxes[image, place : place + 1], len(heads.strides))
            one = boxes[image, place : place + 1], torch.tensor([image]), level
            score, delta = heads.box(heads.box_head(roi_align(table, *one, heads.box_side)))
            assert torch.allclose(scores[image, place], score[0], atol=1e-5)
            assert torch.allclose(deltas[image, place], delta[0], atol=1e-5)
            mask = heads.mask(heads.mask_head(roi_align(table, *one, 14)), labels[image, place : place + 1])
            assert torch.allclose(masks[image, place], mask[0], atol=1e-5)


@both
def test_chunks_are_invisible(kind):
    heads, boxes = make_heads(kind), make_boxes()
    table, labels = make_table(heads), torch.zeros(boxes.shape[:2], dtype=torch.int64)
    whole = *heads.boxes(table, boxes), heads.masks(table, boxes, labels)
    heads.chunk = 5
    parts = *heads.boxes(table, boxes), heads.masks(table, boxes, labels)
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@both
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("images", [1, 2])
def test_no_boxes_pass_through_both_heads(kind, packed, images):
    heads = make_heads(kind)
    if packed:
        pack(heads)
    table, none = make_table(heads, images), torch.zeros(images, 0, 4)
    scores, deltas = heads.boxes(table, none)
    masks = heads.masks(table, none, torch.zeros(images, 0, dtype=torch.int64))
    assert scores.shape == (images, 0, CLASSES + 1) and deltas.shape == (images, 0, CLASSES, 4)
    assert masks.shape[:2] == (images, 0)
    assert heads.boxes(table, make_boxes(images))[0].isfinite().all()  # and boxes may follow


@both
def test_boxes_without_area_have_finite_outputs(kind):
    heads = make_heads(kind)
    boxes = torch.zeros(2, 3, 4)
    table = make_table(heads)
    assert all(output.isfinite().all() for output in heads.boxes(table, boxes))
    assert heads.masks(table, boxes, torch.zeros(2, 3, dtype=torch.int64)).isfinite().all()


def test_the_mask_predictor_gives_the_channel_of_the_asked_class():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        predictor = MaskPredictor(6, CLASSES, hidden=5).requires_grad_(False)
    features = torch.randn(6, 6, 7, 7, generator=torch.Generator().manual_seed(1))
    widened = F.relu(F.conv_transpose2d(features, predictor.upsample.weight, predictor.upsample.bias, stride=2))
    every = predictor.logits(widened)
    labels = torch.tensor([2, 0, 1, 2, 1, 0])
    assert torch.allclose(predictor(features, labels), every[torch.arange(6), labels], atol=1e-5)
    with torch.inference_mode():  # some at a time
        assert torch.allclose(predictor(features, labels), every[torch.arange(6), labels], atol=1e-5)
        assert predictor(features[:0], labels[:0]).shape == (0, 14, 14)


def test_the_box_head_of_a_pyramid_reads_cells_outermost_and_channels_innermost():
    heads = make_heads("fpn")
    pooled = torch.randn(2, 4, 7, 7, generator=torch.Generator().manual_seed(1))
    by_cell = torch.stack([pooled[:, :, y, x] for y in range(7) for x in range(7)], dim=1).flatten(1)
    assert torch.allclose(heads.box_head(pooled), heads.fc7(heads.fc6(by_cell).relu()).relu(), atol=1e-6)


def test_the_box_head_of_one_level_averages_the_cells_of_res5():
    heads = make_heads("c4")
    pooled = torch.randn(2, 4, 14, 14, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(heads.box_head(pooled), heads.res5(pooled).flatten(2).mean(dim=2), atol=1e-6)


def test_norms_that_learn_see_all_regions_at_once_in_training():
    heads = FpnRoiHeads(4, CLASSES, hidden=16, norm="bn").train()
    table, boxes = make_table(heads), make_boxes().flatten(0, 1)
    images = torch.arange(2).repeat_interleave(len(boxes) // 2)
    whole = heads.mask_features(table, boxes, images)
    heads.chunk = 5
    assert torch.allclose(heads.mask_features(table, boxes, images), whole, atol=1e-5)
    assert heads.mask_features(table, boxes[:0], images[:0]).shape == (0, 4, 14, 14)


def test_a_cascade_gives_the_mean_of_its_scores_and_moves_boxes_from_stage_to_stage():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        heads = CascadeRoiHeads(4, CLASSES, hidden=16, stages=3).requires_grad_(False)
    table, boxes, sizes = make_table(heads), make_boxes(), torch.tensor([[400.0, 700.0], [512.0, 768.0]])
    valid = torch.ones(boxes.shape[:2], dtype=torch.bool)
    scores, deltas, last = heads.refine(table, Proposals(boxes, valid.float(), valid), sizes)

    probability = []
    for place, stage in enumerate(heads.stages):
        feature = heads.run_head(stage.box_head, table, boxes.flatten(0, 1), valid.nonzero()[:, 0], 7)
        probability.append(stage.box.score(feature).softmax(dim=-1))
        raw = stage.box.delta(feature).unflatten(0, boxes.shape[:2])
        if place < 2:
            weights = tuple(10.0 * (place + 1) / half for half in (1, 1, 2, 2))
            boxes = clip(decode(boxes, raw, weights), sizes)
    assert torch.allclose(scores.softmax(dim=-1).flatten(0, 1), sum(probability) / 3, atol=1e-6)
    assert torch.allclose(last.boxes, boxes, atol=1e-3) and torch.equal(last.valid, valid)
    assert deltas.shape == (*valid.shape, CLASSES, 4)
    assert torch.allclose(deltas, (raw / 3)[:, :, None].expand(-1, -1, CLASSES, 4), atol=1e-6)
