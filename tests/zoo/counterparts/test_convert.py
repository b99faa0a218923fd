"""The way back: a library's own file becomes ours, and that becomes the same file again, bit by bit."""

import ast
import re

import numpy as np
import pytest
import torch
import yaml

from elsewhere_files import read_row_of, rule_value, write_library_file
from maskzoo.errors import ConfigError, WeightsError
from maskzoo.models.build import build
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.weights.foreign import read_tensors
from maskzoo.weights.libraries import list_library_renames, to_ours
from maskzoo.weights.paddledetection import list_renames
from maskzoo.weights.pdparams import read_pdparams
from maskzoo.weights.rename import rename
from maskzoo.zoo.conversion import convert
from maskzoo.zoo.counterparts.convert import SUFFIXES, convert_to, write_counterpart
from maskzoo.zoo.load import build_empty, list_shapes
from maskzoo.zoo.rows import read_row

LIBRARIES = {"tv": "torchvision", "d2": "detectron2", "mm": "mmdetection"}
THIN = ("network.backbone.width=8", "network.channels=16", "network.box_features=32", "classes={1: cat, 7: dog}")
LONG_TRAINED = ("network.box_head=4conv1fc", "network.norm=sync_bn", "network.rpn_convs=2", "network.backbone.norm=sync_bn")
CASES = {
    "torchvision": ("tv_r50_fpn", THIN[1:]),  # its stem has one width
    "torchvision v2": ("tv_r50_fpn_v2", THIN[1:]),
    "detectron2": ("d2_r50_fpn", THIN),
    "detectron2 R101": ("d2_r101_fpn", THIN),
    "detectron2 X101": ("d2_x101_32x8d_fpn", THIN),
    "detectron2 C4": ("d2_r50_c4", THIN),
    "detectron2 long": ("d2_r50_fpn", (*THIN, *LONG_TRAINED)),
    "mmdetection": ("mm_r50_fpn", THIN),
    "mmdetection caffe": ("mm_r50_fpn_caffe", THIN),
    "mmdetection long": ("mm_r50_fpn", (*THIN, *LONG_TRAINED)),
}
ZEROS = ("box_predictor.bbox_pred", "mask_fcn_logits")  # torchvision's rows of the background


def make_state(arch, config):
    """Return a library's state dict for a network, as rule-made numbers, with the counters of norms that learn."""
    shapes, state = list_shapes(build_empty(config)), {}
    for line in list_library_renames(LIBRARIES[arch[:2]], config.network, "it"):
        shape = list(shapes[line.ours])
        shape[0] += {"BACKGROUND_BOX": 4, "BACKGROUND_MASK": 1}.get(line.layout.name, 0)
        state[line.theirs] = rule_value(arch, line.theirs, tuple(shape), "seed")
    learns = arch.startswith("mm") or config.network.backbone.norm != "frozen"
    for name in [name for name in state if name.endswith("running_var")] if learns else []:
        state[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    return shapes, state


@pytest.mark.parametrize("case", CASES)
def test_a_librarys_file_comes_back_bit_by_bit(case, tmp_path):
    arch, overrides = CASES[case]
    config, library = read_row_of(arch, *overrides), LIBRARIES[arch[:2]]
    shapes, state = make_state(arch, config)
    tensors = to_ours(read_tensors(write_library_file(tmp_path, arch, state)).tensors, config.network, shapes, "it")
    for suffix in SUFFIXES[library]:
        written = write_counterpart(tensors, config, tmp_path / f"back{suffix}", library, "it")
        found = read_tensors(written.weights)
        assert found.tensors.keys() == state.keys() and written.tensors == len(state)
        for name, array in state.items():
            back = found.tensors[name]
            if library == "torchvision" and name.rpartition(".")[0].endswith(ZEROS):
                rows = len(back) - {"bbox_pred": 8, "mask_fcn_logits": 2}[name.split(".")[-2]]
                assert not back[:rows].any()
                back, array = back[rows:], array[rows:]
            assert back.shape == array.shape and back.tobytes() == array.tobytes(), name
        again = to_ours(found.tensors, config.network, shapes, "it")
        assert all(torch.equal(again[name], tensors[name]) for name in shapes)
    assert written.settings.is_file() and written.differences == ()  # it is the library's own model


@pytest.mark.parametrize("row", ["mask_rcnn_r50_fpn_1x_coco", "mask_rcnn_r101_vd_fpn_1x_coco", "mask_rcnn_r50_1x_coco"])
def test_paddledetections_file_comes_back_bit_by_bit(row, tmp_path):
    config = read_row(row, ("network.channels=16", "network.box_features=32", "classes={1: cat, 7: dog}"))
    torch.manual_seed(0)
    tensors = build(config.network, 2, config.limits).state_dict()
    written = write_counterpart(tensors, config, tmp_path / "back.pdparams", "paddledetection", "it")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    again = rename(read_pdparams(written.weights), list_renames(config.network), shapes, "it")
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())
    settings = yaml.safe_load(written.settings.read_text())
    assert settings["num_classes"] == 2 and settings["ResNet"]["variant"] == ("d" if "vd" in row else "b")
    assert written.differences == (
        "input.resize is one_factor; PaddleDetection resizes so until 2.6.0, and from 2.6.1 on as rounded",
    )


def write_thin(path, arch, *overrides):
    config = read_row_of(arch, *THIN, *overrides)
    torch.manual_seed(0)
    write_checkpoint(path, build(config.network, 2, config.limits).state_dict(), config, {})
    return config


def test_detectron2s_config_says_what_the_model_file_says(tmp_path):
    write_thin(tmp_path / "mine.safetensors", "d2_r50_fpn", "limits.detections.score=0.3", "input.short_side=320")
    written = convert_to(tmp_path / "mine.safetensors", tmp_path / "mine.pkl", "detectron2")
    assert written.to_dict() == {
        "weights": str(tmp_path / "mine.pkl"),
        "settings": str(tmp_path / "mine.yaml"),
        "library": "detectron2",
        "tensors": written.tensors,
        "differences": [],
    }
    text = written.settings.read_text()
    config = yaml.safe_load(text)
    assert text.startswith("# Classes, by label: cat, dog\n")
    assert config["MODEL"]["WEIGHTS"] == "mine.pkl" and config["MODEL"]["ROI_HEADS"]["SCORE_THRESH_TEST"] == 0.3
    assert config["MODEL"]["PIXEL_MEAN"] == [103.53, 116.28, 123.675] and config["MODEL"]["PIXEL_STD"] == [1.0, 1.0, 1.0]
    assert config["MODEL"]["RESNETS"]["STRIDE_IN_1X1"] is True and config["INPUT"]["MIN_SIZE_TEST"] == 320


def test_mmdetections_file_knows_its_classes_and_its_config(tmp_path):
    write_thin(tmp_path / "mine.safetensors", "mm_r50_fpn_caffe")
    written = convert_to(tmp_path / "mine.safetensors", tmp_path / "mine.pth", "mmdetection")
    meta = torch.load(written.weights, weights_only=True)["meta"]
    assert meta["dataset_meta"]["classes"] == ("cat", "dog") and meta["cfg"] == written.settings.read_text()
    values = {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(meta["cfg"]).body}
    assert values["model"]["backbone"]["style"] == "caffe" and values["load_from"] == "mine.pth"
    assert values["model"]["data_preprocessor"]["bgr_to_rgb"] is False
    assert values["model"]["roi_head"]["bbox_head"]["num_classes"] == 2


@pytest.mark.parametrize(
    ("arch", "library"),
    [
        ("tv_r50_fpn_v2", "torchvision"),
        pytest.param("d2_r50_c4", "detectron2", marks=pytest.mark.slow),
        pytest.param("d2_x101_32x8d_fpn", "detectron2", marks=pytest.mark.slow),
        ("d2_r50_fpn", "detectron2"),
        ("mm_r50_fpn_caffe", "mmdetection"),
        ("mask_rcnn_r50_fpn_1x_coco", "paddledetection"),
    ],
)
def test_what_goes_back_comes_home_as_the_same_model(arch, library, tmp_path):
    changes = (*THIN[1:2], THIN[3], "limits.detections.score=0.4", "limits.proposals.iou=0.6", "input.short_side=600")
    config = read_row(arch, changes) if arch.startswith("mask") else read_row_of(arch, *changes)
    shapes = list_shapes(build_empty(config)).items()
    tensors = {name: (torch.ones if "var" in name else torch.zeros)(shape) for name, shape in shapes}
    written = write_counterpart(tensors, config, tmp_path / f"back{SUFFIXES[library][0]}", library, "it")
    given = {} if library == "torchvision" else {"config": written.settings}
    said = ["box_score_thresh=0.4", "rpn_nms_thresh=0.6", "min_size=600"] if library == "torchvision" else []
    names = None if library == "mmdetection" else ["cat", "dog"]
    home = convert(written.weights, tmp_path / "home.safetensors", classes=names, options=said, **given)
    found, expected = (one.model_dump(include={"input", "limits"}) for one in (home.config, config))
    expected["input"] |= {key: pytest.approx(expected["input"][key]) for key in ("mean", "std")}  # as grey levels: nine digits
    assert found == expected
    frozen = {"frozen": home.config.network.backbone.frozen, "norm": home.config.network.backbone.norm}
    wanted = config.network.model_copy(update={"backbone": config.network.backbone.model_copy(update=frozen)})
    assert home.config.network == wanted
    assert list(home.config.classes.values()) == ["cat", "dog"]


def test_rules_that_a_library_does_not_have_are_told_and_stand_in_its_settings(tmp_path):
    rules = ("input.resize=rounded", "network.backbone.epsilon=0.001", "limits.detections.paste=whole_pixels")
    write_thin(tmp_path / "mine.safetensors", "d2_r50_fpn", *rules, "limits.proposals.after_nms=500")
    written = convert_to(tmp_path / "mine.safetensors", tmp_path / "mine.pth", "detectron2")
    assert written.differences == (
        "input.resize is rounded; detectron2 has pillow",
        "network.backbone.epsilon is 0.001; detectron2 has 1e-05",
        "limits.detections.paste is whole_pixels; detectron2 has sampled",
        "limits.proposals.after_nms is 500; detectron2 has no limit for a level",
    )
    assert re.findall("# Differs: (.*)", written.settings.read_text()) == list(written.differences)


@pytest.mark.parametrize(
    ("arch", "overrides", "library", "words"),
    [
        ("d2_r50_c4", (), "torchvision", "network.heads is c4, expected fpn"),
        ("d2_r50_c4", (), "mmdetection", "network.heads is c4, expected fpn"),
        ("d2_r50_fpn", (), "torchvision", "stride_in_1x1 is True, expected False; input.order is bgr, expected rgb"),
        ("mm_r50_fpn", (), "torchvision", "network.backbone.width is 8, expected 64"),
        (
            "mm_r50_fpn",
            LONG_TRAINED,
            "paddledetection",
            "box_head is 4conv1fc, expected 2fc; network.rpn_convs is 2, expected 1",
        ),
        ("mm_r50_fpn", ("network.backbone.variant=d",), "detectron2", "network.backbone.variant is d, expected b"),
        ("mm_r50_fpn", ("network.norm=gn",), "detectron2", "network.norm is gn, expected none or bn or sync_bn"),
        (
            "mm_r50_fpn",
            ("network.anchors.sizes=[[32, 48], [64, 90], [128, 180], [256, 360], [512, 720]]",),
            "mmdetection",
            "the same scales",
        ),
    ],
)
def test_a_network_that_a_library_does_not_have_is_refused_and_nothing_is_written(arch, overrides, library, words, tmp_path):
    config = read_row_of(arch, *THIN, *overrides)
    shapes = list_shapes(build_empty(config))
    tensors = {name: torch.zeros(shape) for name, shape in shapes.items()}
    with pytest.raises(WeightsError, match=words):
        write_counterpart(tensors, config, tmp_path / f"it{SUFFIXES[library][0]}", library, "mine.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_and_an_unknown_library_are_refused(tmp_path):
    write_thin(tmp_path / "mine.safetensors", "d2_r50_fpn")
    with pytest.raises(WeightsError, match=r"detectron2 reads files whose names end in \.pkl or \.pth"):
        convert_to(tmp_path / "mine.safetensors", tmp_path / "mine.pdparams", "detectron2")
    with pytest.raises(ConfigError, match=r"no way back to 'torchvison'; .* did you mean torchvision\?"):
        convert_to(tmp_path / "mine.safetensors", tmp_path / "mine.pth", "torchvison")
