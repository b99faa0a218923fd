"""What network a weights file is of follows from its names and shapes; what is not computed here is refused by name."""

import json

import numpy as np
import pytest

from elsewhere_files import ROWS, make_thin, read_manifest, read_row_of
from maskzoo.errors import WeightsError
from maskzoo.weights.caffe2 import is_caffe2, rename_blobs
from maskzoo.weights.foreign import read_tensors
from maskzoo.weights.recognition import recognise
from maskzoo.zoo.rows import read_row
from pdparams_files import MANIFESTS
from shared_data import need_shared

FOUND = ("heads", "channels", "box_head", "box_features", "rpn_convs")
FOUND_BACKBONE = ("depth", "width", "groups", "group_width")


def fill(shapes):
    return {name: np.broadcast_to(np.float32(1), shape) for name, shape in shapes.items()}


def refuse(arrays, *words):
    with pytest.raises(WeightsError) as caught:
        recognise(arrays, "it.pth")
    text = str(caught.value)
    assert text.startswith("it.pth: ") and len(text) < 600 and all(word in text for word in words), text


@pytest.mark.parametrize("arch", ROWS)
def test_every_network_of_the_libraries_is_recognised(arch):
    found = recognise(fill(read_manifest(arch)), "it")
    config = read_row_of(arch)
    network = config.network
    assert found.library == ROWS[arch].partition("/")[0].replace("mmdet", "mmdetection")
    settings = {key: value for key, (value, _) in found.settings.items()}
    for key in FOUND:
        assert settings.get(f"network.{key}", getattr(network, key)) == getattr(network, key), key
    for key in FOUND_BACKBONE:
        assert settings[f"network.backbone.{key}"] == getattr(network.backbone, key), key
    batch = arch.startswith("mm") or network.backbone.norm == "sync_bn"  # names and shapes show no more
    assert settings["network.backbone.norm"] == ("bn" if batch else network.backbone.norm)
    assert settings.get("network.norm", network.norm).removeprefix("sync_") == network.norm.removeprefix("sync_")
    assert (found.classes, found.anchors) == (len(config.classes), len(network.anchors.sizes[0]) * 3)
    assert len(found.arrays) + sum(map(len, found.left_out.values())) == len(read_manifest(arch))


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_network_of_paddledetection_is_recognised(path):
    found = recognise(fill({name: shape for name, (shape, _) in json.loads(path.read_text()).items()}), "it")
    row = read_row(path.stem).network
    assert (found.library, found.classes) == ("PaddleDetection", 80)
    for key, (value, _) in found.settings.items():
        section = row.backbone if ".backbone." in key else row
        expected = getattr(section, key.rpartition(".")[2])
        assert value == (list(expected) if isinstance(expected, tuple) else expected), key


@pytest.mark.parametrize("arch", ["tv_r50_fpn_v2", "d2_r50_c4", "d2_r50_dc5", "d2_x101_32x8d_fpn", "mm_r50_fpn"])
@pytest.mark.parametrize("classes", ["{1: a}", "{1: a, 2: b, 3: c}"])
def test_thin_networks_with_other_classes_become_ours(arch, classes):
    changes = ("network.backbone.groups=1", "network.backbone.group_width=64") if "x101" in arch else ()
    config, shapes, state = make_thin(arch, f"classes={classes}", *changes)
    found = recognise(state, "it")
    assert found.classes == len(config.classes) and found.settings["network.backbone.width"][0] == 8
    assert {name: tuple(tensor.shape) for name, tensor in found.to_ours(config.network, shapes, "it").items()} == shapes


@pytest.mark.parametrize("arch", ["tv_r50_fpn", "d2_r50_fpn", "mm_r50_fpn"])
@pytest.mark.parametrize("depth", [18, 34])
def test_networks_of_blocks_of_two_convolutions_become_ours(arch, depth):
    config, shapes, state = make_thin(arch, f"network.backbone.depth={depth}", "network.backbone.stride_in_1x1=false")
    found = recognise(state, "it")
    assert found.settings["network.backbone.depth"][0] == depth
    assert {name: tuple(tensor.shape) for name, tensor in found.to_ours(config.network, shapes, "it").items()} == shapes


def test_long_trained_networks_of_detectron2_have_two_convolutions_and_norms():
    _, _, state = make_thin("d2_r50_fpn", "network.box_head=4conv1fc", "network.norm=bn", "network.rpn_convs=2")
    settings = recognise(state, "it").settings
    assert [settings[f"network.{key}"][0] for key in ("box_head", "norm", "rpn_convs")] == ["4conv1fc", "bn", 2]


def test_groups_of_a_resnext_are_read_from_its_3x3():
    _, _, state = make_thin("d2_x101_32x8d_fpn", "network.backbone.groups=4", "network.backbone.group_width=32")
    settings = recognise(state, "it").settings
    assert (settings["network.backbone.groups"][0], settings["network.backbone.group_width"][0]) == (4, 32)
    assert settings["network.backbone.groups"][1] == "backbone.bottom_up.res2.0.conv2.weight [16, 4, 3, 3]"


def test_what_is_no_weight_is_counted_by_reason():
    _, _, state = make_thin("d2_r50_fpn")
    more = {"pixel_mean": np.float32([[[103.53]], [[116.28]], [[123.675]]]), "pixel_std": np.ones((3, 1, 1), np.float32)}
    more["proposal_generator.anchor_generator.cell_anchors.0"] = np.zeros((3, 4), np.float32)
    found = recognise(state | more, "it")
    assert sorted(map(len, found.left_out.values())) == [1, 2] and found.arrays.keys() == state.keys()
    np.testing.assert_allclose(found.statistics["pixel_mean"], [103.53, 116.28, 123.675], rtol=1e-6)


@pytest.mark.parametrize("prefix", ["model.", "net.", "detector.model.", "model._orig_mod.", "_fsdp_wrapped_module."])
@pytest.mark.parametrize("arch", ["tv_r50_fpn", "d2_r50_fpn", "mm_r50_fpn"])
def test_what_wraps_the_network_is_taken_off_and_what_stands_beside_it_is_counted(arch, prefix):
    _, _, state = make_thin(arch)
    wrapped = {prefix + name: array for name, array in state.items()} | {"loss.weight": np.ones(3, np.float32)}
    found = recognise(wrapped, "it")
    assert found.arrays.keys() == recognise(state, "it").arrays.keys()
    assert found.left_out == {f"outside of {prefix!r}, where the network is": ["loss.weight"]}


def test_two_networks_in_one_file_are_refused_with_their_names():
    _, _, state = make_thin("mm_r50_fpn")
    both = {f"{whose}.{name}": array for whose in ("student", "teacher") for name, array in state.items()}
    refuse(both, "holds 2 networks, under 'student.', 'teacher.'; expected one")


@pytest.mark.parametrize(
    ("arch", "entry", "words"),
    [
        ("mm_r50_fpn", "backbone.layer2.0.conv2.conv_offset.weight", "deformable convolutions"),
        ("d2_r50_fpn", "backbone.bottom_up.res3.0.conv2_offset.weight", "deformable convolutions"),
        ("d2_r50_fpn", "roi_heads.box_head.0.fc1.weight", "Cascade"),
        ("mm_r50_fpn", "roi_head.bbox_head.1.fc_cls.weight", "Cascade"),
        ("d2_r50_fpn", "roi_heads.mask_head.point_head.fc1.weight", "PointRend"),
        ("tv_r50_fpn", "roi_heads.keypoint_head.0.weight", "keypoint"),
        ("mm_r50_fpn", "backbone.stages.0.blocks.0.attn.w_msa.relative_position_bias_table", "transformer"),
        ("d2_r50_fpn", "backbone.bottom_up.s1.b1.a.weight", "RegNet"),
        ("mm_r50_fpn", "backbone.layer1.0.convs.0.weight", "Res2Net"),
        ("mm_r50_fpn", "backbone.stage2.0.branches.0.0.conv1.weight", "HRNet"),
        ("mm_r50_fpn", "neck.pafpn_convs.0.conv.weight", "another pyramid"),
        ("tv_r50_fpn", "backbone.body.0.0.weight", "MobileNet"),
        ("tv_r50_fpn", "roi_heads.box.feature_extractor.fc6.weight", "maskrcnn-benchmark"),
        ("mm_r50_fpn", "roi_head.mask_iou_head.convs.0.weight", "Mask Scoring"),
        ("d2_r50_fpn", "sem_seg_head.p2.0.weight", "semantic"),
        ("d2_r50_fpn", "sem_seg_head.predictor.query_feat.weight", "Mask2Former"),
        ("mm_r50_fpn", "panoptic_head.pixel_decoder.input_convs.0.conv.weight", "Mask2Former"),
        ("d2_r50_fpn", "roi_heads.keypoint_head.conv_fcn1.weight", "a keypoint head"),
        ("mm_r50_fpn", "backbone.stages.0.blocks.0.attn.w_msa.qkv.weight", "a Swin transformer"),
    ],
)
def test_networks_that_are_not_computed_are_refused_by_what_shows_it(arch, entry, words):
    _, _, state = make_thin(arch)
    refuse(state | {entry: np.zeros((2, 3), np.float32)}, words, entry, "[2, 3]")


def change(state, name, shape):
    return state | {name: np.zeros(shape, np.float32)}


def test_depths_heads_and_norms_of_other_kinds_are_refused_by_name():
    _, _, state = make_thin("tv_r50_fpn")
    body = "backbone.body."
    more = {f"{body}layer2.{block}.conv{n}.weight": np.ones((8, 8, 1, 1)) for block in range(4, 8) for n in (1, 3)}
    refuse(state | more, "another backbone (3, 8, 6, 3 blocks of three convolutions a stage)", "50 or 101")
    refuse({name: array for name, array in state.items() if "running" not in name}, "group norms")
    refuse({name: array for name, array in state.items() if "mask" not in name}, "no mask head", "Faster R-CNN")
    refuse({name: array for name, array in state.items() if name.startswith(body)}, "a backbone alone")
    refuse({name: array for name, array in state.items() if "fc7" not in name}, "one linear layer")
    refuse({name: array for name, array in state.items() if "mask_head.3" not in name}, "a mask head of 3 convolutions")
    refuse({name: array for name, array in state.items() if "cls_logits" not in name}, "has no rpn.head.cls_logits.weight")
    leaves = ("weight", "bias", "running_mean", "running_var")
    half = {f"backbone.fpn.inner_blocks.0.1.{leaf}": np.ones(16, np.float32) for leaf in leaves}
    refuse(state | half, "norms in a part of pyramid and heads only (pyramid bn, mask head none)")
    refuse({"fc.weight": np.zeros((2, 2), np.float32)}, "not those of a Mask R-CNN")
    refuse({}, "not those of a Mask R-CNN")
    _, _, state = make_thin("mm_r50_fpn")
    refuse({name: array for name, array in state.items() if "neck" not in name}, "no pyramid", "DC5")


def test_heads_that_disagree_about_the_classes_are_refused():
    _, _, state = make_thin("tv_r50_fpn")
    name = "roi_heads.mask_predictor.mask_fcn_logits.bias"
    refuse(change(state, name, (91,)), f"{name} 91 rows", "disagree about the number of classes")
    refuse(change(state, "roi_heads.box_predictor.cls_score.bias", (1,)), "disagree")
    refuse(change(state, "roi_heads.box_predictor.cls_score.bias", ()), "expected 1 sizes above 0")


def test_shared_deltas_and_masks_are_those_of_every_class():
    config, shapes, state = make_thin("mm_r50_fpn", "classes={1: a, 2: b, 3: c}")
    for name, rows in (("roi_head.bbox_head.fc_reg", 4), ("roi_head.mask_head.conv_logits", 1)):
        state |= {f"{name}.{leaf}": state[f"{name}.{leaf}"][:rows] for leaf in ("weight", "bias")}
    found = recognise(state, "it")
    tensors = found.to_ours(config.network, shapes, "it")
    assert found.classes == 3 and (tensors["heads.box.delta.bias"].view(3, 4) == tensors["heads.box.delta.bias"][:4]).all()


BLOBS = {  # Detectron's names, and detectron2's, of networks with a pyramid
    "conv1_w": "backbone.bottom_up.stem.conv1.weight",
    "res_conv1_bn_s": "backbone.bottom_up.stem.conv1.norm.weight",
    "res_conv1_bn_b": "backbone.bottom_up.stem.conv1.norm.bias",
    "res2_0_branch1_w": "backbone.bottom_up.res2.0.shortcut.weight",
    "res2_0_branch1_bn_b": "backbone.bottom_up.res2.0.shortcut.norm.bias",
    "res4_5_branch2a_w": "backbone.bottom_up.res4.5.conv1.weight",
    "res4_22_branch2b_bn_s": "backbone.bottom_up.res4.22.conv2.norm.weight",
    "res5_2_branch2c_w": "backbone.bottom_up.res5.2.conv3.weight",
    "fpn_inner_res5_2_sum_w": "backbone.fpn_lateral5.weight",
    "fpn_inner_res4_5_sum_lateral_b": "backbone.fpn_lateral4.bias",
    "fpn_inner_res3_3_sum_lateral_w": "backbone.fpn_lateral3.weight",
    "fpn_res2_2_sum_w": "backbone.fpn_output2.weight",
    "fpn_res5_2_sum_b": "backbone.fpn_output5.bias",
    "conv_rpn_fpn2_w": "proposal_generator.rpn_head.conv.weight",
    "rpn_cls_logits_fpn2_b": "proposal_generator.rpn_head.objectness_logits.bias",
    "rpn_bbox_pred_fpn2_w": "proposal_generator.rpn_head.anchor_deltas.weight",
    "fc6_w": "roi_heads.box_head.fc1.weight",
    "fc7_b": "roi_heads.box_head.fc2.bias",
    "cls_score_w": "roi_heads.box_predictor.cls_score.weight",
    "bbox_pred_b": "roi_heads.box_predictor.bbox_pred.bias",
    "_[mask]_fcn1_w": "roi_heads.mask_head.mask_fcn1.weight",
    "conv5_mask_w": "roi_heads.mask_head.deconv.weight",
    "mask_fcn_logits_b": "roi_heads.mask_head.predictor.bias",
}


def test_detectrons_blobs_have_detectron2s_names():
    blobs = {name: np.full(3, place, np.float32) for place, name in enumerate(BLOBS)}
    renamed = rename_blobs(blobs | {"conv1_w_momentum": blobs["conv1_w"], "conv1_b": np.zeros(3, np.float32)})
    statistics = {name for name in renamed if "running" in name}
    assert renamed.keys() - statistics == set(BLOBS.values())
    assert all(renamed[theirs] is blobs[name] for name, theirs in BLOBS.items()) and len(statistics) == 4
    assert is_caffe2(blobs) and not is_caffe2(dict.fromkeys(BLOBS.values()))
    mean = renamed["backbone.bottom_up.stem.conv1.norm.running_mean"]
    variance = renamed["backbone.bottom_up.stem.conv1.norm.running_var"]
    assert not mean.any() and np.allclose(variance + np.float32(1e-5), 1)


@pytest.mark.parametrize("arch", ["d2_r50_fpn", "d2_r50_c4"])
def test_detectrons_networks_become_ours_with_the_background_last(arch):
    config, shapes, state = make_thin(arch)
    blobs = {}
    for name, array in state.items():
        if "running" in name:
            continue
        if "box_predictor" in name or "mask_head.predictor" in name:
            rows = {"cls_score": 1, "bbox_pred": 4, "predictor": 1}[name.split(".")[-2]]
            array = np.roll(array, 1, axis=0) if rows == 1 and "cls" in name else np.concatenate([array[:rows] + 9, array])
        blobs[to_blob(name, arch)] = array
    found = recognise(blobs, "it")
    assert (found.library, found.classes) == ("Detectron", 2)
    tensors = found.to_ours(config.network, shapes, "it")
    plain = recognise(state, "it").to_ours(config.network, shapes, "it")
    for name in shapes:
        if not name.endswith(("mean", "variance")):
            np.testing.assert_array_equal(tensors[name], plain[name], err_msg=name)


def to_blob(name, arch):
    """Detectron's name of an entry of detectron2, the way back of the table above."""
    name = name.replace("backbone.bottom_up.", "").replace("roi_heads.res5", "res5").replace("backbone.", "")
    if name.startswith("fpn_"):
        kind, level, leaf = name[4], name.split(".")[0][-1], name[-1] if name.endswith("bias") else "w"
        last = {"2": 2, "3": 3, "4": 5, "5": 2}[level]
        inner = "inner_" if name.startswith("fpn_lateral") else ""
        lateral = "_lateral" if inner and level != "5" else ""
        return f"fpn_{inner}res{level}_{last}_sum{lateral}_{'b' if name.endswith('bias') else 'w'}" + ("" if kind else leaf)
    two = "_fpn2" if "fpn" in arch else ""
    for theirs, blob in {
        "stem.conv1.norm": "res_conv1_bn", "stem.conv1": "conv1", ".shortcut": ".branch1", ".conv1": ".branch2a",
        ".conv2": ".branch2b", ".conv3": ".branch2c", ".norm": "_bn", "proposal_generator.rpn_head.conv": f"conv_rpn{two}",
        "proposal_generator.rpn_head.objectness_logits": f"rpn_cls_logits{two}",
        "proposal_generator.rpn_head.anchor_deltas": f"rpn_bbox_pred{two}", "roi_heads.box_head.fc1": "fc6",
        "roi_heads.box_head.fc2": "fc7", "roi_heads.box_predictor.": "", "roi_heads.mask_head.mask_": "_[mask]_",
        "roi_heads.mask_head.deconv": "conv5_mask", "roi_heads.mask_head.predictor": "mask_fcn_logits",
    }.items():  # fmt: skip
        if not (theirs.startswith(".conv") and name.startswith(("conv", "res_conv"))):
            name = name.replace(theirs, blob)
    leaf = "s" if "_bn.weight" in name else "b" if name.endswith("bias") else "w"
    return name.rpartition(".")[0].replace(".", "_") + f"_{leaf}"


@pytest.mark.parametrize("arch", ["tv_r50_fpn", "tv_r50_fpn_v2", "d2_r50_fpn", "d2_r50_c4", "mm_r50_fpn"])
def test_a_thousand_mutations_are_refused_by_name_or_fit(arch):
    """Names that are lost, doubled or changed, other shapes and types: an error of ours, or a network that fits."""
    config, shapes, state = make_thin(arch)
    random, names, refused = np.random.default_rng(5), list(state), 0
    for _ in range(200):
        mutated = dict(state)
        for name in random.choice(names, random.integers(1, 4)):
            array = mutated.pop(name, None)
            if array is None:
                continue
            kind = random.integers(7)
            if kind == 1:
                mutated[name + ".more"] = array
            elif kind == 2:
                mutated[name] = array[..., None]
            elif kind == 3:
                mutated[name] = array.reshape(-1)[: random.integers(0, 3)]
            elif kind == 4:
                mutated[name] = array.astype(np.int64)
            elif kind == 5:
                mutated[name] = array.reshape(-1)[0]
            elif kind == 6:
                mutated[name] = np.full(array.shape, np.nan, np.float32)
        try:
            found = recognise(mutated, "it.pth").to_ours(config.network, shapes, "it.pth")
        except WeightsError as error:
            refused += 1
            assert str(error).startswith("it.pth: ") and len(str(error)) < 4000
        else:
            assert {name: tuple(tensor.shape) for name, tensor in found.items()} == shapes
    assert refused > 150


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("d2_zoo_protocol2.pkl", "no mask head"),
        ("d2_imagenet_heuristics.pkl", "a backbone alone"),
        ("caffe2_detectron1.pkl", "not those of a Mask R-CNN"),
        ("maskrcnn_benchmark.pth", "maskrcnn-benchmark"),
        ("mmdet3.pth", "not those of a Mask R-CNN"),
        ("tv_state_dict_zip.pth", "not those of a Mask R-CNN"),
    ],
)
def test_files_that_are_no_whole_network_are_refused_for_what_they_are(name, words):
    path = need_shared("golden", "elsewhere", "files", name)
    with pytest.raises(WeightsError, match=words):
        recognise(read_tensors(path).tensors, str(path))
