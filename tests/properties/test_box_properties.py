"""What holds for any boxes."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.ops.boxes import BOX_WEIGHTS, RPN_WEIGHTS, clip, decode, encode, pairwise_iou

places = st.floats(-500, 1500, width=32)
lengths = st.floats(1, 800, width=32)


def boxes(low=places, side=lengths):
    """Boxes float64 `[N 4]`, so that equalities hold to the last digits."""
    corners = st.tuples(low, low, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
    return st.lists(corners, min_size=1, max_size=6).map(lambda rows: torch.tensor(rows, dtype=torch.float64))


@settings(deadline=None)
@given(boxes(), boxes(), st.sampled_from([RPN_WEIGHTS, BOX_WEIGHTS]))
def test_decoding_what_was_encoded_gives_the_box_back(source, target, weights):
    """Unless it grows by more than the cap of 1000/16, which sides of 1 to 800 pixels pass only together."""
    pairs = [(one, other) for one in source for other in target]
    source, target = (torch.stack(side) for side in zip(*pairs, strict=True))
    growth = (target[:, 2:] - target[:, :2]) / (source[:, 2:] - source[:, :2])
    within = (growth <= 1000 / 16).all(dim=1)
    back = decode(source, encode(source, target, weights), weights)
    assert torch.allclose(back[within], target[within], atol=1e-6)
    again = encode(source, back, weights)
    assert torch.allclose(again[within], encode(source, target, weights)[within], atol=1e-6)


@settings(deadline=None)
@given(boxes(), boxes(), places, places)
def test_overlap_is_symmetric_between_0_and_1_and_blind_to_a_common_shift(first, second, dx, dy):
    overlap = pairwise_iou(first, second)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-12)).all()
    assert torch.equal(overlap, pairwise_iou(second, first).T)
    shift = torch.tensor([dx, dy, dx, dy], dtype=torch.float64)
    assert torch.allclose(pairwise_iou(first + shift, second + shift), overlap, atol=1e-9)
    assert torch.allclose(pairwise_iou(first, first).diagonal(), torch.ones(len(first), dtype=torch.float64))


@settings(deadline=None)
@given(boxes(side=st.floats(-800, 800, width=32)), st.floats(1, 1500, width=32), st.floats(1, 1500, width=32))
def test_clipping_twice_is_clipping_once_and_leaves_what_is_inside(some, height, width):
    size = torch.tensor([[height, width]], dtype=torch.float64)
    once = clip(some[None], size)
    assert torch.equal(clip(once, size), once)
    assert (once >= 0).all() and (once <= size[:, None, [1, 0, 1, 0]]).all()
    inside = (some >= 0) & (some <= size[:, [1, 0, 1, 0]])
    assert torch.equal(once[0][inside], some[inside])
