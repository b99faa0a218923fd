import math

import pytest
import torch
from torch import nn

from maskzoo.models.build import build
from maskzoo.models.initialization import initialize, initialize_predictors
from maskzoo.models.layers import DeformConvLayer
from maskzoo.zoo.rows import read_row
from networks import C4, CASCADE_GN, DCN, FPN

THIN = ("network.channels=16", "network.box_features=32", "network.backbone.width=8", "network.backbone.group_width=16")
PREDICTORS = ("heads.box.score.", "heads.box.delta.", "heads.mask.upsample.", "heads.mask.logits.")
NORMAL = {  # deviations, of the published rows
    "rpn.conv.conv": 0.01,
    "rpn.score.conv": 0.01,
    "rpn.delta.conv": 0.01,
    "heads.box.score": 0.01,
    "heads.box.delta": 0.001,
    "heads.mask.upsample": math.sqrt(2 / (256 * 4)),
    "heads.mask.logits": 0.158114,
}
FPN_NORMAL = {f"heads.convs.{index}.conv": math.sqrt(2 / (256 * 9)) for index in range(4)}
FPN_UNIFORM = {  # bounds
    **{f"pyramid.lateral.{level}.conv": math.sqrt(6 / (2 * 256 * 2**level)) for level in range(4)},
    **{f"pyramid.output.{level}.conv": math.sqrt(6 / (2 * 256 * 9)) for level in range(4)},
    "heads.fc6": math.sqrt(6 / (2 * 12544)),
    "heads.fc7": math.sqrt(6 / (1024 + 1024)),
}


def draw(row, *overrides, seed=0):
    config = read_row(row, overrides)
    with torch.device("meta"):
        model = build(config.network, len(config.classes), config.limits)
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.fill_(torch.nan)  # what is not drawn shows
    initialize(model, torch.Generator().manual_seed(seed))
    return model


@pytest.fixture(scope="module", params=[FPN, C4])
def network(request):
    """A published row at its own size: the rules depend on it."""
    return draw(request.param)


def is_backbone(name):
    return name.startswith(("backbone.", "heads.res5."))


def weigh(network):
    """Every layer with weights outside the backbone, by name."""
    kinds = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, kinds)}
    return {name: layer.weight.detach() for name, layer in layers.items() if not is_backbone(name)}


def check_deviation(weight, expected):
    tolerance = 5 / math.sqrt(2 * weight.numel())  # five deviations of the estimate
    assert weight.std().item() == pytest.approx(expected, rel=tolerance)
    assert abs(weight.mean().item()) <= 5 * expected / math.sqrt(weight.numel())


def test_every_layer_behind_the_backbone_has_the_published_distribution(network):
    weights = weigh(network)
    normal, uniform = dict(NORMAL), {}
    if network.pyramid is not None:
        normal, uniform = normal | FPN_NORMAL, FPN_UNIFORM
    assert weights.keys() == normal.keys() | uniform.keys()
    for name, deviation in normal.items():
        check_deviation(weights[name], deviation)
        assert weights[name].abs().max() > 3 * deviation  # bell-shaped: a uniform one would end before
    for name, bound in uniform.items():
        check_deviation(weights[name], bound / math.sqrt(3))
        assert 0.99 * bound < weights[name].abs().max() <= bound


def test_backbone_convolutions_keep_the_size_of_gradients(network):
    convolutions = {
        name: layer for name, layer in network.named_modules() if is_backbone(name) and isinstance(layer, nn.Conv2d)
    }
    assert len(convolutions) == 53
    for layer in convolutions.values():
        check_deviation(layer.weight.detach(), math.sqrt(2 / (layer.out_channels * layer.kernel_size[0] ** 2)))


def test_biases_are_0_and_norms_change_nothing(network):
    for name, tensor in network.state_dict().items():
        if name.endswith((".bias", ".norm.mean")):
            assert not tensor.any(), name
        elif name.endswith((".norm.weight", ".norm.variance")):
            assert (tensor == 1).all(), name
        assert tensor.isfinite().all(), name


def test_grouped_convolutions_count_the_channels_of_their_group_only():
    network = draw(FPN, *THIN, "network.backbone.groups=4", "network.backbone.group_width=32")
    layer = network.backbone.get_submodule("res5.1.conv2.conv")
    assert (layer.groups, layer.out_channels) == (4, 128)
    check_deviation(layer.weight.detach(), math.sqrt(2 / (128 * 9 / 4)))


@pytest.mark.parametrize("norm", ["bn", "sync_bn", "gn"])
def test_norms_that_learn_begin_as_the_identity(norm):
    network = draw(FPN, *THIN, f"network.norm={norm}", f"network.backbone.norm={norm}")
    state = network.state_dict()
    assert all(tensor.isfinite().all() for tensor in state.values())
    norms = {name: tensor for name, tensor in state.items() if ".norm." in name}
    assert len(norms) == (4 if norm != "gn" else 2) * (53 + 8 + 4)
    for name, tensor in norms.items():
        assert (tensor == (1 if name.endswith((".weight", ".running_var")) else 0)).all(), name


@pytest.mark.parametrize("classes", [1, 3])
def test_few_classes_begin_with_mask_logits_no_larger_than_those_of_80(classes):
    names = ", ".join(f"{number}: class {number}" for number in range(classes))
    network = draw(C4, *THIN, "network.channels=2048", f"classes={{{names}}}")
    check_deviation(network.heads.mask.logits.weight.detach(), math.sqrt(2 / 80))


@pytest.mark.parametrize("row", [FPN, C4])
def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others(row):
    first, again, other = (draw(row, *THIN, seed=seed).state_dict() for seed in (3, 3, 4))
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name]), name
        drawn = tensor.dim() > 1
        assert torch.equal(tensor, other[name]) == (not drawn), name


@pytest.mark.parametrize("row", [FPN, C4])
def test_new_predictors_leave_all_other_layers_as_they_are(row):
    network = draw(row, *THIN)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    initialize_predictors(network, torch.Generator().manual_seed(9))
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {f"{layer}weight" for layer in PREDICTORS}


@pytest.mark.parametrize("row", [CASCADE_GN, DCN])
def test_every_weight_of_later_stages_and_offsets_is_drawn(row):
    model = draw(row, "network.channels=16", "network.box_features=32", "network.backbone.width=16")
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())
    for stage in model.heads.stages[1:]:
        assert stage.fc6.weight.std() > 0 and stage.box.score.weight.std() > 0 and stage.box.delta.weight.std() > 0
    offsets = [layer for layer in model.modules() if isinstance(layer, DeformConvLayer)]
    assert len(offsets) == (13 if row == DCN else 0) and not any(layer.offset.conv.weight.any() for layer in offsets)
