"""Names of torchvision, detectron2 and mmdetection against the manifests of what the libraries' own networks hold."""

import numpy as np
import pytest

from elsewhere_files import LIBRARIES, ROWS, make_thin, read_manifest, read_row_of
from maskzoo.errors import WeightsError
from maskzoo.weights.libraries import find_library, list_library_renames, to_ours
from maskzoo.zoo.load import build_empty, list_shapes

OLD = {
    "backbone.fpn.inner_blocks.0.0.weight": "backbone.fpn.inner_blocks.0.weight",
    "backbone.fpn.layer_blocks.3.0.bias": "backbone.fpn.layer_blocks.3.bias",
    "rpn.head.conv.0.0.weight": "rpn.head.conv.weight",
    "roi_heads.mask_head.0.0.weight": "roi_heads.mask_head.mask_fcn1.weight",
    "roi_heads.mask_head.3.0.bias": "roi_heads.mask_head.mask_fcn4.bias",
}


@pytest.mark.parametrize("arch", ROWS)
def test_a_table_has_every_entry_of_the_librarys_network_once_with_its_shape(arch):
    network = read_row_of(arch).network
    table = list_library_renames(LIBRARIES[arch[:2]], network, "it")
    manifest = {name: shape for name, shape in read_manifest(arch).items() if not name.endswith("num_batches_tracked")}
    assert sorted(line.theirs for line in table) == sorted(manifest)
    assert find_library(manifest, "it") == LIBRARIES[arch[:2]]
    shapes = list_shapes(build_empty(read_row_of(arch)))
    assert {line.ours for line in table} == shapes.keys()
    for line in table:
        extra = {"BACKGROUND_BOX": 4, "BACKGROUND_MASK": 1}.get(line.layout.name, 0)
        assert manifest[line.theirs] == [shapes[line.ours][0] + extra, *shapes[line.ours][1:]], line


@pytest.mark.parametrize("arch", ["tv_r50_fpn", "tv_r50_fpn_v2", "d2_r50_fpn", "d2_r50_c4", "mm_r50_fpn"])
def test_what_is_no_weight_is_passed_over_and_all_else_must_fit(arch):
    config, shapes, state = make_thin(arch)
    more = {"backbone.bn1.num_batches_tracked": np.zeros((), np.int64), "pixel_mean": np.zeros((3, 1, 1), np.float32)}
    more["proposal_generator.anchor_generator.cell_anchors.0" if arch.startswith("d2") else "pixel_std"] = np.zeros(4)
    tensors = to_ours(state | more, config.network, shapes, "it.pth")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == shapes
    with pytest.raises(WeightsError, match=r"it\.pth.*\n.*1 not part of this network:\n    stranger"):
        to_ours(state | {"stranger": np.zeros(1, np.float32)}, config.network, shapes, "it.pth")
    name = next(name for name in state if name.endswith("bias"))
    with pytest.raises(WeightsError, match="1 missing"):
        to_ours({other: array for other, array in state.items() if other != name}, config.network, shapes, "it.pth")


def test_torchvisions_older_names_mean_the_same():
    config, shapes, state = make_thin("tv_r50_fpn")
    older = {OLD.get(name, name): array for name, array in state.items()}
    assert len(set(older) - set(state)) == len(OLD)
    first, second = (to_ours(source, config.network, shapes, "it") for source in (state, older))
    assert all((first[name] == second[name]).all() for name in shapes)


def test_torchvisions_background_comes_last():
    config, shapes, state = make_thin("tv_r50_fpn")
    tensors = to_ours(state, config.network, shapes, "it")
    bias = state["roi_heads.box_predictor.cls_score.bias"]
    assert bias.argmax() == 0 and tensors["heads.box.score.bias"].tolist() == [*bias[1:].tolist(), float(bias[0])]
    np.testing.assert_array_equal(tensors["heads.box.delta.bias"], state["roi_heads.box_predictor.bbox_pred.bias"][4:])
    np.testing.assert_array_equal(
        tensors["heads.mask.logits.weight"], state["roi_heads.mask_predictor.mask_fcn_logits.weight"][1:]
    )


@pytest.mark.parametrize(
    ("arch", "names"),
    [
        (
            "d2_r50_fpn",
            (
                "roi_heads.box_head.conv1.norm.running_var",
                "roi_heads.mask_head.mask_fcn4.norm.weight",
                "backbone.fpn_lateral2.norm.bias",
                "proposal_generator.rpn_head.conv.conv1.weight",
                "roi_heads.box_head.fc1.weight",
            ),
        ),
        (
            "mm_r50_fpn",
            (
                "roi_head.bbox_head.shared_convs.3.bn.running_var",
                "neck.fpn_convs.0.bn.weight",
                "rpn_head.rpn_conv.1.conv.weight",
                "roi_head.bbox_head.shared_fcs.0.weight",
            ),
        ),
    ],
)
def test_long_trained_networks_have_norms_and_convolutions_under_the_librarys_names(arch, names):
    _, _, state = make_thin(arch, "network.box_head=4conv1fc", "network.norm=sync_bn", "network.rpn_convs=2")
    assert set(names) <= set(state)
    assert not any(name.endswith((".fc2.weight", "shared_fcs.1.weight")) for name in state)


def test_deltas_and_masks_that_all_classes_share_serve_each():
    config, shapes, state = make_thin("d2_r50_fpn")
    for name in ("roi_heads.box_predictor.bbox_pred", "roi_heads.mask_head.predictor"):
        rows = 4 if "bbox" in name else 1
        state |= {f"{name}.{leaf}": state[f"{name}.{leaf}"][:rows] for leaf in ("weight", "bias")}
    tensors = to_ours(state, config.network, shapes, "it")
    deltas = tensors["heads.box.delta.weight"]
    assert (deltas[:4] == deltas[4:]).all() and tensors["heads.mask.logits.weight"].shape[0] == 2


@pytest.mark.parametrize("names", [[], ["fc.weight"], ["backbone.body.conv1.weight", "neck.lateral_convs.0.conv.weight"]])
def test_files_of_nobody_or_of_two_libraries_are_refused(names):
    with pytest.raises(WeightsError, match=r"it\.pth: its names are not those of a Mask R-CNN of torchvision"):
        find_library(names, "it.pth")


@pytest.mark.parametrize(
    ("arch", "overrides", "words"),
    [
        ("mm_r50_fpn", ("network.norm=gn",), "network.norm gn"),
        (
            "tv_r50_fpn",
            ("network.heads=c4", "network.anchors={sizes: [[32]], ratios: [1.0], strides: [16]}"),
            "only detectron2",
        ),
    ],
)
def test_networks_of_which_a_library_has_no_weights_are_refused(arch, overrides, words):
    config = read_row_of(arch, *overrides)
    with pytest.raises(WeightsError, match=words):
        list_library_renames(LIBRARIES[arch[:2]], config.network, "it.pth")
