import pytest
import torch

from maskzoo.models.build import build
from maskzoo.models.roi_heads import C4RoiHeads, FpnRoiHeads
from maskzoo.zoo.table import names, read_row

# Entries of the published file, parameters without running statistics, those that train.
COUNTS = {
    "r50": (279, 35_962_732, 35_687_212),
    "r50_fpn": (307, 44_396_336, 44_120_816),
    "r50_vd_fpn": (317, 44_415_568, 44_120_816),
    "r50_vd_fpn_ssld": (317, 44_415_568, 44_120_816),
    "r101_fpn": (562, 63_388_464, 63_060_720),
    "r101_vd_fpn": (572, 63_407_696, 63_060_720),
    "x101_vd_64x4d_fpn": (572, 102_313_808, 101_694_192),
}


def build_empty(config):
    with torch.device("meta"):
        return build(config.network, len(config.classes), config.limits)


@pytest.mark.parametrize("row", names())
def test_every_row_has_the_published_number_of_parameters(row):
    network = build_empty(read_row(row))
    state = network.state_dict()
    statistics = sum(state[name].numel() for name in state if name.endswith((".mean", ".variance")))
    every = sum(tensor.numel() for tensor in state.values()) - statistics
    trainable = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    assert (len(state), every, trainable) == COUNTS[row.removeprefix("mask_rcnn_")[:-8]]


@pytest.mark.parametrize("row", names())
def test_frozen_stages_and_norms_do_not_train_and_all_else_does(row):
    config = read_row(row)
    network = build_empty(config)
    assert config.network.backbone.frozen == ("stem", "res2")
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad == (not name.startswith(("backbone.stem.", "backbone.res2."))), name
        assert ".norm." not in name


@pytest.mark.parametrize("frozen", [(), ("stem",), ("stem", "res2", "res3", "res4")])
def test_the_model_file_says_what_is_frozen(frozen):
    config = read_row("mask_rcnn_r50_1x_coco", [f"network.backbone.frozen=[{', '.join(frozen)}]"])
    stages = build_empty(config).backbone.named_children()
    found = {name: {parameter.requires_grad for parameter in stage.parameters()} for name, stage in stages}
    assert found == {name: {name not in frozen} for name in ("stem", "res2", "res3", "res4")}


def test_heads_decide_about_pyramid_stages_and_anchors():
    fpn, c4 = (build_empty(read_row(f"mask_rcnn_{row}_1x_coco")) for row in ("r50_fpn", "r50"))
    assert isinstance(fpn.heads, FpnRoiHeads) and isinstance(c4.heads, C4RoiHeads)
    assert (fpn.pyramid is None, c4.pyramid is None) == (False, True)
    assert (fpn.backbone.stages, c4.backbone.stages) == ((2, 3, 4, 5), (4,))
    assert (fpn.rpn.score.conv.out_channels, c4.rpn.score.conv.out_channels) == (3, 15)


def test_the_number_of_classes_reaches_all_three_predictors():
    config = read_row("mask_rcnn_r50_fpn_1x_coco", ["classes={7: cat, 9: dog}"])
    heads = build_empty(config).heads
    assert heads.box.score.out_features == 3
    assert heads.box.delta.out_features == 8
    assert heads.mask.logits.out_channels == 2
