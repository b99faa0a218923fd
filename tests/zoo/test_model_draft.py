"""Configs of detectron2, mmdetection and PaddleDetection, and torchvision's arguments, become model files, value by value."""

import pytest

from elsewhere_files import read_row_of
from maskzoo.errors import ConfigError
from maskzoo.zoo.choices import Draft, Settings
from maskzoo.zoo.detectron2_config import translate_detectron2
from maskzoo.zoo.mmdetection_config import find_classes, translate_mmdetection
from maskzoo.zoo.paddledetection_config import translate_paddledetection
from maskzoo.zoo.rows import read_row
from maskzoo.zoo.toolkit_configs import parse_python_config, read_yaml_config
from maskzoo.zoo.torchvision_options import translate_torchvision

DETECTRON2 = """
MODEL:
  META_ARCHITECTURE: GeneralizedRCNN
  MASK_ON: true
  BACKBONE: {NAME: build_resnet_fpn_backbone, FREEZE_AT: 0}
  RESNETS: {DEPTH: 50, NORM: SyncBN, STRIDE_IN_1X1: false, OUT_FEATURES: [res2, res3, res4, res5]}
  FPN: {IN_FEATURES: [res2, res3, res4, res5], NORM: ''}
  ANCHOR_GENERATOR: {SIZES: [[16], [32], [64], [128], [256]], ASPECT_RATIOS: [[0.5, 1.0, 2.0]]}
  RPN: {IN_FEATURES: [p2, p3, p4, p5, p6], PRE_NMS_TOPK_TEST: 700, POST_NMS_TOPK_TEST: 600, NMS_THRESH: 0.6}
  ROI_HEADS: {NAME: StandardROIHeads, NUM_CLASSES: 80, SCORE_THRESH_TEST: 0.3, NMS_THRESH_TEST: 0.4}
  ROI_BOX_HEAD: {NAME: FastRCNNConvFCHead, NUM_FC: 2, POOLER_RESOLUTION: 7, POOLER_TYPE: ROIAlign, POOLER_SAMPLING_RATIO: 2}
  ROI_MASK_HEAD: {NUM_CONV: 4, POOLER_RESOLUTION: 14, POOLER_TYPE: ROIAlign, POOLER_SAMPLING_RATIO: 2}
  PIXEL_MEAN: [123.675, 116.28, 103.53]
  PIXEL_STD: [58.395, 57.12, 57.375]
INPUT: {FORMAT: RGB, MIN_SIZE_TEST: 480, MAX_SIZE_TEST: 640, MIN_SIZE_TRAIN: "(400, 480)"}
TEST: {DETECTIONS_PER_IMAGE: 50}
SOLVER: {BASE_LR: 2.5e-4, IMS_PER_BATCH: 2, STEPS: (1000,), MAX_ITER: 3000}
DATASETS: {TRAIN: "('balloon_train',)"}
"""
MMDETECTION = """
model = dict(
    type='MaskRCNN',
    backbone=dict(type='ResNet', depth=50, num_stages=4, out_indices=(0, 1, 2, 3), frozen_stages=0,
                  norm_cfg=dict(type='BN', requires_grad=True), norm_eval=True, style='caffe'),
    neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=5),
    rpn_head=dict(
        type='RPNHead',
        anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0, .0, .0, .0], target_stds=[1.0, 1.0, 1.0, 1.0])),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
                                out_channels=256, featmap_strides=[4, 8, 16, 32]),
        bbox_head=dict(type='Shared2FCBBoxHead', num_classes=80, bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[0., 0., 0., 0.], target_stds=[0.1, 0.1, 0.2, 0.2])),
        mask_roi_extractor=dict(type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
                                out_channels=256, featmap_strides=[4, 8, 16, 32]),
        mask_head=dict(type='FCNMaskHead', num_convs=4, num_classes=80)),
    test_cfg=dict(
        rpn=dict(nms_pre=900, max_per_img=800, nms=dict(type='nms', iou_threshold=0.65), min_bbox_size=0),
        rcnn=dict(score_thr=0.1, nms=dict(type='nms', iou_threshold=0.45), max_per_img=40, mask_thr_binary=0.4)))
"""
VERSION_2 = """
img_norm_cfg = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], to_rgb=False)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(640, 480), flip=False, transforms=[
        dict(type='Resize', keep_ratio=True), dict(type='Normalize', **img_norm_cfg), dict(type='Pad', size_divisor=32)])]
"""
VERSION_3 = """
model = dict(data_preprocessor=dict(type='DetDataPreprocessor', mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0],
             bgr_to_rgb=False, pad_mask=True, pad_size_divisor=32))
test_pipeline = [dict(type='Resize', scale=(640, 480), keep_ratio=True)]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
"""
PADDLE = """
architecture: MaskRCNN
MaskRCNN: {backbone: ResNet, neck: FPN, rpn_head: RPNHead}
ResNet: {depth: 50, norm_type: bn, freeze_at: 0, return_idx: [0, 1, 2, 3], num_stages: 4}
FPN: {out_channel: 256}
RPNHead:
  anchor_generator: {aspect_ratios: [0.5, 1.0], anchor_sizes: [[16], [32], [64], [128], [256]], strides: [4, 8, 16, 32, 64]}
  train_proposal: {min_size: 0.0, nms_thresh: 0.7, pre_nms_top_n: 2000, post_nms_top_n: 1000, topk_after_collect: True}
  test_proposal: {min_size: 0.0, nms_thresh: 0.65, pre_nms_top_n: 900, post_nms_top_n: 800}
BBoxHead: {head: TwoFCHead, roi_extractor: {resolution: 7, sampling_ratio: 0, aligned: True}}
MaskHead: {head: MaskFeat, roi_extractor: {resolution: 14, sampling_ratio: 0, aligned: True}}
MaskFeat: {num_convs: 4, out_channel: 256}
BBoxPostProcess: {decode: RCNNBox, nms: {name: MultiClassNMS, keep_top_k: 30, score_threshold: 0.2, nms_threshold: 0.45}}
TestReader:
  sample_transforms:
  - Decode: {}
  - Resize: {interp: 2, target_size: [480, 640], keep_ratio: True}
  - NormalizeImage: {is_scale: true, mean: [0.4, 0.5, 0.6], std: [0.2, 0.2, 0.2]}
  batch_transforms:
  - PadBatch: {pad_to_stride: 32}
LearningRate:
  base_lr: 0.005
  schedulers:
  - !PiecewiseDecay {gamma: 0.2, milestones: [5, 6]}
  - !LinearWarmup {start_factor: 0.01, steps: 200}
epoch: 7
num_classes: 80
use_gpu: true
"""


def draft_of(arch):
    return Draft(read_row_of(arch), "the row")


def translate_yaml(tmp_path, text, draft, translate=translate_detectron2):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    translate(read_yaml_config(path), path.name, draft)
    return draft.finish("it", ())


def test_detectron2s_config_becomes_a_model_file(tmp_path):
    draft = draft_of("d2_r50_fpn")
    config = translate_yaml(tmp_path, DETECTRON2, draft)
    network, limits = config.network, config.limits
    assert (network.backbone.stride_in_1x1, network.backbone.norm, network.backbone.frozen) == (False, "sync_bn", ())
    assert network.anchors.sizes == ((16,), (32,), (64,), (128,), (256,))
    assert (network.roi_align.aligned, network.roi_align.samples) == (False, 2)
    assert (config.input.order, config.input.short_side, config.input.long_side) == ("rgb", 480, 640)
    assert config.input.mean == pytest.approx((0.485, 0.456, 0.406)) and config.input.std[0] == pytest.approx(0.229)
    assert (limits.proposals.before_nms, limits.proposals.total, limits.proposals.iou) == (700, 600, 0.6)
    assert (limits.detections.score, limits.detections.iou, limits.detections.total) == (0.3, 0.4, 50)
    assert config.training.short_sides == (400, 480) and config.training.learning_rate == 2.5e-4
    sources = {choice.key: choice.source for choice in draft.list_choices(config)}
    assert sources["input.order"] == "config.yaml: INPUT.FORMAT" and sources["input.resize"] == "the row"
    assert sources["training"] == "config.yaml: INPUT.MIN_SIZE_TRAIN"
    assert "SOLVER.MAX_ITER" in draft.notes[-1] and "DATASETS" in draft.notes[-1]


def test_what_detectron2s_config_leaves_out_is_detectron2s_default_and_not_the_rows(tmp_path):
    text = "MODEL: {MASK_ON: true, BACKBONE: {NAME: build_resnet_fpn_backbone}, ROI_HEADS: {NAME: StandardROIHeads}, "
    draft = draft_of("d2_r50_fpn")
    config = translate_yaml(tmp_path, f"{text}ROI_BOX_HEAD: {{POOLER_RESOLUTION: 7}}}}\n", draft)
    assert config.limits.proposals.before_nms == 6000
    assert draft.sources["limits.proposals.before_nms"] == "default of detectron2: MODEL.RPN.PRE_NMS_TOPK_TEST"
    assert config.network.anchors.sizes == ((32, 64, 128, 256, 512),) * 5


DC5_CONFIG = """
MODEL:
  MASK_ON: true
  RESNETS: {OUT_FEATURES: [res5], RES5_DILATION: 2}
  RPN: {IN_FEATURES: [res5], PRE_NMS_TOPK_TEST: 5000}
  ROI_HEADS: {NAME: StandardROIHeads, IN_FEATURES: [res5]}
  ROI_BOX_HEAD: {NUM_FC: 2, POOLER_RESOLUTION: 7}
  ROI_MASK_HEAD: {NUM_CONV: 4, POOLER_RESOLUTION: 14}
"""


def test_detectron2s_config_of_a_dilated_network_becomes_a_model_file(tmp_path):
    config = translate_yaml(tmp_path, DC5_CONFIG, draft_of("d2_r50_dc5"))
    assert (config.network.heads, config.limits.proposals.before_nms) == ("dc5", 5000)
    assert config.network.anchors.sizes == ((32, 64, 128, 256, 512),)
    for change in (("RES5_DILATION: 2", "RES5_DILATION: 1"), ("StandardROIHeads", "Res5ROIHeads")):
        with pytest.raises(ConfigError, match=change[1].replace(": ", " is ")):
            translate_yaml(tmp_path, DC5_CONFIG.replace(*change), draft_of("d2_r50_dc5"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("MASK_ON: true", "MASK_ON: false"), "MODEL.MASK_ON is False"),
        (("StandardROIHeads", "CascadeROIHeads"), "CascadeROIHeads"),
        (("GeneralizedRCNN", "PanopticFPN"), "PanopticFPN"),
        (("build_resnet_fpn_backbone", "build_regnet_fpn_backbone"), "build_regnet_fpn_backbone"),
        (("NORM: SyncBN", "NORM: GN"), "MODEL.RESNETS.NORM is 'GN'"),
        (("DEPTH: 50", "DEPTH: fifty"), "expected a whole number"),
        (("NUM_CLASSES: 80", "NUM_CLASSES: 3"), "NUM_CLASSES is 3, and the weights have 80 classes"),
        (("NUM_CONV: 4, POOLER_RESOLUTION: 14, POOLER_TYPE: ROIAlign,", "POOLER_TYPE: ROIAlignV2,"), "pooled differently"),
        (("MIN_SIZE_TEST: 480", "MIN_SIZE_TEST: 0"), "MIN_SIZE_TEST is 0"),
        (("PIXEL_STD: [58.395, 57.12, 57.375]", "PIXEL_STD: [1.0]"), "PIXEL_STD has 1 values"),
        (("INPUT: {FORMAT: RGB", "INPUT: {FORMAT: YUV-BT.601"), "YUV"),
        (("SIZES: [[16], [32], [64], [128], [256]]", "SIZES: []"), "SIZES is"),
        (("DEPTH: 50", "DEPTH: 50, DEFORM_ON_PER_STAGE: [false, true, true, true]"), "DEFORM_ON_PER_STAGE"),
        (("IN_FEATURES: [p2, p3, p4, p5, p6]", "IN_FEATURES: [p3, p4, p5, p6, p7]"), "MODEL.RPN.IN_FEATURES"),
        (("DEPTH: 50", "DEPTH: 50, RES5_DILATION: 2"), "RES5_DILATION is 2"),
    ],
)
def test_what_detectron2s_config_asks_for_and_is_not_computed_is_refused(tmp_path, change, words):
    assert change[0] in DETECTRON2
    with pytest.raises(ConfigError, match=words):
        translate_yaml(tmp_path, DETECTRON2.replace(*change), draft_of("d2_r50_fpn"))


def test_a_config_that_contradicts_the_weights_is_refused(tmp_path):
    draft = draft_of("d2_r50_fpn")
    draft.set("network.backbone.depth", 101, "file: 3, 4, 23, 3 blocks a stage")
    with pytest.raises(ConfigError, match=r"MODEL.RESNETS.DEPTH is 50, and the weights have 101 \(file: 3, 4, 23, 3 blocks"):
        translate_yaml(tmp_path, DETECTRON2, draft)


def test_lazy_configs_of_detectron2_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="LazyConfig"):
        translate_yaml(tmp_path, "model: {_target_: detectron2.modeling.GeneralizedRCNN}\n", draft_of("d2_r50_fpn"))


def merge(first, second):
    values = parse_python_config(first, "my.py")
    more = parse_python_config(second, "my.py")
    values["model"] |= more.pop("model", {})
    return values | more


@pytest.mark.parametrize("more", [VERSION_2, VERSION_3], ids=["version 2", "version 3"])
def test_mmdetections_config_becomes_a_model_file(more):
    draft = draft_of("mm_r50_fpn")
    translate_mmdetection(merge(MMDETECTION, more), "meta.cfg", draft)
    config = draft.finish("it", ())
    network, limits = config.network, config.limits
    assert (network.backbone.stride_in_1x1, network.backbone.norm, network.backbone.frozen) == (True, "bn", ("stem",))
    assert network.anchors.sizes == ((16,), (32,), (64,), (128,), (256,)) and network.roi_align.aligned
    assert (config.input.order, config.input.short_side, config.input.long_side) == ("bgr", 480, 640)
    assert config.input.canvas_multiple == 32 and config.input.resize == "opencv"
    assert config.input.mean == pytest.approx((0.485, 0.456, 0.406)) and config.input.std == pytest.approx((1 / 255,) * 3)
    assert (limits.proposals.before_nms, limits.proposals.after_nms, limits.proposals.iou) == (900, 800, 0.65)
    assert (limits.detections.total, limits.detections.mask_threshold) == (40, 0.4)
    assert draft.sources["limits.detections.score"] == "meta.cfg: test_cfg.rcnn.score_thr"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("type='MaskRCNN'", "type='MaskScoringRCNN'"), "MaskScoringRCNN"),
        (("type='ResNet'", "type='Res2Net'"), "Res2Net"),
        (("style='caffe'", "style='caffe', dcn=dict(type='DCN'), stage_with_dcn=(False, True, True, True)"), "stage_with_dcn"),
        (("style='caffe'", "style='caffe', plugins=[dict(cfg=dict(type='ContextBlock'))]"), "plugins"),
        (("type='nms', iou_threshold=0.45", "type='soft_nms', iou_threshold=0.45"), "soft_nms"),
        (("num_classes=80, bbox_coder", "num_classes=3, bbox_coder"), "num_classes is 3, and the weights have 80"),
        (("type='FPN'", "type='PAFPN'"), "PAFPN"),
        (("'StandardRoIHead'", "'CascadeRoIHead'"), "CascadeRoIHead"),
        (("depth=50", "depth=int('50')"), r"my\.py, line 4: int\('50'\); expected a plain value"),
        (
            (
                "sampling_ratio=0),\n                                out",
                "sampling_ratio=2),\n                                out",
            ),
            "pooled",
        ),
        (("target_stds=[0.1, 0.1, 0.2, 0.2]", "target_stds=[0.1, 0.1, 0.1, 0.1]"), "target_stds"),
        (("scales=[4]", "scales=[4, 8]"), "scale_major is True"),
        (("score_thr=0.1", "score_thr='a'"), "expected a number"),
        (("nms_pre=900, ", ""), "test_cfg.rpn.nms_pre is missing"),
    ],
)
def test_what_mmdetections_config_asks_for_and_is_not_computed_is_refused(change, words):
    assert change[0] in MMDETECTION
    with pytest.raises(ConfigError, match=words):
        translate_mmdetection(merge(MMDETECTION.replace(*change, 1), VERSION_3), "my.py", draft_of("mm_r50_fpn"))


@pytest.mark.parametrize(
    "text", ["with read_base():\n    from .base import *\n", "model = {{_base_.model}}\n", "model = build()\n"]
)
def test_a_config_of_mmdetection_whose_model_only_a_program_knows_is_refused_with_what_to_do(text):
    with pytest.raises(ConfigError, match=r"my\.py: has no plain `model = dict\(\.\.\.\)`.*work_dirs"):
        translate_mmdetection(parse_python_config(text, "my.py"), "my.py", draft_of("mm_r50_fpn"))


def test_sides_that_vary_and_a_missing_mean_are_refused():
    for change, words in (
        (("scale=(640, 480)", "scale=[(640, 480), (800, 600)]"), "expected one pair of sides"),
        (("keep_ratio=True", "keep_ratio=False"), "keep_ratio is False"),
        (("mean=[103.53, 116.28, 123.675], ", ""), "input.mean is missing"),
    ):
        with pytest.raises(ConfigError, match=words):
            translate_mmdetection(merge(MMDETECTION, VERSION_3.replace(*change)), "my.py", draft_of("mm_r50_fpn"))


def test_octaves_of_anchors_are_sizes():
    draft = draft_of("mm_r50_fpn")
    octaves = MMDETECTION.replace("scales=[4]", "octave_base_scale=4, scales_per_octave=2, scale_major=False")
    translate_mmdetection(merge(octaves, VERSION_3), "my.py", draft)
    assert draft.get("network.anchors.sizes")[0] == pytest.approx([16, 22.627417])


def test_class_names_of_mmdetections_configs_are_found():
    for text, key in (
        ("metainfo = dict(classes=('a', 'b'), palette=[(1, 2, 3)])", "metainfo"),
        ("classes = ('a', 'b')", "classes"),
        ("data = dict(train=dict(classes=['a', 'b']))", "data"),
        ("train_dataloader = dict(dataset=dict(metainfo=dict(classes=('a', 'b'))))", "train_dataloader"),
    ):
        assert find_classes(parse_python_config(text, "it")) == (["a", "b"], key)
    assert find_classes({"classes": [1], "data": 3, "metainfo": {}}) is None


def test_paddledetections_config_becomes_a_model_file(tmp_path):
    draft = Draft(read_row("mask_rcnn_r50_fpn_1x_coco"), "the row")
    unused = []
    config = translate_yaml(tmp_path, PADDLE, draft, lambda *given: unused.extend(translate_paddledetection(*given)))
    assert config.network.anchors.ratios == (0.5, 1.0) and config.network.anchors.sizes[0] == (16,)
    assert (config.input.short_side, config.input.long_side, config.input.mean) == (480, 640, (0.4, 0.5, 0.6))
    assert (config.limits.proposals.before_nms, config.limits.detections.total) == (900, 30)
    assert config.limits.proposals.min_side == 1.0 and config.network.backbone.frozen == ("stem", "res2")
    training = config.training
    assert (training.epochs, training.milestones, training.decay, training.warmup.iterations) == (7, (5, 6), 0.2, 200)
    assert "use_gpu" in unused


def test_classes_of_paddledetections_config_are_numbered_and_must_be_those_of_weights(tmp_path):
    seven = PADDLE.replace("num_classes: 80", "num_classes: 7")
    draft = Draft(read_row("mask_rcnn_r50_fpn_1x_coco"), "the row")
    config = translate_yaml(tmp_path, seven, draft, translate_paddledetection)
    assert list(config.classes.values()) == [f"class {number}" for number in range(1, 8)]
    draft = Draft(read_row("mask_rcnn_r50_fpn_1x_coco"), "the row")
    draft.set("classes", {1: "cat"}, "--classes")
    with pytest.raises(ConfigError, match=r"num_classes is 7, and there are 1 classes \(--classes\)"):
        translate_yaml(tmp_path, seven, draft, translate_paddledetection)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("architecture: MaskRCNN", "architecture: FasterRCNN"), "architecture is 'FasterRCNN'"),
        (("backbone: ResNet", "backbone: SwinTransformer"), "SwinTransformer"),
        (("depth: 50", "depth: 50, dcn_v2_stages: [0, 1]"), "dcn_v2_stages"),
        (("head: TwoFCHead", "head: VitHead"), "VitHead"),
        (("interp: 2", "interp: 4"), "interp is 4"),
        (("target_size: [480, 640]", "target_size: big"), "target_size is 'big'"),
        (("keep_top_k: 30", "keep_top_k: many"), "keep_top_k is 'many'"),
    ],
)
def test_what_paddledetections_config_asks_for_and_is_not_computed_is_refused(tmp_path, change, words):
    assert change[0] in PADDLE
    draft = Draft(read_row("mask_rcnn_r50_fpn_1x_coco"), "the row")
    with pytest.raises(ConfigError, match=words):
        translate_yaml(tmp_path, PADDLE.replace(*change), draft, translate_paddledetection)


def test_torchvisions_arguments_become_a_model_file():
    draft = draft_of("tv_r50_fpn")
    options = [
        "min_size=(400, 500)",
        "max_size=700",
        "image_mean=[0.1, 0.2, 0.3]",
        "box_score_thresh=0.5",
        "rpn_score_thresh=0",
    ]
    translate_torchvision(
        [*options, "box_detections_per_img=7", "rpn_post_nms_top_n_test=50", "trainable_backbone_layers=5"], draft
    )
    config = draft.finish("it", ["limits.detections.score=0.6"])
    assert (config.input.short_side, config.input.long_side, config.input.mean) == (500, 700, (0.1, 0.2, 0.3))
    assert (config.limits.detections.score, config.limits.detections.total, config.limits.proposals.total) == (0.6, 7, 50)
    assert config.network.backbone.frozen == () and config.training.short_sides == (400, 500)
    sources = {choice.key: choice.source for choice in draft.list_choices(config)}
    assert (sources["input.long_side"], sources["limits.detections.score"]) == ("--option max_size", "--set")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("min_sze=3", "did you mean min_size"),
        ("min_size", "expected an argument"),
        ("max_size=a", "expected a whole number"),
        ("rpn_score_thresh=0.1", "not computed here"),
        ("box_score_thresh=[", "not valid"),
    ],
)
def test_arguments_that_torchvision_has_not_or_that_are_not_computed_are_refused(option, words):
    with pytest.raises(ConfigError, match=words):
        translate_torchvision([option], draft_of("tv_r50_fpn"))


def test_settings_tell_what_was_not_asked_for():
    settings = Settings({"a": {"b": 1, "c": 2}, "d": {"e": 3}}, "it", {"z": 4}, "a toolkit")
    assert settings.whole("a.b") == 1 and settings.numbers("a.c") == [2.0] and settings.whole("z") == 4
    assert settings.list_unused() == ["d"]
    assert (settings.tell("a.b"), settings.tell("z")) == ("it: a.b", "default of a toolkit: z")
    for ask in (settings.flag, settings.text):
        with pytest.raises(ConfigError, match=r"it: a\.b is 1; expected"):
            ask("a.b")


@pytest.mark.parametrize("value", ["1" + "0" * 400, ".inf", ".nan", "[]", "{}", "text", "true", "null"])
@pytest.mark.parametrize("key", ["SCORE_THRESH_TEST: 0.3", "PIXEL_STD: [58.395, 57.12, 57.375]"])
def test_values_that_are_no_numbers_end_in_an_error_of_ours(tmp_path, key, value):
    name = key.partition(":")[0]
    with pytest.raises(ConfigError):
        translate_yaml(tmp_path, DETECTRON2.replace(key, f"{name}: {value}"), draft_of("d2_r50_fpn"))
