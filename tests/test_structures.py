import torch

from maskzoo.structures import Detections, Losses, Proposals


def test_trimming_keeps_as_many_slots_as_the_fullest_image_has():
    valid = torch.tensor([[True, False, False], [True, True, False]])
    boxes, scores = torch.arange(24.0).reshape(2, 3, 4), torch.arange(6.0).reshape(2, 3)
    proposals = Proposals(boxes, scores, valid).trimmed()
    assert torch.equal(proposals.boxes, boxes[:, :2]) and torch.equal(proposals.valid, valid[:, :2])
    labels = torch.arange(6).reshape(2, 3)
    masks = torch.rand(2, 3, 4, 4)
    detections = Detections(boxes, scores, labels, labels, valid, masks).trimmed()
    assert torch.equal(detections.masks, masks[:, :2]) and torch.equal(detections.rois, labels[:, :2])


def test_nothing_valid_and_no_image_trim_to_no_slots():
    empty = torch.zeros(2, 3, dtype=torch.bool)
    assert Proposals(torch.zeros(2, 3, 4), torch.zeros(2, 3), empty).trimmed().boxes.shape == (2, 0, 4)
    labels = torch.zeros(0, 3, dtype=torch.int64)
    found = Detections(torch.zeros(0, 3, 4), torch.zeros(0, 3), labels, labels, empty[:0])
    assert found.trimmed().boxes.shape == (0, 0, 4) and found.trimmed().masks is None


def test_masks_are_added_to_detections_that_stay_the_same():
    labels = torch.zeros(1, 2, dtype=torch.int64)
    found = Detections(torch.zeros(1, 2, 4), torch.zeros(1, 2), labels, labels, labels.bool())
    masks = torch.ones(1, 2, 3, 3)
    assert found.with_masks(masks).masks is masks and found.masks is None


def test_the_total_is_the_plain_sum_of_the_losses():
    assert Losses(*torch.tensor([1.0, 2, 4, 8, 16])).total == 31
