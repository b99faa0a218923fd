"""PaddleDetection's configs become model files: network, limits and recipe; what has no counterpart is named."""

import json
import random

import pytest
import yaml

from maskzoo.cli import main
from maskzoo.errors import ArgumentError, ConfigError, MaskzooError
from maskzoo.model_file import read_config
from maskzoo.zoo.import_config import import_config
from maskzoo.zoo.rows import read_row

SIDES = [640, 672, 704, 736, 768, 800]
COLOURS = {"is_scale": True, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
IMAGENET = "https://paddledet.bj.bcebos.com/models/pretrained/ResNet50_cos_pretrained.pdparams"
READER = {
    "sample_transforms": [
        {"Decode": {}},
        {"Resize": {"interp": 2, "target_size": [800, 1333], "keep_ratio": True}},
        {"NormalizeImage": COLOURS},
        {"Permute": {}},
    ],
    "batch_transforms": [{"PadBatch": {"pad_to_stride": 32}}],
}
FILES = {
    "data.yml": {"metric": "COCO", "num_classes": 80},
    "network.yml": {
        "architecture": "MaskRCNN",
        "pretrain_weights": IMAGENET,
        "MaskRCNN": {
            "backbone": "ResNet", "neck": "FPN", "rpn_head": "RPNHead", "bbox_head": "BBoxHead", "mask_head": "MaskHead",
            "bbox_post_process": "BBoxPostProcess", "mask_post_process": "MaskPostProcess",
        },
        "ResNet": {"depth": 50, "norm_type": "bn", "freeze_at": 0, "return_idx": [0, 1, 2, 3], "num_stages": 4},
        "FPN": {"out_channel": 256},
        "RPNHead": {
            "anchor_generator": {
                "aspect_ratios": [0.5, 1.0, 2.0], "anchor_sizes": [[32], [64], [128], [256], [512]],
                "strides": [4, 8, 16, 32, 64],
            },
            "rpn_target_assign": {"batch_size_per_im": 256, "fg_fraction": 0.5, "use_random": True},
            "train_proposal": {
                "min_size": 0.0, "nms_thresh": 0.7, "pre_nms_top_n": 2000, "post_nms_top_n": 1000, "topk_after_collect": True,
            },
            "test_proposal": {"min_size": 0.0, "nms_thresh": 0.7, "pre_nms_top_n": 1000, "post_nms_top_n": 1000},
        },
        "BBoxHead": {
            "head": "TwoFCHead", "roi_extractor": {"resolution": 7, "sampling_ratio": 0, "aligned": True},
            "bbox_assigner": "BBoxAssigner",
        },
        "BBoxPostProcess": {"decode": "RCNNBox", "nms": {"name": "MultiClassNMS", "keep_top_k": 100}},
        "MaskHead": {"head": "MaskFeat", "roi_extractor": {"resolution": 14, "sampling_ratio": 0, "aligned": True}},
        "MaskFeat": {"num_convs": 4, "out_channel": 256},
        "MaskAssigner": {"mask_resolution": 28},
    },
    "reader.yml": {
        "worker_num": 2,
        "TrainReader": {
            "sample_transforms": [
                {"Decode": {}},
                {"RandomResize": {"target_size": [[side, 1333] for side in SIDES], "interp": 2, "keep_ratio": True}},
                {"RandomFlip": {"prob": 0.5}},
                {"NormalizeImage": COLOURS},
                {"Permute": {}},
            ],
            "batch_size": 1,
        },
        "EvalReader": READER,
        "TestReader": READER,
    },
}  # fmt: skip
OPTIMIZER = """
epoch: 12
LearningRate:
  base_lr: 0.01
  schedulers:
  - !PiecewiseDecay
    gamma: 0.1
    milestones: [8, 11]
  - !LinearWarmup
    start_factor: 0.001
    steps: 1000
OptimizerBuilder:
  optimizer: {momentum: 0.9, type: Momentum}
  regularizer: {factor: 0.0001, type: L2}
"""


@pytest.fixture
def write(tmp_path):
    """Write a config that stands on four others, with sections of one's own over theirs."""
    (tmp_path / "base").mkdir()
    for name, content in FILES.items():
        (tmp_path / "base" / name).write_text(yaml.safe_dump(content))
    (tmp_path / "base" / "optimizer.yml").write_text(OPTIMIZER)

    def call(text="", name="mask_rcnn_r50_fpn_1x_coco.yml"):
        bases = ", ".join(f"base/{base}" for base in (*FILES, "optimizer.yml"))
        (tmp_path / name).write_text(f"_BASE_: [{bases}]\nweights: output/model_final\n{text}")
        return tmp_path / name

    return call


def read_choices(done):
    return {choice.key: (choice.value, choice.source) for choice in done.choices}


def test_the_published_networks_config_becomes_its_row(write, tmp_path):
    done = import_config(write(), tmp_path / "my.yml")
    row = read_row("mask_rcnn_r50_fpn_1x_coco")
    assert read_config(tmp_path / "my.yml") == done.config
    for section in ("network", "input", "limits", "training", "classes"):
        assert getattr(done.config, section) == getattr(row, section), section
    assert (done.config.source.imagenet, done.config.source.weights) == (row.source.imagenet, "")


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (
            "FPN: {norm_type: gn}\nMaskFeat: {norm_type: gn}\nBBoxHead: {head: XConvNormHead}\n"
            "XConvNormHead: {num_convs: 4, out_channel: 1024, norm_type: gn}\n",
            "mask_rcnn_r50_fpn_gn_2x_coco",
        ),
        ("ResNet: {dcn_v2_stages: [1, 2, 3]}\n", "mask_rcnn_dcn_r50_fpn_1x_coco"),
    ],
)
def test_group_norms_and_deformable_convolutions_become_their_rows_network(text, row, write, tmp_path):
    config, expected = import_config(write(text), tmp_path / "my.yml").config, read_row(row)
    assert config.network == expected.network and config.training.norm_decay == expected.training.norm_decay


def test_what_is_ones_own_is_taken_over_with_its_key_and_the_rest_is_named(write, tmp_path):
    source = write(
        """
num_classes: 7
epoch: 30
ResNet: {depth: 101, variant: d, freeze_at: 1, freeze_norm: false, norm_type: sync_bn, lr_mult_list: [0.05, 0.05, 0.1, 0.15]}
BBoxPostProcess: {nms: {score_threshold: 0.2, keep_top_k: 30, nms_threshold: 0.6}}
TestReader:
  sample_transforms:
  - Decode: {}
  - Resize: {interp: 1, target_size: [480, 640], keep_ratio: True}
  - NormalizeImage: {is_scale: false, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]}
  - Permute: {}
LearningRate:
  base_lr: 0.02
  schedulers:
  - {name: CosineDecay, max_epochs: 30}
  - !LinearWarmup {steps: 200}
use_gpu: true
""",
        "own net.yml",
    )
    done = import_config(source, tmp_path / "my.yml", classes="a,b,c,d,e,f,g", overrides=["limits.proposals.iou=0.6"])
    config, choices = done.config, read_choices(done)
    shape = config.network.backbone
    assert (config.name, shape.depth, shape.variant, shape.norm) == ("own-net", 101, "d", "sync_bn")
    assert shape.frozen == ("stem", "res2", "res3") and config.training.stage_rates["res5"] == 0.15
    assert list(config.classes.items()) == list(enumerate("abcdefg", 1))
    assert (config.input.short_side, config.input.long_side, config.input.resize) == (480, 640, "opencv")
    assert config.input.std == pytest.approx((0.229, 0.224, 0.225)) and config.input.mean[0] == pytest.approx(0.485)
    limits = config.limits.detections
    assert (limits.score, limits.total, limits.iou, config.limits.proposals.iou) == (0.2, 30, 0.6, 0.6)
    recipe = config.training
    assert (recipe.epochs, recipe.milestones, recipe.learning_rate) == (30, (20, 27), 0.02)
    assert (recipe.warmup.iterations, recipe.warmup.start_factor) == (200, 1 / 3)
    assert choices["network.backbone.depth"] == (101, "own net.yml: ResNet.depth")
    assert choices["limits.detections.mask_threshold"][1] == "default of PaddleDetection: MaskPostProcess.binary_thresh"
    assert choices["limits.proposals.iou"] == (0.6, "--set")
    assert {"metric", "use_gpu", "worker_num", "weights", "RPNHead.rpn_target_assign.use_random"} <= set(done.unused)
    assert {"TrainReader.sample_transforms.RandomResize.interp", "LearningRate.schedulers.CosineDecay"} <= set(done.unused)
    notes = "\n".join(done.notes)
    for words in (
        "CosineDecay: not used",
        "EvalReader.sample_transforms prepares photos otherwise",
        "images_per_batch is 8",
        "normalises otherwise",
    ):
        assert words in notes
    assert "one_factor" not in notes


def test_every_key_is_used_or_named(write, tmp_path):
    source = write("MyOwnThing: {a: 1}\nFPN: {out_channel: 256, my_key: 3}\nResNet: {norm_decay: 0.5}\n")
    unused = import_config(source, tmp_path / "my.yml").unused
    assert {"MyOwnThing", "FPN.my_key", "ResNet.norm_decay"} <= set(unused)


def test_classes_without_names_are_numbered_and_the_note_says_how_to_name_them(write, tmp_path):
    done = import_config(write("num_classes: 3\n"), tmp_path / "my.yml")
    assert done.config.classes == {1: "class 1", 2: "class 2", 3: "class 3"}
    assert any("--classes names.txt" in note for note in done.notes)
    with pytest.raises(ConfigError, match=r"num_classes is 3, and there are 2 classes \(--classes\)"):
        import_config(write("num_classes: 3\n"), tmp_path / "other.yml", classes=["a", "b"])
    with pytest.raises(ConfigError, match="num_classes is 0; expected 1 to"):
        import_config(write("num_classes: 0\n"), tmp_path / "other.yml")


C4 = """
MaskRCNN: {neck: null}
ResNet: {num_stages: 3, return_idx: [2]}
RPNHead:
  anchor_generator: {anchor_sizes: [16, 64, 256], strides: [16]}
BBoxHead: {head: Res5Head, with_pool: true, roi_extractor: {resolution: 14}}
MaskHead: {share_bbox_feat: true}
MaskFeat: {num_convs: 0}
MaskAssigner: {mask_resolution: 14}
TestReader: {batch_transforms: [{PadBatch: {pad_to_stride: -1}}]}
"""


def test_a_network_without_a_pyramid_is_one_of_c4_heads(write, tmp_path):
    config = import_config(write(C4), tmp_path / "my.yml").config
    assert (config.network.heads, config.input.canvas_multiple) == ("c4", 1)
    assert config.network.anchors.sizes == ((16, 64, 256),) and config.network.anchors.strides == (16,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("architecture: CascadeRCNN", "architecture is 'CascadeRCNN', whose config is not translated; .* without the config"),
        ("MaskRCNN: {backbone: SwinTransformer}", "MaskRCNN.backbone is 'SwinTransformer'"),
        ("ResNet: {dcn_v2_stages: [0, 1]}", r"dcn_v2_stages is \[0, 1\]"),
        ("ResNet: {variant: a}", "ResNet.variant is 'a'"),
        ("ResNet: {depth: fifty}", "ResNet.depth is 'fifty'; expected a whole number"),
        ("ResNet: {depth: 152}", "network.backbone.depth"),
        ("BBoxHead: {head: VitHead}", "BBoxHead.head is 'VitHead'"),
        ("BBoxHead: {head: XConvNormHead}", "FPN.norm_type is None"),
        ("architecture: CascadeRCNN", "architecture is 'CascadeRCNN'"),
        ("BBoxHead: {bbox_weight: [20, 20, 10, 10]}", "bbox_weight"),
        ("MaskHead: {roi_extractor: {sampling_ratio: 2}}", "MaskHead.roi_extractor.sampling_ratio is 2"),
        ("RPNHead: {anchor_generator: {offset: 0.5}}", "offset is 0.5"),
        ("RPNHead: {anchor_generator: {anchor_sizes: many}}", "anchor_sizes is 'many'; expected a list of numbers"),
        ("TestReader: {sample_transforms: [{Resize: {target_size: [800], interp: 2, keep_ratio: true}}]}", "two sides"),
        ("TestReader: {sample_transforms: [{Resize: {target_size: [800, 900], keep_ratio: false}}]}", "keep_ratio is False"),
        ("TestReader: {sample_transforms: [{Decode: {}}, {PadResize: {}}]}", "has PadResize, which is not computed here"),
        ("TestReader: {sample_transforms: [{Decode: {}, Permute: {}}]}", "expected a name with its arguments"),
        ("TestReader: {sample_transforms: [{Decode: {}}, {Decode: {}}]}", "has Decode twice"),
        ("LearningRate: {base_lr: fast}", "base_lr is 'fast'; expected a number"),
        ("num_classes: many", "num_classes is 'many'; expected a whole number"),
        ("x: !!python/object/apply:os.system ['true']", "nothing in a config is run"),
        ("_BASE_: gone.yml", "key '_BASE_' is given twice"),
    ],
)
def test_what_is_not_computed_here_or_makes_no_sense_is_refused_by_its_key(text, says, write, tmp_path):
    with pytest.raises(ConfigError, match=says):
        import_config(write(text), tmp_path / "my.yml")
    assert not (tmp_path / "my.yml").exists()


def test_nothing_is_overwritten_unless_it_is_asked_for(write, tmp_path):
    (tmp_path / "my.yml").write_text("mine")
    with pytest.raises(MaskzooError, match="exists already"):
        import_config(write(), tmp_path / "my.yml")
    assert (tmp_path / "my.yml").read_text() == "mine"
    assert import_config(write(), tmp_path / "my.yml", force=True).config == read_config(tmp_path / "my.yml")
    with pytest.raises(ArgumentError, match="--classes"):
        import_config(write(), tmp_path / "my.yml", classes="a,a", force=True)


def test_a_config_with_any_value_replaced_is_taken_or_refused_by_an_error_of_ours(write, tmp_path):
    """Every value of every section in turn becomes something else; no error but ours may come."""
    chance = random.Random(5)
    values = (None, -1, 0, 3, 1.5, "text", "", [], [1], [[1]], {}, {"a": 1}, True, 10**30, float("nan"), ["a", {"b": None}])
    whole = {key: value for content in FILES.values() for key, value in content.items()} | yaml.safe_load(
        OPTIMIZER.replace("!PiecewiseDecay", "name: PiecewiseDecay").replace("!LinearWarmup", "name: LinearWarmup")
    )
    paths = list(list_paths(whole))
    taken = 0
    for path in paths:
        for value in chance.sample(values, 1):
            changed = json.loads(json.dumps(whole))
            inner = changed
            for part in path[:-1]:
                inner = inner[part]
            inner[path[-1]] = value
            source = tmp_path / "changed.yml"
            source.write_text(yaml.safe_dump(changed))
            try:
                import_config(source, tmp_path / "my.yml", force=True)
            except ConfigError as error:
                assert len(str(error)) < 2000
            else:
                taken += 1
    assert 0 < taken < len(paths)


def list_paths(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from list_paths(inner, (*path, key))


def test_the_command_prints_each_value_with_its_key_and_json_for_a_script(write, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    source = write("num_classes: 7\n")
    with pytest.raises(SystemExit) as end:
        main(["models", "import", str(source), str(tmp_path / "my.yml")])
    out = capsys.readouterr().out
    assert (
        end.value.code == 0
        and max(len(line) for line in out.splitlines() if not line.startswith(("Note", "Not", "Wrote"))) <= 100
    )
    for words in ("network.backbone.depth", "ResNet.depth", "Not used: metric", "class 1 to class 7", "maskzoo models show"):
        assert words in out
    with pytest.raises(SystemExit) as end:
        main(["models", "import", str(source), str(tmp_path / "my.yml"), "--force", "--json", "--classes", "a,b,c,d,e,f,g"])
    facts = json.loads(capsys.readouterr().out)
    found = {choice["key"]: choice for choice in facts["choices"]}
    assert end.value.code == 0 and found["classes"]["value"]["7"] == "g" and "metric" in facts["unused"]
