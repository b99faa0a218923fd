import numpy as np
import pytest
import torch

from maskzoo.errors import WeightsError
from maskzoo.models.build import build
from maskzoo.weights.imagenet import fit_imagenet, is_imagenet, list_imagenet_renames
from maskzoo.zoo.rows import read_row
from networks import C4, FPN, MORE_OF_PADDLE, PADDLE, VD
from pdparams_files import read_manifest, rule_weights

THIN = ("network.channels=16", "network.box_features=32", "network.backbone.width=8", "network.backbone.group_width=16")


def classifier_names(row):
    """What a classifier's file calls the backbone of a published row: the published names without their prefix."""
    prefixes = ("backbone.", "bbox_head.head.res5.")
    return {
        name.removeprefix("backbone.").removeprefix("bbox_head.head."): name
        for name in read_manifest(row)
        if name.startswith(prefixes) and ".conv_offset." not in name  # a classifier's convolutions are plain
    }


def make(row, *overrides):
    """A thin network's part of a model file, its shapes, and a classifier's file for it."""
    network = read_row(row, (*THIN, *overrides)).network
    with torch.device("meta"):
        model = build(network, 3, read_row(row).limits)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    arrays = {line.theirs: rule_weights(line.theirs, shapes[line.ours], 0) for line in list_imagenet_renames(network, "")}
    arrays |= {"fc.weight": np.zeros((64, 10), np.float32), "fc.bias": np.zeros(10, np.float32)}
    return network, shapes, arrays


@pytest.mark.parametrize("row", [*PADDLE, *MORE_OF_PADDLE])
def test_the_names_are_the_published_ones_without_their_prefix(row):
    table = list_imagenet_renames(read_row(row).network, "")
    assert {line.theirs for line in table} == classifier_names(row).keys()
    assert len({line.ours for line in table}) == len(table)


def test_names_tell_a_classifier_from_a_whole_network():
    assert is_imagenet([*classifier_names(FPN), "fc.weight"])
    assert not is_imagenet(read_manifest(FPN))
    assert not is_imagenet(read_manifest(C4))
    assert not is_imagenet([])


@pytest.mark.parametrize("row", [FPN, VD, C4])
def test_every_backbone_tensor_gets_its_array_and_the_classifiers_own_are_named(row):
    network, shapes, arrays = make(row)
    tensors, surplus = fit_imagenet(arrays, network, shapes, "net.pdparams")
    assert tensors.keys() == {name for name in shapes if name.startswith(("backbone.", "heads.res5."))}
    assert surplus == ["fc.bias", "fc.weight"]
    first = "conv1_1" if row == VD else "conv1"
    res5 = "heads.res5" if row == C4 else "backbone.res5"
    pairs = {
        f"conv1.{first}.conv.weight": "backbone.stem.0.conv.weight",
        f"conv1.{first}.norm._variance": "backbone.stem.0.norm.variance",
        "res3.res3b.branch2c.norm.bias": "backbone.res3.1.conv3.norm.bias",
        "res5.res5c.branch2b.conv.weight": f"{res5}.2.conv2.conv.weight",
        "res5.res5c.branch2b.norm._mean": f"{res5}.2.conv2.norm.mean",
    }
    for theirs, ours in pairs.items():
        assert torch.equal(tensors[ours], torch.from_numpy(arrays[theirs])), ours


@pytest.mark.parametrize("norm", ["bn", "sync_bn"])
def test_batch_norms_that_learn_take_the_statistics_as_their_running_ones(norm):
    network, shapes, arrays = make(FPN, f"network.backbone.norm={norm}", "network.norm=gn")
    tensors, _ = fit_imagenet(arrays, network, shapes, "net.pdparams")
    assert tensors.keys() == {name for name in shapes if name.startswith("backbone.")}
    found = tensors["backbone.res2.0.shortcut.project.norm.running_var"]
    assert torch.equal(found, torch.from_numpy(arrays["res2.res2a.short.norm._variance"]))


def test_what_is_missing_or_has_another_shape_is_all_listed():
    network, shapes, arrays = make(C4)
    del arrays["res5.res5a.branch2a.conv.weight"], arrays["conv1.conv1.norm._mean"]
    arrays["res2.res2a.short.conv.weight"] = np.zeros((32, 8, 3, 3), np.float32)
    with pytest.raises(WeightsError) as caught:
        fit_imagenet(arrays, network, shapes, "net.pdparams")
    message = str(caught.value)
    assert message.startswith("net.pdparams")
    assert "res5.res5a.branch2a.conv.weight" in message and "conv1.conv1.norm._mean" in message
    assert "res2.res2a.short.conv.weight: found [32, 8, 3, 3], expected [32, 8, 1, 1]" in message


def test_another_variants_classifier_is_refused_and_not_taken_in_part():
    network, shapes, _ = make(FPN)
    _, _, arrays = make(VD)
    with pytest.raises(WeightsError, match=r"conv1\.conv1\.conv\.weight"):
        fit_imagenet(arrays, network, shapes, "vd.pdparams")


@pytest.mark.parametrize("depth", [18, 34])
def test_depths_without_published_weights_are_refused_with_those_that_have_some(depth):
    network = read_row(FPN, [f"network.backbone.depth={depth}"]).network
    with pytest.raises(WeightsError, match=rf"net\.pdparams: depths 50 and 101 .* found network\.backbone\.depth {depth}"):
        list_imagenet_renames(network, "net.pdparams")


def test_group_norms_have_no_place_for_the_statistics():
    network = read_row(FPN, ["network.backbone.norm=gn"]).network
    with pytest.raises(WeightsError, match=r"frozen, bn and sync_bn; found network\.backbone\.norm gn"):
        list_imagenet_renames(network, "net.pdparams")
