"""What holds for RoIAlign whatever the features and boxes."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.ops.roi_align import make_table, roi_align

SHAPE, STRIDE = (12, 20), 4  # a canvas of 48 x 80 pixels


@st.composite
def scenes(draw):
    """Two features and boxes that may lie beyond the canvas; float64, so that equalities hold to the last digits."""
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    features = torch.randn(2, 3, *SHAPE, dtype=torch.float64, generator=random)
    count = draw(st.integers(0, 6))
    corner = torch.rand(count, 2, dtype=torch.float64, generator=random) * 100 - 20
    side = torch.rand(count, 2, dtype=torch.float64, generator=random) ** 3 * 90
    images = torch.randint(0, 2, (count,), generator=random)
    return features, torch.cat([corner, corner + side], dim=1), images, draw(st.sampled_from([1, 2, 7]))


def pool(features, boxes, images, side):
    return roi_align(make_table([features], [STRIDE]), boxes, images, torch.zeros_like(images), side)


@settings(deadline=None, max_examples=40)
@given(scenes())
def test_a_mirrored_photo_gives_mirrored_features(scene):
    features, boxes, images, side = scene
    width = SHAPE[1] * STRIDE
    mirrored = torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], dim=1)
    assert torch.allclose(pool(features.flip(3), mirrored, images, side), pool(*scene).flip(3), atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(scenes(), st.floats(-3, 3))
def test_pooling_is_linear_in_the_features(scene, factor):
    features, *rest = scene
    other = features.roll(1, 0)
    together = pool(features + factor * other, *rest)
    assert torch.allclose(together, pool(features, *rest) + factor * pool(other, *rest), atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(scenes())
def test_boxes_are_pooled_as_if_alone_and_never_beyond_the_features_range(scene):
    features, boxes, images, side = scene
    pooled = pool(*scene)
    low, high = min(0.0, float(features.min())), max(0.0, float(features.max()))
    assert pooled.isfinite().all()
    assert ((pooled >= low - 1e-9) & (pooled <= high + 1e-9)).all()
    for place in range(len(boxes)):
        chosen = slice(place, place + 1)
        assert torch.allclose(pooled[chosen], pool(features, boxes[chosen], images[chosen], side), atol=1e-9)
