"""Models of other libraries' users become one file that predicts, is exported and trains on; each value has its source."""

import json
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import maskzoo
from elsewhere_files import MMDET, ROWS, THIN, make_thin, read_row_of, write_library_file
from library_files import to_paddle
from maskzoo.cli import main
from maskzoo.errors import ArgumentError, ConfigError, WeightsError
from maskzoo.model_file import dump_config
from maskzoo.weights.checkpoint import read_checkpoint
from maskzoo.weights.paddledetection import list_renames
from maskzoo.zoo.conversion import convert
from networks import make_photo, small_config, small_network
from pdparams_files import write_pdparams
from small_runs import write_data

SMALL = ("input.short_side=64", "input.long_side=96", "limits.detections.score=0.01")
SEVEN = ("classes={1: a, 2: b, 3: c, 4: d, 5: e, 6: f, 7: g}", *THIN[:3], "network.backbone.group_width=64")
CONFIG = """
_BASE_: base/Base-RCNN-FPN.yaml
MODEL: {MASK_ON: true, RESNETS: {DEPTH: 50, STRIDE_IN_1X1: false}, ROI_HEADS: {NUM_CLASSES: 3, SCORE_THRESH_TEST: 0.02}}
INPUT: {MIN_SIZE_TEST: 64, MAX_SIZE_TEST: 96}
"""
BASE = """
MODEL:
  BACKBONE: {NAME: build_resnet_fpn_backbone}
  ANCHOR_GENERATOR: {SIZES: [[32], [64], [128], [256], [512]]}
  RPN: {PRE_NMS_TOPK_TEST: 200, POST_NMS_TOPK_TEST: 60}
  ROI_HEADS: {NAME: StandardROIHeads}
  ROI_BOX_HEAD: {POOLER_RESOLUTION: 7}
"""


def tensors(state):
    return OrderedDict((name, torch.from_numpy(np.array(array))) for name, array in state.items())


def thin(arch, count, *overrides):
    classes = ", ".join(f"{number}: c{number}" for number in range(1, count + 1))
    return make_thin(arch, f"classes={{{classes}}}", *overrides)[2]


def save(path, content):
    torch.save(content, path)
    return path


@pytest.fixture
def detectron2(tmp_path):
    """A user's training of detectron2: three classes, with optimiser, scheduler and iteration."""
    scheduler = {"last_epoch": 5, "milestones": Counter({3: 1})}
    state = tensors(thin("d2_r50_fpn", 3))
    content = {"model": state, "optimizer": {"state": {}, "param_groups": []}, "scheduler": scheduler, "iteration": 4}
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "Base-RCNN-FPN.yaml").write_text(BASE)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return save(tmp_path / "model_final.pth", content)


@pytest.fixture
def torchvision(tmp_path):
    """What torchvision's tutorial leaves: two rows of scores, the background's and one class's."""
    return save(tmp_path / "mask_rcnn.pth", tensors(thin("tv_r50_fpn", 1)))


def add_counters(state):
    """What BatchNorm2d counts beside its statistics; frozen norms have none."""
    layers = [name.removesuffix("running_var") for name in state if name.endswith("running_var")]
    return {f"{layer}num_batches_tracked": np.zeros((), np.int64) for layer in layers}


def source_of(done, key):
    return next(choice.source for choice in done.choices if choice.key == key)


def notes_of(done):
    return " | ".join(done.notes)


def predict(path, tmp_path):
    prediction = maskzoo.load(path, overrides=["limits.detections.score=0.0"]).predict(make_photo(60, 90))
    assert len(prediction) and np.isfinite(prediction.boxes).all() and prediction.masks.rle()
    return prediction


def test_a_users_training_of_detectron2_predicts_with_its_config(detectron2, tmp_path):
    done = convert(detectron2, tmp_path / "mine.safetensors", config=tmp_path / "config.yaml", classes="cat,dog,hen")
    config = done.config
    assert (done.library, config.name, list(config.classes.values())) == ("detectron2", "model_final", ["cat", "dog", "hen"])
    assert not config.network.backbone.stride_in_1x1 and config.input.order == "bgr" and config.input.short_side == 64
    assert config.limits.proposals.before_nms == 200 and config.limits.detections.score == 0.02
    assert source_of(done, "network.backbone.stride_in_1x1") == "config.yaml: MODEL.RESNETS.STRIDE_IN_1X1"
    assert source_of(done, "network.backbone.width").startswith("file: backbone.bottom_up.stem.conv1.weight [8, 3, 7, 7]")
    assert source_of(done, "classes") == "--classes"
    prediction = predict(tmp_path / "mine.safetensors", tmp_path)
    assert set(prediction.names) <= {"cat", "dog", "hen"}
    stored = read_checkpoint(tmp_path / "mine.safetensors")
    choices = json.loads(stored.provenance["choices"])
    assert {"key": "input.order", "value": "bgr", "source": "default of detectron2: INPUT.FORMAT"} in choices
    assert stored.provenance["library"] == "detectron2" and stored.config == config


def test_without_a_config_detectron2s_defaults_are_taken_and_told(detectron2, tmp_path):
    done = convert(detectron2, tmp_path / "mine.safetensors", overrides=SMALL)
    assert done.config.network.backbone.stride_in_1x1 and list(done.config.classes.values())[-1] == "class 3"
    assert "no class names" in notes_of(done) and "does not say where blocks stride" in notes_of(done)
    assert source_of(done, "input.short_side") == "--set"
    assert source_of(done, "input.order") == "default of detectron2/mask_rcnn_R_50_FPN_3x"


def test_the_number_of_classes_of_a_config_must_be_that_of_the_weights(detectron2, tmp_path):
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("NUM_CLASSES: 3", "NUM_CLASSES: 80"))
    with pytest.raises(ConfigError, match="NUM_CLASSES is 80, and the weights have 3 classes"):
        convert(detectron2, tmp_path / "mine.safetensors", config=tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match="--classes has 2 class names"):
        convert(detectron2, tmp_path / "mine.safetensors", classes=["cat", "dog"])
    assert not (tmp_path / "mine.safetensors").exists()


def test_mean_and_deviation_in_a_detectron2_file_are_used(tmp_path):
    state = thin("d2_r50_fpn", 1)
    state |= {"pixel_mean": np.float32([10, 20, 30]).reshape(3, 1, 1), "pixel_std": np.float32([1, 2, 4]).reshape(3, 1, 1)}
    done = convert(save(tmp_path / "a.pth", {"model": tensors(state)}), tmp_path / "a.safetensors", overrides=SMALL)
    assert done.config.input.mean == pytest.approx((30 / 255, 20 / 255, 10 / 255))
    assert (
        done.config.input.std == pytest.approx((4 / 255, 2 / 255, 1 / 255))
        and source_of(done, "input.std") == "file: pixel_std"
    )
    assert sum(done.left_out.values()) == 2 and done.used == len(state) - 2


def test_long_trained_c4_and_dc5_networks_of_detectron2_are_converted(tmp_path):
    long = thin("d2_r50_fpn", 2, "network.box_head=4conv1fc", "network.norm=bn", "network.rpn_convs=2")
    for name, state in (("long", long), ("c4", thin("d2_r50_c4", 2)), ("dc5", thin("d2_r50_dc5", 2))):
        done = convert(save(tmp_path / f"{name}.pth", {"model": tensors(state)}), tmp_path / "a.safetensors", overrides=SMALL)
        assert done.used == len(state) and done.config.network.heads == ("fpn" if name == "long" else name)
        predict(tmp_path / "a.safetensors", tmp_path)


def test_torchvisions_tutorial_has_one_class_beside_the_background(torchvision, tmp_path):
    (tmp_path / "names.txt").write_text("__background__\nperson\n")
    sides = ["min_size=64", "max_size=96"]
    done = convert(torchvision, tmp_path / "mine.safetensors", classes=tmp_path / "names.txt", options=sides)
    assert done.config.classes == {1: "person"} and "background" in notes_of(done)
    assert done.config.network.backbone.epsilon == 1e-5 and "network.backbone.epsilon=0.0" in notes_of(done)
    assert "training of your own" in source_of(done, "network.backbone.epsilon")
    assert (done.config.input.short_side, source_of(done, "input.long_side")) == (64, "--option max_size")
    assert done.config.limits.detections.paste == "whole_pixels" and done.config.network.anchors.whole
    predict(tmp_path / "mine.safetensors", tmp_path)
    zero = convert(torchvision, tmp_path / "zero.safetensors", overrides=[*SMALL, "network.backbone.epsilon=0.0"])
    assert zero.config.network.backbone.epsilon == 0 and source_of(zero, "network.backbone.epsilon") == "--set"


def test_torchvisions_91_rows_with_frozen_norms_are_taken_for_the_published_ones_and_counted_ones_are_not(tmp_path):
    state = thin("tv_r50_fpn", 90)
    done = convert(save(tmp_path / "a.pth", tensors(state)), tmp_path / "a.safetensors", overrides=SMALL)
    assert done.config.network.backbone.epsilon == 0 and "COCO_V1" in source_of(done, "network.backbone.epsilon")
    assert done.config.classes[90] == "toothbrush" and done.config.classes[12] == "not used 12" and "COCO" in notes_of(done)
    counters = add_counters(state)
    done = convert(save(tmp_path / "b.pth", tensors(state | counters)), tmp_path / "b.safetensors", overrides=SMALL)
    assert (done.config.network.backbone.epsilon, done.config.network.backbone.norm) == (1e-5, "bn")
    assert done.left_out == {"counters of batch-norm, which only training needs": len(counters)}


def test_a_published_files_name_says_which_row_it_is(tmp_path):
    state = thin("tv_r50_fpn", 90)
    path = save(tmp_path / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", tensors(state))
    done = convert(path, tmp_path / "a.safetensors", overrides=SMALL)
    assert done.config.source.published is not None and done.config.network.backbone.epsilon == 0
    assert "as the file is called" in source_of(done, "input.mean")
    caffe = read_row_of("mm_r50_fpn_caffe").source.weights.rpartition("/")[2]
    path = save(tmp_path / caffe, {"state_dict": tensors(thin("mm_r50_fpn", 80))})
    done = convert(path, tmp_path / "a.safetensors", overrides=SMALL)
    assert done.config.network.backbone.stride_in_1x1 and done.config.input.order == "bgr"


def write_mmdetection(folder, style):
    """A user's training of mmdetection: two classes, with `meta` and averaged weights."""
    meta = {
        "cfg": MMDET.replace("STYLE", style),
        "dataset_meta": {"classes": ("cat", "dog"), "palette": [(1, 2, 3)]},
        "epoch": 12,
    }
    state = tensors(thin("mm_r50_fpn_caffe", 2))
    averaged = {"steps": torch.tensor(3), **{f"module.{name}": tensor for name, tensor in state.items()}}
    return save(folder / "epoch_12.pth", {"meta": meta, "state_dict": state, "ema_state_dict": averaged})


@pytest.fixture
def mmdetection(tmp_path):
    return write_mmdetection(tmp_path, "pytorch")


@pytest.mark.parametrize("style", ["caffe", "pytorch"])
def test_an_mmdetection_checkpoint_says_all_in_its_meta(style, tmp_path):
    path = write_mmdetection(tmp_path, style)
    done = convert(path, tmp_path / "mine.safetensors")
    assert list(done.config.classes.values()) == ["cat", "dog"]
    assert source_of(done, "classes") == "file: meta.dataset_meta.classes"
    assert done.config.network.backbone.stride_in_1x1 == (style == "caffe") and done.config.network.backbone.norm == "frozen"
    assert source_of(done, "network.backbone.stride_in_1x1") == "meta.cfg: model.backbone.style"
    assert done.config.input.order == "bgr" and "ema_state_dict" in notes_of(done)
    predict(tmp_path / "mine.safetensors", tmp_path)
    assert convert(path, tmp_path / "ema.safetensors", part="ema_state_dict").used == done.used
    with pytest.raises(WeightsError, match="has no weights under 'emma'"):
        convert(path, tmp_path / "ema.safetensors", part="emma")


def test_version_2_of_mmdetection_has_other_keys_in_meta(tmp_path):
    meta = {"config": MMDET.replace("STYLE", "caffe"), "CLASSES": ("cat", "dog"), "mmdet_version": "2.25.0"}
    path = save(tmp_path / "latest.pth", {"meta": meta, "state_dict": tensors(thin("mm_r50_fpn", 2))})
    done = convert(path, tmp_path / "mine.safetensors")
    assert source_of(done, "classes") == "file: meta.CLASSES" and done.config.network.backbone.stride_in_1x1


def test_mmdetection_without_meta_needs_its_style(tmp_path):
    path = save(tmp_path / "weights.pth", {"state_dict": tensors(thin("mm_r50_fpn", 2))})
    with pytest.raises(ConfigError, match="--style caffe or --style pytorch"):
        convert(path, tmp_path / "mine.safetensors")
    caffe = convert(path, tmp_path / "c.safetensors", style="caffe", classes="cat,dog", overrides=SMALL).config
    plain = convert(path, tmp_path / "p.safetensors", style="pytorch", classes="cat,dog", overrides=SMALL).config
    assert (caffe.network.backbone.stride_in_1x1, caffe.input.order) == (True, "bgr")
    assert (plain.network.backbone.stride_in_1x1, plain.input.order) == (False, "rgb")
    (tmp_path / "my.py").write_text(MMDET.replace("STYLE", "caffe") + "import os\nos.remove('x')\n")
    done = convert(path, tmp_path / "m.safetensors", config=tmp_path / "my.py", classes="cat,dog")
    assert source_of(done, "input.order").startswith("my.py: ") and done.config.network.backbone.stride_in_1x1


@pytest.fixture
def paddle(tmp_path):
    """A user's training of PaddleDetection with seven classes, its config over a base."""
    config = small_config("mask_rcnn_r50_fpn_1x_coco", *SEVEN)
    arrays = to_paddle(list_renames(config.network), small_network(config).state_dict())
    write_pdparams(tmp_path / "best_model.pdparams", arrays)
    (tmp_path / "base.yml").write_text(
        "architecture: MaskRCNN\nMaskRCNN: {backbone: ResNet, neck: FPN}\nResNet: {depth: 50}\nFPN: {out_channel: 16}\n"
        "RPNHead: {test_proposal: {pre_nms_top_n: 200, post_nms_top_n: 60}}\n"
        "BBoxHead: {head: TwoFCHead, roi_extractor: {resolution: 7, aligned: True}}\n"
        "MaskHead: {roi_extractor: {resolution: 14, aligned: True}}\nnum_classes: 80\n"
    )
    (tmp_path / "my.yml").write_text(
        "_BASE_: ['base.yml']\nnum_classes: 7\nTestReader:\n  sample_transforms:\n  - Decode: {}\n"
        "  - Resize: {target_size: [64, 160], keep_ratio: True, interp: 2}\n"
        "  batch_transforms: [PadBatch: {pad_to_stride: 32}]\n"
    )
    return tmp_path / "best_model.pdparams"


def test_a_paddledetection_config_with_a_base_and_seven_classes_predicts(paddle, tmp_path):
    names = ["a", "b", "c", "d", "e", "f", "g"]
    done = convert(paddle, tmp_path / "mine.safetensors", config=tmp_path / "my.yml", classes=names)
    assert (done.library, list(done.config.classes.values())) == ("PaddleDetection", names)
    assert (done.config.input.short_side, done.config.limits.proposals.before_nms) == (64, 200)
    assert done.config.network.backbone.width == 8 and done.config.input.resize == "one_factor"
    assert "input.resize=rounded" in notes_of(done)
    prediction = predict(tmp_path / "mine.safetensors", tmp_path)
    alone = convert(paddle, tmp_path / "alone.safetensors", overrides=["input.short_side=64", "input.long_side=160"])
    assert alone.config.network == done.config.network and len(prediction)


USERS = {
    "detectron2": {"config": "config.yaml", "classes": "cat,dog,hen"},
    "torchvision": {"classes": "a", "overrides": SMALL},
    "mmdetection": {},
    "paddle": {"config": "my.yml", "classes": "a,b,c,d,e,f,g"},
}


@pytest.mark.slow
@pytest.mark.parametrize("user", USERS)
def test_a_users_model_predicts_is_exported_and_trains_on(user, request, tmp_path):
    source, mine, options = request.getfixturevalue(user), tmp_path / "mine.safetensors", dict(USERS[user])
    if "config" in options:
        options["config"] = tmp_path / options["config"]
    config = convert(source, mine, **options).config
    predict(mine, tmp_path)
    exported = maskzoo.export(mine, tmp_path / "mine.onnx")
    assert set(maskzoo.load(exported.file).predict(make_photo(60, 90), score=0).names) <= set(config.classes.values())
    write_data(tmp_path / "data")
    overrides = [
        "training.short_sides=[64]",
        "training.long_side=96",
        "training.proposals.total=30",
        "training.images_per_batch=4",
    ]
    run = maskzoo.train(mine, tmp_path / "data", tmp_path / "run", source=mine, epochs=1, overrides=overrides)
    assert read_checkpoint(run.best_weights).config.input == config.input


def test_options_that_belong_to_another_library_are_refused(detectron2, torchvision, tmp_path):
    for source, options, words in (
        (detectron2, {"style": "caffe"}, "is for mmdetection's files"),
        (detectron2, {"options": ["min_size=3"]}, "are torchvision's"),
        (torchvision, {"config": tmp_path / "config.yaml"}, "torchvision has no configs"),
        (detectron2, {"config": tmp_path / "my.py"}, "expected a .yml or .yaml file"),
    ):
        with pytest.raises((ArgumentError, ConfigError), match=words):
            convert(source, tmp_path / "a.safetensors", **options)


def test_anchors_that_the_file_does_not_say_must_be_given(tmp_path):
    state = thin("d2_r50_fpn", 1, "network.anchors.ratios=[0.5, 1.0]")
    path = save(tmp_path / "a.pth", {"model": tensors(state)})
    with pytest.raises(ConfigError, match="2 anchors in each place, and the model file 3"):
        convert(path, tmp_path / "a.safetensors")
    done = convert(path, tmp_path / "a.safetensors", overrides=[*SMALL, "network.anchors.ratios=[0.5, 1.0]"])
    assert source_of(done, "network.anchors.ratios") == "--set"


def test_weights_that_compute_no_numbers_are_refused_and_nothing_is_written(torchvision, tmp_path):
    state = torch.load(torchvision)
    state["backbone.body.bn1.running_var"].zero_()
    state["backbone.body.conv1.weight"].zero_()
    state["backbone.body.bn1.running_mean"].zero_()  # 0 / 0
    path = save(tmp_path / "zero.pth", state)
    with pytest.raises(WeightsError, match="values that are not numbers, in its backbone"):
        convert(path, tmp_path / "a.safetensors", overrides=[*SMALL, "network.backbone.epsilon=0.0"])
    assert not (tmp_path / "a.safetensors").exists()


def test_the_file_itself_is_never_written_over(tmp_path):
    save_file(dict(tensors(thin("tv_r50_fpn", 1))), tmp_path / "tv.safetensors")
    with pytest.raises(WeightsError, match="another name"):
        convert(tmp_path / "tv.safetensors", tmp_path / "tv.safetensors")
    assert convert(tmp_path / "tv.safetensors", tmp_path / "ours.safetensors", overrides=SMALL).library == "torchvision"


@pytest.mark.parametrize("arch", [arch for arch in ROWS if "x4d" not in arch])  # thin ones have groups without a channel
def test_without_a_config_a_librarys_network_has_the_rules_of_its_published_row(arch, tmp_path):
    row, _, state = make_thin(arch, "network.backbone.epsilon=1.0e-5")
    style = ("caffe" if arch.endswith("caffe") else "pytorch") if arch.startswith("mm_") else None
    counters = add_counters(state) if row.network.backbone.norm != "frozen" else {}
    path = write_library_file(tmp_path, arch, state | counters)
    done = convert(path, tmp_path / "a.safetensors", style=style, overrides=THIN[-2:])
    assert done.config.network == row.network.model_copy(update={"box_features": done.config.network.box_features})
    assert (done.config.input, done.config.limits) == (row.input, row.limits)
    assert (done.used, sum(done.left_out.values())) == (len(state), len(counters))


@pytest.mark.parametrize(("arch", "style"), [("tv_r50_fpn", None), ("d2_r50_fpn", None), ("mm_r50_fpn_caffe", "caffe")])
def test_shallow_networks_have_no_1x1_to_stride_in(arch, style, tmp_path):
    state = make_thin(arch, "network.backbone.depth=18", "network.backbone.stride_in_1x1=false")[2]
    done = convert(write_library_file(tmp_path, arch, state), tmp_path / "a.safetensors", style=style, overrides=THIN[-2:])
    assert done.config.network.backbone.depth == 18 and not done.config.network.backbone.stride_in_1x1


def test_mmdetections_32x8d_reads_bgr_though_its_style_is_pytorchs(tmp_path):
    shape = ("network.backbone.groups=32", "network.backbone.group_width=8", "network.backbone.depth=101")
    path = write_library_file(tmp_path, "mm_r50_fpn", make_thin("mm_r50_fpn", *shape)[2])
    config = convert(path, tmp_path / "a.safetensors", style="pytorch", overrides=THIN[-2:]).config
    assert (config.input.order, config.network.backbone.stride_in_1x1) == ("bgr", False)
    assert config.input.std == pytest.approx((0.229, 0.224, 0.225))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return end.value.code, out, err


def test_the_command_line_prints_each_value_with_its_source_and_every_count(detectron2, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    options = ["--config", tmp_path / "config.yaml", "--classes", "cat,dog,hen"]
    code, out, _ = run(capsys, "convert", detectron2, tmp_path / "mine.safetensors", *options)
    assert code == 0 and "order bgr" in out and "config.yaml: MODEL.RESNETS.STRIDE_IN_1X1" in out
    assert "Classes: cat, dog, hen" in out and "307 tensors of detectron2's file used" in out and len(out.splitlines()) < 60
    code, out, _ = run(capsys, "convert", detectron2, tmp_path / "mine.safetensors", "--json", "--set", "input.short_side=64")
    told = json.loads(out)
    assert code == 0 and told["used"] == 307 and {"key": "input.short_side", "value": 64, "source": "--set"} in told["choices"]


def test_a_model_that_was_not_converted_is_refused_with_the_command_that_does_it(detectron2, tmp_path, capsys):
    Image.fromarray(make_photo(60, 90)).save(tmp_path / "photo.png")
    code, _, err = run(capsys, "predict", detectron2, tmp_path / "photo.png")
    assert code == 1 and f"maskzoo convert {detectron2} model_final.safetensors" in err


def test_a_bare_file_of_the_library_is_converted_as_it_was_written(tmp_path):
    path = write_library_file(tmp_path, "d2_r50_fpn", thin("d2_r50_fpn", 2))
    assert convert(path, tmp_path / "a.safetensors", overrides=SMALL).library == "detectron2"


def test_a_model_file_says_all_and_may_have_other_class_names(detectron2, tmp_path):
    first = convert(detectron2, tmp_path / "first.safetensors", overrides=SMALL)
    (tmp_path / "my.yml").write_text(dump_config(first.config))
    done = convert(detectron2, tmp_path / "a.safetensors", tmp_path / "my.yml", classes="cat,dog,hen")
    assert list(done.config.classes.values()) == ["cat", "dog", "hen"] and done.config.network == first.config.network
    assert source_of(done, "input.order") == str(tmp_path / "my.yml")
    with pytest.raises(ArgumentError, match="says all of the network"):
        convert(detectron2, tmp_path / "a.safetensors", tmp_path / "my.yml", config=tmp_path / "config.yaml")
    with pytest.raises(WeightsError, match="is a model of maskzoo already"):
        convert(tmp_path / "first.safetensors", tmp_path / "b.safetensors")


def test_a_file_under_a_published_name_that_is_another_file_is_told(tmp_path):
    path = save(tmp_path / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", tensors(thin("tv_r50_fpn", 90)))
    assert "SHA-256 does not begin with bf2d0c1e" in notes_of(convert(path, tmp_path / "a.safetensors", overrides=SMALL))
