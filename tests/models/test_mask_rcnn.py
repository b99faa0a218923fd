"""The whole walk on small networks: slots, batches, and the ways in which there can be nothing to find."""

import copy

import pytest
import torch

from maskzoo.images.batch import make_batch
from maskzoo.models.packing import pack
from maskzoo.structures import Detections, ImageBatch
from networks import C4, DC5, FPN, VD, make_photo, small_config, small_network

ROWS = (FPN, VD, C4, DC5)
C4_VD = (C4, "network.backbone.variant=d")
rows = pytest.mark.parametrize("row", ROWS)


@pytest.fixture(scope="module")
def networks():
    return {row: small_network(small_config(row)).eval().requires_grad_(False) for row in ROWS}


def make_images(config, *sizes):
    return make_batch([make_photo(*size, seed=index) for index, size in enumerate(sizes)], config.input)


def with_limits(network, row, *overrides):
    changed = copy.copy(network)  # weights are shared
    changed.limits = small_config(row, *overrides).limits
    return changed


def assert_near(ours: Detections, expected: Detections, tolerance=1e-4):
    assert torch.equal(ours.valid, expected.valid)
    valid = expected.valid
    assert torch.equal(ours.labels[valid], expected.labels[valid])
    assert torch.equal(ours.rois[valid], expected.rois[valid])
    for name in ("boxes", "scores", "masks"):
        values, wanted = getattr(ours, name)[valid], getattr(expected, name)[valid]
        scale = max(1.0, float(wanted.abs().max())) if wanted.numel() else 1.0
        assert torch.allclose(values, wanted, atol=tolerance * scale), name


@rows
def test_forward_fills_a_fixed_number_of_slots(networks, row):
    config = small_config(row)
    out = networks[row](make_images(config, (64, 96), (50, 70), (64, 40)))
    slots, side = config.limits.detections.total, 14 if row == C4 else 28
    assert out.boxes.shape == (3, slots, 4)
    assert out.scores.shape == out.labels.shape == out.rois.shape == out.valid.shape == (3, slots)
    assert out.masks is not None and out.masks.shape == (3, slots, side, side)
    assert out.valid.any(dim=1).all()
    assert ((out.masks >= 0) & (out.masks <= 1)).all()
    assert (out.labels < len(config.classes)).all()


@rows
def test_empty_slots_change_nothing_for_the_mask_head(networks, row):
    batch = make_images(small_config(row), (64, 96))
    median = float(networks[row].find(batch)[0].scores.median())
    network = with_limits(networks[row], row, f"limits.detections.score={median}")
    detections, table = network.find(batch)
    assert 0 < int(detections.valid.sum()) < detections.valid.numel()
    assert_near(network.add_masks(detections.trimmed(), table), network(batch).trimmed(), 1e-5)


@rows
def test_a_packed_network_equals_the_unpacked_one(networks, row):
    batch = make_images(small_config(row), (64, 96), (50, 70))
    packed = copy.deepcopy(networks[row]).to(memory_format=torch.channels_last)
    pack(packed)
    with torch.inference_mode():
        expected = networks[row](batch)
        assert int(expected.valid.sum()) > 2
        assert_near(packed(batch), expected)


@rows
def test_a_batch_of_two_is_two_batches_of_one(networks, row):
    config = small_config(row)
    both = make_images(config, (64, 96), (61, 90))
    if row == C4:  # no multiple: the canvas of the larger one
        assert both.pixels.shape[2:] == (64, 96)
    together = networks[row](both)
    for image in range(2):
        one = ImageBatch(both.pixels[image : image + 1], both.sizes[image : image + 1])
        alone = networks[row](one)
        parts = (getattr(together, name)[image : image + 1] for name in Detections.__slots__)
        assert_near(Detections(*parts), alone)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "override", ["limits.proposals.min_side=100000", "limits.detections.score=1"], ids=["proposals", "detections"]
)
@rows
def test_nothing_found_walks_through_every_stage(networks, row, override, packed):
    network = with_limits(networks[row], row, override)
    if packed:
        network = copy.deepcopy(network)
        pack(network)
    batch = make_images(small_config(row), (64, 96), (33, 31))
    detections, table = network.find(batch)
    assert not detections.valid.any()
    done = network.add_masks(detections.trimmed(), table)
    assert done.masks is not None and done.masks.shape[:2] == (2, 0)
    if override.startswith("limits.proposals"):
        scored = network.score_anchors(network.features(batch.pixels))
        assert not network.propose(*scored, batch.sizes, network.limits.proposals).valid.any()
    everything = network(batch)
    assert everything.masks is not None and everything.masks.isfinite().all()


@rows
def test_one_image_without_detections_beside_one_with_many(networks, row):
    """The proposals of a grey photo of one pixel have no side of a pixel: min_side drops them."""
    network, config = with_limits(networks[row], row, "limits.proposals.min_side=1.0"), small_config(row)
    batch = make_images(config, (64, 96), (64, 96))
    sizes = batch.sizes.clone()
    sizes[1] = 0.5
    out = network(ImageBatch(batch.pixels, sizes))
    assert out.valid.any(dim=1).tolist() == [True, False]
    alone = network(ImageBatch(batch.pixels[:1], sizes[:1]))
    assert_near(Detections(*(getattr(out, name)[:1] for name in Detections.__slots__)), alone)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 33), (63, 95), (64, 1)])
@pytest.mark.parametrize("row", [(C4,), C4_VD], ids=["b", "d"])
def test_a_canvas_of_any_size_passes_on_one_level(row, size):
    """Without a pyramid the canvas is no multiple of anything, and the pooled shortcuts meet odd sides."""
    config = small_config(*row)
    network = small_network(config).eval().requires_grad_(False)
    batch = make_images(config, size)
    assert batch.pixels.shape[2:] == size
    (features,) = network.features(batch.pixels)
    assert features.shape[2:] == (-(-size[0] // 16), -(-size[1] // 16))
    out = network(batch)
    assert out.boxes.isfinite().all() and out.masks is not None and out.masks.isfinite().all()


@rows
def test_gradients_reach_what_trains_and_nothing_frozen(row):
    network = small_network(small_config(row))
    batch = make_images(small_config(row), (64, 64))
    detections, table = network.find(batch)
    done = network.add_masks(detections, table)
    assert done.masks is not None
    (done.scores.sum() + done.masks.sum()).backward()
    parts: dict[str, float] = {}
    for name, parameter in network.named_parameters():
        part = ".".join(name.split(".")[:2])
        parts[part] = parts.get(part, 0.0) + (0.0 if parameter.grad is None else float(parameter.grad.abs().sum()))
    frozen = {"backbone.stem", "backbone.res2"}
    assert {part for part, gradient in parts.items() if part in frozen and gradient} == set()
    # A proposal's place has no gradient through RoIAlign, so that scores and masks do not reach the RPN.
    silent = {part for part, gradient in parts.items() if not gradient and not part.startswith("rpn.")}
    assert silent == frozen
