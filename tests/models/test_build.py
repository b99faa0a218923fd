import copy

import pytest
import torch

from maskzoo.models.build import build
from maskzoo.models.initialization import initialize
from maskzoo.models.layers import ConvLayer
from maskzoo.models.norms import BatchNorm, FrozenNorm
from maskzoo.models.packing import pack
from maskzoo.models.roi_heads import C4RoiHeads, FpnRoiHeads
from maskzoo.structures import ImageBatch
from maskzoo.zoo.rows import name_group, names, read_row
from networks import C4, FPN, small_config, small_network

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

THIN = (
    "network.channels=16", "network.box_features=32", "network.backbone.width=8", "classes={1: cat, 2: dog}",
    "limits.proposals={before_nms: 20, after_nms: 10, total: 10, iou: 0.7, min_side: 1.0}",
)  # fmt: skip
KINDS = [
    ("r50_fpn", 18, "b", "bn", "none"),
    ("r50_fpn", 34, "d", "gn", "gn"),
    ("r50_fpn", 50, "d", "sync_bn", "bn"),
    ("r50_fpn", 101, "b", "frozen", "sync_bn"),
    ("r50", 18, "d", "gn", "none"),
    ("r50", 34, "b", "bn", "none"),
    ("r50", 50, "b", "sync_bn", "none"),
]


def build_empty(config):
    with torch.device("meta"):
        return build(config.network, len(config.classes), config.limits)


@pytest.mark.parametrize("row", [name for name in names() if name_group(name) == "PaddleDetection"])
def test_every_row_has_the_published_number_of_parameters(row):
    network = build_empty(read_row(row))
    state = network.state_dict()
    statistics = sum(state[name].numel() for name in state if name.endswith((".mean", ".variance")))
    every = sum(tensor.numel() for tensor in state.values()) - statistics
    trainable = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    assert (len(state), every, trainable) == COUNTS[row.removeprefix("mask_rcnn_")[:-8]]


@pytest.mark.parametrize("row", [name for name in names() if name_group(name) == "PaddleDetection"])
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


def make(row, depth, variant, norm, heads_norm):
    """Return a thin network with weights and statistics, none of them alike, and its config."""
    shape = {"depth": depth, "variant": variant, "norm": norm, "frozen": "[]"}
    overrides = [f"network.backbone.{key}={value}" for key, value in shape.items()]
    config = read_row(f"mask_rcnn_{row}_1x_coco", [*THIN, *overrides, f"network.norm={heads_norm}"])
    random = torch.Generator().manual_seed(0)
    network = build(config.network, len(config.classes), config.limits)
    initialize(network, random)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.dim() == 1:
                positive = name.endswith((".weight", "variance", "running_var"))
                tensor.uniform_(0.5 if positive else -0.5, 1.0, generator=random)
    return network, config


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind)))
def test_a_packed_network_of_any_depth_and_norm_computes_what_it_did_before(kind):
    network, _ = make(*kind)
    packed = copy.deepcopy(network.eval().requires_grad_(False))
    pack(packed)
    assert not any(isinstance(module, ConvLayer | BatchNorm | FrozenNorm) for module in packed.modules())
    random = torch.Generator().manual_seed(1)
    pixels = torch.randn(2, 3, 64, 96, generator=random)
    boxes = torch.tensor([[4.0, 6, 60, 40], [10, 10, 90, 60]]).repeat(2, 1, 1)
    labels = torch.tensor([[0, 1], [1, 0]])
    found = []
    for one in (network, packed):
        features = one.features(pixels)
        scores, deltas = one.rpn(features)
        table = one.heads.table(features)
        outputs = [*features, *scores, *deltas, *one.heads.boxes(table, boxes), one.heads.masks(table, boxes, labels)]
        found.append(outputs)
    for before, after in zip(*found, strict=True):
        assert before.std() > 0
        assert torch.allclose(after, before, rtol=1e-3, atol=1e-4 * float(before.abs().max()))


@pytest.mark.parametrize(("row", "places"), [("r50_fpn", ("backbone.", "pyramid.", "heads.convs.")), ("r50", None)])
def test_norms_stand_where_the_model_file_says_and_learn(row, places):
    network, _ = make(row, 18, "b", "bn", "gn")
    backbone = ("backbone.", "heads.res5.")
    norms = {name for name, module in network.named_modules() if name.endswith(".norm")}
    assert {name for name in norms if not name.startswith(backbone)} == {
        f"{name}.norm"
        for name, module in network.named_modules()
        if places is not None and isinstance(module, ConvLayer) and name.startswith(places[1:])
    }
    for name, module in network.named_modules():
        if isinstance(module, ConvLayer) and name.startswith(backbone):
            assert isinstance(module.norm, BatchNorm) and module.conv.bias is None, name
        elif isinstance(module, ConvLayer):
            assert (module.norm is None) == (module.conv.bias is not None) == (f"{name}.norm" not in norms), name
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("depth", [18, 50])
def test_width_and_channels_scale_the_whole_network(depth):
    network, _ = make("r50_fpn", depth, "d", "bn", "none")
    last = 8 * 8 * (4 if depth == 50 else 1)
    assert [layer.conv.out_channels for layer in network.backbone.stem] == [4, 4, 8]
    assert network.backbone.channels == tuple(last >> step for step in (3, 2, 1, 0))
    assert {layer.conv.out_channels for layer in (*network.pyramid.lateral, *network.pyramid.output)} == {16}
    assert (network.heads.fc6.in_features, network.heads.fc6.out_features) == (49 * 16, 32)
    assert network.heads.mask.logits.in_channels == network.rpn.conv.conv.out_channels == 16


OTHER_KINDS = {
    "four convolutions": ("network.box_head=4conv1fc", "network.norm=bn"),
    "four convolutions with biases": ("network.box_head=4conv1fc",),
    "two RPN convolutions": ("network.rpn_convs=2",),
    "stride in 1x1": ("network.backbone.stride_in_1x1=true",),
    "epsilon 0": ("network.backbone.epsilon=0.0",),
    "two samples": ("network.roi_align={aligned: false, samples: 2}",),
    "one level of a dilated res5": ("network.heads=dc5", "network.anchors.sizes=[[32, 64]]", "network.anchors.strides=[16]"),
    "whole anchors": ("network.anchors.whole=true", "network.shrinking_capped=true"),
}


@pytest.mark.parametrize("overrides", OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
def test_a_packed_network_of_other_libraries_kinds_computes_what_it_did_before(overrides):
    config = small_config(FPN, "network.backbone.width=16", "network.channels=16", "network.box_features=32", *overrides)
    network = small_network(config).eval().requires_grad_(False)
    packed = copy.deepcopy(network)
    pack(packed)
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    first, second = (one(ImageBatch(pixels, torch.tensor([[64.0, 96.0]]))) for one in (network, packed))
    assert first.valid.any() and torch.equal(first.labels, second.labels)
    assert torch.allclose(first.boxes, second.boxes, atol=1e-2) and torch.allclose(first.masks, second.masks, atol=1e-3)


def test_each_value_of_a_model_file_reaches_its_part():
    every = [override for overrides in list(OTHER_KINDS.values())[:1] for override in overrides]
    every += [override for overrides in list(OTHER_KINDS.values())[2:] for override in overrides]
    network = build_empty(small_config(FPN, *every))
    assert network.heads.fc7 is None and len(network.heads.box_convs) == 4 and len(network.rpn.conv) == 2
    block = network.backbone.res3[0]
    assert (block.conv1.conv.stride, block.conv2.conv.stride) == ((2, 2), (1, 1))
    assert {norm.eps for norm in network.backbone.modules() if isinstance(norm, FrozenNorm)} == {0.0}
    assert {norm.eps for norm in network.heads.modules() if isinstance(norm, BatchNorm)} == {1e-5}
    assert (network.heads.aligned, network.heads.samples) == (False, 2)
    assert network.shrinking_capped and network.anchors.whole
    res5 = build_empty(small_config(C4, "network.backbone.stride_in_1x1=true", "network.backbone.epsilon=0.0")).heads.res5
    assert res5[0].conv1.conv.stride == (2, 2) and res5[0].conv1.norm.eps == 0
