import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from maskzoo.models.build import build
from maskzoo.models.cost import count_operations, count_parameters, measure_cost
from maskzoo.structures import ImageBatch
from networks import C4, FPN, THIN, small_config, small_network


@pytest.mark.parametrize("row", [FPN, C4])
def test_the_count_grows_by_what_each_further_box_and_mask_needs(row):
    config = small_config(row, *THIN)
    with torch.device("meta"):
        model = build(config.network, len(config.classes), config.limits)
    base, boxes, masks = (count_operations(model, (64, 96), *counts) for counts in ((10, 5), (20, 5), (10, 10)))
    assert base < masks and base < boxes
    assert count_operations(model, (64, 96), 20, 10) == boxes + masks - base


def test_parameters_are_those_that_training_may_move():
    config = small_config(FPN, *THIN, "network.backbone.norm=bn")
    model = small_network(config)
    assert count_parameters(model) == sum(parameter.numel() for parameter in model.parameters())
    assert measure_cost(config.network, len(config.classes), config.limits, (64, 96))[0] == count_parameters(model)


def test_counting_on_the_meta_device_equals_what_a_run_computes():
    config = small_config(FPN, *THIN)
    model = small_network(config)
    with torch.device("meta"):
        empty = build(config.network, len(config.classes), config.limits)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        features = model.features(ImageBatch(torch.zeros(1, 3, 64, 96), torch.tensor([[64.0, 96.0]])).pixels)
        model.score_anchors(features)
    # Zero boxes and masks leave what runs on the whole image.
    assert count_operations(empty, (64, 96), 0, 0) == counter.get_total_flops()
