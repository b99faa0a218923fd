"""Detections against a plain loop over images, classes and boxes."""

import pytest
import torch

from maskzoo.config import BoxLimits
from maskzoo.models.detections import detect
from maskzoo.ops.boxes import BOX_WEIGHTS, clip, decode, pairwise_iou
from maskzoo.structures import Proposals

CLASSES = 6
SIZES = torch.tensor([[64.0, 96.0], [40.5, 17.0], [1.0, 96.0]])


def make_limits(**changes):
    return BoxLimits(**({"score": 0.05, "iou": 0.5, "total": 100, "mask_threshold": 0.5} | changes))


def make_outputs(images=3, count=60, seed=0):
    """Logits in coarse steps and boxes that stand twice: equal scores and equal boxes are common."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randint(-2, 4, (images, count, CLASSES + 1), generator=random).float()
    logits[:, 1::5] = logits[:, 0:1]
    corner = torch.rand(images, count, 2, generator=random) * torch.tensor([80.0, 50.0])
    boxes = torch.cat([corner, corner + torch.rand(images, count, 2, generator=random) * 40], dim=-1)
    boxes[:, 1::4] = boxes[:, 0::4]
    deltas = torch.randn(images, count, CLASSES, 4, generator=random)
    deltas[:, 1::4] = deltas[:, 0::4]
    valid = torch.arange(count) < torch.tensor([[count], [count // 2], [count]])[:images]
    return logits, deltas, Proposals(boxes, torch.zeros(images, count), valid)


def detect_plainly(logits, deltas, boxes, valid, size, limits):
    """Label, proposal, score and box of every detection of one image, in the order of the output."""
    scores = logits.softmax(dim=-1)
    survivors = []
    for label in range(CLASSES):
        moved = clip(decode(boxes, deltas[:, label], BOX_WEIGHTS)[None], size[None])[0]
        large = (moved[:, 2:] - moved[:, :2]).amin(dim=1) >= limits.min_side
        candidates = [roi for roi in range(len(boxes)) if valid[roi] and large[roi] and scores[roi, label] > limits.score]
        shares, kept = pairwise_iou(moved, moved).tolist(), []
        for roi in sorted(candidates, key=lambda roi: -float(scores[roi, label])):  # stable: the earlier one first
            if all(shares[roi][other] <= limits.iou for other in kept):
                kept.append(roi)
        survivors += [(label, roi, float(scores[roi, label]), moved[roi].tolist()) for roi in kept]
    best = sorted(survivors, key=lambda entry: (-entry[2], entry[0], entry[1]))[: limits.total]
    return sorted(best)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"total": 5},
        {"total": 1000},
        {"iou": 0.0},
        {"iou": 1.0},
        {"score": 0.0},
        {"score": 0.3},
        {"score": 0.9},
        {"min_side": 9.0},
    ],
    ids=str,
)
def test_detections_are_those_of_the_plain_loop_in_its_order(changes):
    limits, (logits, deltas, proposals) = make_limits(**changes), make_outputs()
    ours = detect(logits, deltas, proposals, SIZES, limits)
    assert ours.boxes.shape == (3, limits.total, 4)
    assert ours.masks is None
    for image, size in enumerate(SIZES):
        expected = detect_plainly(logits[image], deltas[image], proposals.boxes[image], proposals.valid[image], size, limits)
        valid = ours.valid[image]
        assert valid.tolist() == [place < len(expected) for place in range(limits.total)]
        assert ours.labels[image][valid].tolist() == [entry[0] for entry in expected]
        assert ours.rois[image][valid].tolist() == [entry[1] for entry in expected]
        assert torch.allclose(ours.scores[image][valid], torch.tensor([entry[2] for entry in expected]), atol=1e-6)
        boxes = torch.tensor([entry[3] for entry in expected]).reshape(-1, 4)
        assert torch.allclose(ours.boxes[image][valid], boxes, atol=1e-4)


def test_equal_scores_leave_the_earlier_class_then_the_earlier_proposal():
    logits = torch.zeros(1, 4, CLASSES + 1)
    boxes = torch.tensor([[[x, 0.0, x + 5, 5.0] for x in (0.0, 10.0, 20.0, 30.0)]])
    proposals = Proposals(boxes, torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.bool))
    ours = detect(logits, torch.zeros(1, 4, CLASSES, 4), proposals, SIZES[:1], make_limits(total=6))
    assert ours.labels.tolist() == [[0, 0, 0, 0, 1, 1]]
    assert ours.rois.tolist() == [[0, 1, 2, 3, 0, 1]]


def test_a_score_of_exactly_the_limit_is_no_detection():
    logits = torch.zeros(1, 1, 2)  # one class and background, one half each
    proposals = Proposals(torch.tensor([[[0.0, 0.0, 9.0, 9.0]]]), torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool))
    for score, found in ((0.5, False), (0.49, True)):
        ours = detect(logits, torch.zeros(1, 1, 1, 4), proposals, SIZES[:1], make_limits(score=score))
        assert bool(ours.valid.any()) == found


def test_the_background_is_the_last_column_and_never_a_detection():
    logits, deltas, proposals = make_outputs()
    logits[..., -1] = 50
    assert not detect(logits, deltas, proposals, SIZES, make_limits()).valid.any()


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("count", [0, 8])
def test_no_proposal_gives_no_detection(images, count):
    logits, deltas, proposals = make_outputs(images, count)
    none = Proposals(proposals.boxes, proposals.scores, torch.zeros_like(proposals.valid))
    ours = detect(logits, deltas, none, SIZES[:images], make_limits())
    assert ours.valid.shape == (images, 100) and not ours.valid.any()
    assert ours.trimmed().boxes.shape == (images, 0, 4)


def test_half_precision_logits_are_judged_in_float32():
    logits, deltas, proposals = make_outputs()
    half = detect(logits.bfloat16(), deltas.bfloat16(), proposals, SIZES, make_limits())
    full = detect(logits.bfloat16().float(), deltas.bfloat16().float(), proposals, SIZES, make_limits())
    assert half.scores.dtype == half.boxes.dtype == torch.float32
    assert torch.equal(half.rois, full.rois) and torch.equal(half.boxes, full.boxes)


def soften_plainly(boxes, scores, least):
    """The scores that soft suppression leaves of one list, by the loop of its paper."""
    scores, final = scores.clone(), torch.zeros_like(scores)
    shares, left = pairwise_iou(boxes, boxes), list(range(len(boxes)))
    while left:
        best = max(left, key=lambda place: (float(scores[place]), -place))
        if scores[best] <= least:
            break
        final[best] = scores[best]
        left.remove(best)
        for place in left:
            scores[place] *= torch.exp(-(shares[best, place] ** 2) / 0.5)
    return final


@pytest.mark.parametrize("least", [0.0, 0.05, 0.3])
def test_soft_suppression_takes_score_from_what_overlaps_instead_of_the_box(least):
    logits, deltas, proposals = make_outputs(count=30)
    limits = make_limits(suppression="soft", score=least, total=1000)
    found = detect(logits, deltas, proposals, SIZES, limits)
    for image in range(3):
        probability = logits[image].softmax(dim=-1)
        expected = {}
        for label in range(CLASSES):
            moved = clip(decode(proposals.boxes[image], deltas[image, :, label], BOX_WEIGHTS)[None], SIZES[image][None])[0]
            scores = probability[:, label].where(proposals.valid[image] & (probability[:, label] > least), torch.tensor(0.0))
            final = soften_plainly(moved, scores, least)
            expected |= {(label, roi): float(final[roi]) for roi in range(30) if final[roi] > least}
        valid = found.valid[image]
        places = zip(found.labels[image][valid].tolist(), found.rois[image][valid].tolist(), strict=True)
        ours = dict(zip(places, found.scores[image][valid].tolist(), strict=True))
        assert set(ours) == set(expected) and list(ours) == sorted(ours)
        assert ours == pytest.approx(expected, abs=1e-6)


def test_soft_suppression_of_nothing_gives_nothing():
    logits, deltas, proposals = make_outputs()
    found = detect(logits, deltas, proposals, SIZES, make_limits(suppression="soft", score=1.0))
    assert not found.valid.any()
