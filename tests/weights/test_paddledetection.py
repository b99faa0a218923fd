import numpy as np
import pytest
import torch

from maskzoo.errors import WeightsError
from maskzoo.models.build import build
from maskzoo.weights.paddledetection import list_renames
from maskzoo.weights.rename import rename
from maskzoo.zoo.rows import read_row
from networks import MORE_OF_PADDLE, PADDLE
from pdparams_files import read_manifest


def read(name):
    config = read_row(name)
    with torch.device("meta"):
        network = build(config.network, len(config.classes), config.limits)
    return config, network, read_manifest(name)


@pytest.mark.parametrize("name", [*PADDLE, *MORE_OF_PADDLE])
def test_names_shapes_and_trainability_equal_the_manifest(name):
    config, network, manifest = read(name)
    table = list_renames(config.network)
    assert {entry.theirs for entry in table} == set(manifest)
    assert {entry.ours for entry in table} == set(network.state_dict())
    trainable = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert {entry.theirs for entry in table if entry.ours in trainable} == {n for n, (_, train) in manifest.items() if train}

    # arrays without memory of their own: only shapes and the way through every layout matter
    arrays = {name: np.broadcast_to(np.float32(0), shape) for name, (shape, _) in manifest.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    small = {ours: shape for ours, shape in shapes.items() if np.prod(shape) < 1_000_000}
    kept = [entry for entry in table if entry.ours in small]
    tensors = rename({entry.theirs: arrays[entry.theirs] for entry in kept}, kept, small, "the manifest")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == small
    for entry in table:
        if entry.ours not in small:
            wanted = shapes[entry.ours] if entry.layout.name == "SAME" else shapes[entry.ours][::-1]
            assert tuple(manifest[entry.theirs][0]) == wanted


def test_another_networks_file_is_refused_with_what_is_missing_surplus_and_misshapen():
    config, network, _ = read("mask_rcnn_r50_fpn_1x_coco")
    _, _, other = read("mask_rcnn_r50_vd_fpn_1x_coco")
    arrays = {name: np.broadcast_to(np.float32(0), shape) for name, (shape, _) in other.items()}
    arrays["bbox_head.bbox_score.weight"] = np.zeros((1024, 5), np.float32)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        rename(arrays, list_renames(config.network), shapes, "vd.pdparams")
    message = str(caught.value)
    assert "vd.pdparams" in message
    assert "backbone.conv1.conv1.conv.weight" in message  # missing
    assert "backbone.conv1.conv1_1.conv.weight" in message  # surplus
    assert "bbox_head.bbox_score.weight: found [1024, 5], expected [1024, 81]" in message


def test_heads_that_only_detectron2_has_are_refused():
    with pytest.raises(WeightsError, match=r"^net\.pdparams: are of fpn or c4 heads, found network\.heads dc5"):
        list_renames(read_row("detectron2/mask_rcnn_R_50_DC5_1x").network, "net.pdparams")
