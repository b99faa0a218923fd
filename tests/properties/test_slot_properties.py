"""Padded slots are invisible, and a batch of two is two batches of one, whatever the network says."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.config import BoxLimits, ProposalLimits
from maskzoo.models.anchors import make_anchors
from maskzoo.models.detections import detect
from maskzoo.models.proposals import propose
from maskzoo.structures import Detections, Proposals

CLASSES = 4
SIZES = torch.tensor([[64.0, 96.0], [40.0, 17.0]])
seeds = st.integers(0, 2**32 - 1)


def make_outputs(seed, images=2, count=20):
    """Coarse logits: equal scores are common. Any slot may be empty."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randint(-2, 4, (images, count, CLASSES + 1), generator=random).float()
    deltas = torch.randn(images, count, CLASSES, 4, generator=random)
    corner = torch.rand(images, count, 2, generator=random) * 60
    boxes = torch.cat([corner, corner + torch.rand(images, count, 2, generator=random) * 40], dim=-1)
    filled = torch.randint(0, count + 1, (images, 1), generator=random)
    return logits, deltas, Proposals(boxes, torch.zeros(images, count), torch.arange(count) < filled)


def assert_equal(first: Detections, second: Detections):
    for name in ("valid", "labels", "rois", "scores", "boxes"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(1, 30), st.floats(0, 0.9))
def test_whatever_stands_in_empty_slots_no_detection_comes_of_it(seed, total, score):
    logits, deltas, proposals = make_outputs(seed)
    limits = BoxLimits(score=score, iou=0.5, total=total, mask_threshold=0.5)
    empty = ~proposals.valid
    other_logits, other_deltas, other = make_outputs(seed ^ 1)
    changed = (
        torch.where(empty[..., None], other_logits, logits),
        torch.where(empty[..., None, None], other_deltas, deltas),
        Proposals(torch.where(empty[..., None], other.boxes, proposals.boxes), other.scores, proposals.valid),
    )
    padded = Proposals(
        torch.cat([proposals.boxes, other.boxes], dim=1),
        torch.cat([proposals.scores, other.scores], dim=1),
        torch.cat([proposals.valid, torch.zeros_like(other.valid)], dim=1),
    )
    found = detect(logits, deltas, proposals, SIZES, limits)
    assert_equal(detect(*changed, SIZES, limits), found)
    more = torch.cat([logits, other_logits], dim=1), torch.cat([deltas, other_deltas], dim=1), padded
    assert_equal(detect(*more, SIZES, limits), found)


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(1, 30))
def test_detections_of_two_images_are_those_of_each(seed, total):
    logits, deltas, proposals = make_outputs(seed)
    limits = BoxLimits(score=0.05, iou=0.5, total=total, mask_threshold=0.5)
    together = detect(logits, deltas, proposals, SIZES, limits)
    for image in (slice(0, 1), slice(1, 2)):
        one = Proposals(proposals.boxes[image], proposals.scores[image], proposals.valid[image])
        alone = detect(logits[image], deltas[image], one, SIZES[image], limits)
        fields = (getattr(together, name)[image] for name in ("boxes", "scores", "labels", "rois", "valid"))
        assert_equal(Detections(*fields), alone)


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(1, 60), st.integers(1, 60), st.integers(1, 100))
def test_proposals_of_two_images_are_those_of_each(seed, before, after, total):
    random = torch.Generator().manual_seed(seed)
    limits = ProposalLimits(before_nms=before, after_nms=after, total=total, iou=0.7, min_side=1.0)
    anchors = [make_anchors(4, 6, 16, (32.0,), (0.5, 1.0, 2.0), torch.device("cpu"))]
    anchors.append(make_anchors(2, 3, 32, (64.0,), (0.5, 1.0, 2.0), torch.device("cpu")))
    scores = [torch.randn(2, len(level), generator=random) for level in anchors]
    deltas = [torch.randn(2, len(level), 4, generator=random) for level in anchors]
    together = propose(scores, deltas, anchors, SIZES, limits)
    for image in (slice(0, 1), slice(1, 2)):
        ours = [level[image] for level in scores], [level[image] for level in deltas]
        alone, valid = propose(*ours, anchors, SIZES[image], limits), together.valid[image]
        assert torch.equal(valid, alone.valid)
        assert torch.equal(together.boxes[image][valid], alone.boxes[alone.valid])
        assert torch.equal(together.scores[image][valid], alone.scores[alone.valid])
        assert int(valid.sum()) <= total
        assert valid[0].tolist() == sorted(valid[0].tolist(), reverse=True)  # real slots come first
