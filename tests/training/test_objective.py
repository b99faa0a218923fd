import pytest
import torch

from maskzoo.images.batch import make_batch
from maskzoo.structures import GroundTruth, Samples
from maskzoo.training.objective import Objective
from maskzoo.training.targets import assign_boxes, in_order
from networks import CASCADE_GN, DCN, make_photo, small_config, small_network

THIN = ("network.channels=16", "network.box_features=32", "network.backbone.width=16")


def make_truth(boxes, batch=1):
    """Objects whose outlines are their boxes, the same in each image."""
    count = len(boxes)
    outlines = [[[[x1, y1, x2, y1, x2, y2, x1, y2]] for x1, y1, x2, y2 in boxes]] * batch
    valid = torch.ones(batch, count, dtype=torch.bool)
    tensor = torch.tensor(boxes, dtype=torch.float32).reshape(1, count, 4).repeat(batch, 1, 1)
    return GroundTruth(tensor, torch.arange(count).repeat(batch, 1), ~valid, valid, outlines)


@pytest.mark.parametrize("row", [CASCADE_GN, DCN])
def test_a_step_reaches_every_later_stage_and_every_offset(row):
    config = small_config(row, *THIN)
    network = small_network(config).train()
    batch = make_batch([make_photo(64, 96)], config.input)
    truth = make_truth([[5.0, 5.0, 40.0, 40.0], [30.0, 10.0, 90.0, 60.0]])
    losses = Objective(network, config.training, len(config.classes))(batch, truth, [in_order])
    losses.total.backward()
    trained = {name: own.grad for name, own in network.named_parameters() if own.requires_grad}
    parts = ("heads.later.0.", "heads.later.1.") if row == CASCADE_GN else (".offset.",)
    for part in parts:
        gradients = [gradient for name, gradient in trained.items() if part in name and "box.delta" not in name]
        assert gradients and all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
        assert all(gradient.any() for gradient in gradients)


def test_a_cascade_learns_of_an_image_without_objects_that_all_is_background():
    config = small_config(CASCADE_GN, *THIN)
    batch = make_batch([make_photo(64, 96)], config.input)
    losses = Objective(small_network(config).train(), config.training, 5)(batch, make_truth([]), [in_order])
    assert losses.box_class > 0 and losses.box_delta == 0 and losses.total.isfinite()


def test_a_cascade_whose_boxes_are_no_numbers_has_a_loss_that_is_none_either():
    config = small_config(CASCADE_GN, *THIN)
    network, batch = small_network(config).train(), make_batch([make_photo(64, 96)], config.input)
    with torch.no_grad():
        network.heads.stages[0].box.delta.bias[0] = torch.nan
    truth = make_truth([[5.0, 5.0, 40.0, 40.0], [30.0, 10.0, 90.0, 60.0]])
    assert not Objective(network, config.training, 5)(batch, truth, [in_order]).total.isfinite()


def test_boxes_without_area_are_left_out_unless_an_image_has_no_other():
    truth = make_truth([[0.0, 0.0, 10.0, 10.0]], batch=2)
    flat, good, far = [3.0, 3.0, 3.0, 9.0], [0.0, 0.0, 10.0, 8.0], [50.0, 50.0, 60.0, 60.0]
    boxes = torch.tensor([[far, flat, good], [flat, flat, far]])
    empty = torch.zeros(2, 3, dtype=torch.int64)
    before = Samples(boxes, empty, empty, empty.bool(), empty.bool(), ((0, 3), (0, 2)))
    samples = assign_boxes(boxes, before, truth, 0.7, 5)
    assert samples.counts == ((1, 2), (0, 1)) and samples.valid.tolist() == [[True, True], [True, False]]
    assert samples.boxes[0].tolist() == [good, far] and samples.labels.tolist() == [[0, 5], [5, 5]]
    assert samples.boxes[1, 0].tolist() == flat
