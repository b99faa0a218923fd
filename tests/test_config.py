import json
import os
import time

import pytest
import torch
from safetensors.torch import save_file

from maskzoo.errors import ConfigError, MaskzooError
from maskzoo.model_file import dump_config, parse_config, parse_settings, read_config
from maskzoo.training.schedule import learning_rate
from maskzoo.weights.checkpoint import read_checkpoint
from maskzoo.zoo.rows import names, read_row, row_text
from networks import MORE_OF_PADDLE, PADDLE
from shared_data import ROOT

ROW = "mask_rcnn_r50_fpn_1x_coco"
PUBLISHED = {
    "r50_1x": (37.4, 32.8), "r50_2x": (39.7, 34.5), "r50_fpn_1x": (39.2, 35.6), "r50_fpn_2x": (40.5, 36.7),
    "r50_vd_fpn_1x": (40.3, 36.4), "r50_vd_fpn_2x": (41.4, 37.5), "r101_fpn_1x": (40.6, 36.6),
    "r101_vd_fpn_1x": (42.4, 38.1), "x101_vd_64x4d_fpn_1x": (44.0, 39.5), "x101_vd_64x4d_fpn_2x": (44.6, 39.8),
    "r50_vd_fpn_ssld_1x": (42.0, 38.2), "r50_vd_fpn_ssld_2x": (42.7, 38.9),
    "r50_fpn_gn_2x": (42.3, 38.4), "cascade_r50_fpn_1x": (41.8, 36.3), "cascade_r50_vd_fpn_ssld_1x": (44.9, 39.1),
    "cascade_r50_vd_fpn_ssld_2x": (45.7, 39.7), "cascade_r50_fpn_gn_2x": (45.0, 39.3),
    "dcn_r50_fpn_1x": (42.7, 38.4), "dcn_r50_vd_fpn_2x": (44.6, 39.8), "dcn_r101_vd_fpn_1x": (45.6, 40.6),
    "dcn_x101_vd_64x4d_fpn_1x": (47.3, 42.0),
}  # fmt: skip
IMAGENET = {
    "r50": "ResNet50_cos", "r50_fpn": "ResNet50_cos", "r50_fpn_gn": "ResNet50_cos", "r50_vd_fpn": "ResNet50_vd",
    "r101_fpn": "ResNet101", "r101_vd_fpn": "ResNet101_vd", "x101_vd_64x4d_fpn": "ResNeXt101_vd_64x4d",
    "r50_vd_fpn_ssld": "ResNet50_vd_ssld_v2",
}  # fmt: skip


def flatten(value, path=""):
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flatten(inner, f"{path}.{key}" if path else key).items()}
    return {path: value}


def keys_that_differ(first, second):
    one, two = (flatten(read_row(f"mask_rcnn_{row}_coco").model_dump(mode="json")) for row in (first, second))
    return {key for key in one.keys() | two.keys() if one.get(key) != two.get(key)}


@pytest.mark.parametrize("name", names())
def test_a_row_is_named_as_its_file_and_survives_a_round_trip(name):
    config = read_row(name)
    assert config.name == name.rpartition("/")[2]
    assert parse_config(dump_config(config), "round trip") == config


@pytest.mark.parametrize("name", [*PADDLE, *MORE_OF_PADDLE])
def test_a_row_states_its_published_figures_and_sources(name):
    source, name = read_row(name).source, name.rpartition("/")[2]
    short = name.replace("mask_rcnn_", "").removesuffix("_coco")
    base = "https://paddledet.bj.bcebos.com/models/"
    assert (source.published.box_ap, source.published.mask_ap) == PUBLISHED[short]
    assert source.weights == f"{base}{name}.pdparams"
    network = short.removeprefix("cascade_").removeprefix("dcn_")[:-3]
    assert source.imagenet == f"{base}pretrained/{IMAGENET[network]}_pretrained.pdparams"
    assert source.licence == "Apache-2.0"


@pytest.mark.parametrize("name", [*PADDLE, *MORE_OF_PADDLE])
def test_a_recipe_gives_the_published_learning_rates(name):
    published = json.loads((ROOT / "tests" / "golden" / "lr.json").read_text())[name.rpartition("/")[2]]
    recipe = read_row(name).training
    assert (recipe.epochs, list(recipe.milestones)) == (published["epochs"], published["milestones"])
    for iteration, expected in published["lr"].items():
        ours = learning_rate(recipe, int(iteration), published["steps_per_epoch"])
        assert abs(ours - expected) <= 1e-12, iteration


SCHEDULE = {"name", "schedule", "training.epochs", "training.milestones"}
FIGURES = {"source.weights", "source.published.box_ap", "source.published.mask_ap"}
COSTS = {"source.published.parameters", "source.published.gflops"}
WARMUP = {"training.warmup.iterations", "training.warmup.start_factor"}
RATES = {f"training.stage_rates.res{stage}" for stage in (2, 3, 4, 5)}


@pytest.mark.parametrize(
    ("first", "second", "keys"),
    [
        ("r50_fpn_1x", "r50_fpn_2x", SCHEDULE | FIGURES | WARMUP),
        ("r50_1x", "r50_2x", SCHEDULE | FIGURES | WARMUP),
        ("r50_vd_fpn_1x", "r50_vd_fpn_2x", SCHEDULE | FIGURES | WARMUP),
        ("x101_vd_64x4d_fpn_1x", "x101_vd_64x4d_fpn_2x", SCHEDULE | FIGURES),
        ("r50_vd_fpn_ssld_1x", "r50_vd_fpn_ssld_2x", SCHEDULE | FIGURES),
        ("r50_fpn_1x", "r101_fpn_1x", {"name", "network.backbone.depth", "source.imagenet"} | FIGURES | COSTS),
        ("r50_fpn_1x", "r50_vd_fpn_1x", {"name", "network.backbone.variant", "source.imagenet"} | FIGURES | COSTS),
        ("r101_fpn_1x", "r101_vd_fpn_1x", {"name", "network.backbone.variant", "source.imagenet"} | FIGURES | COSTS),
        (
            "r50_vd_fpn_1x", "r50_vd_fpn_ssld_1x",
            {"name", "source.imagenet", "training.warmup.start_factor"} | FIGURES | RATES,
        ),
        (
            "r101_vd_fpn_1x", "x101_vd_64x4d_fpn_1x",
            {"name", "network.backbone.groups", "network.backbone.group_width", "source.imagenet",
             "training.warmup.start_factor"} | FIGURES | COSTS,
        ),
        (
            "r50_1x", "r50_fpn_1x",
            {"name", "network.heads", "network.anchors.sizes", "network.anchors.strides", "input.canvas_multiple",
             "limits.proposals.before_nms", "training.proposals.before_nms", "training.proposals.total"}
            | FIGURES | COSTS,
        ),
    ],
)  # fmt: skip
def test_two_rows_differ_in_nothing_but_what_sets_them_apart(first, second, keys):
    assert keys_that_differ(first, second) == keys


def changed(old, new):
    text = row_text(ROW)
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("depth: 50", "dept: 50"), ["my.yml", "'network.backbone.dept'", "did you mean depth?"]),
        (
            changed("resize: one_factor", "resize: two_factors"),
            ["input.resize", "'one_factor', 'rounded', 'pillow'", "two_factors"],
        ),
        (changed("depth: 50", "depth: 49"), ["network.backbone.depth", "49"]),
        (changed("depth: 50", "depth: fifty"), ["network.backbone.depth", "fifty"]),
        (changed("  short_side: 800\n", ""), ["'input.short_side' is missing"]),
        (changed("iou: 0.5", "iou: .nan"), ["limits.detections.iou"]),
        (changed("iou: 0.5", "iou: 1.5"), ["limits.detections.iou", "1.5"]),
        (changed("mask_threshold: 0.5", "mask_threshold: 0"), ["limits.detections.mask_threshold"]),
        (changed("schedule: 1x", "schedule: 1x\nschedule: 2x"), ["'schedule' is given twice"]),
        (changed("[4, 8, 16, 32, 64]", "[4, 8, 16, 32]"), ["strides"]),
        (changed("heads: fpn", "heads: c4"), ["strides"]),
        (changed("name: mask_rcnn", "name: !!python/object/apply:os.system [touch hacked] #"), ["not valid YAML"]),
        ("a: &a [1]\nb: [*a, *a]\n", ["aliases"]),
        ("- 1\n- 2\n", ["expected a mapping", "list"]),
        ("a: {b: [", ["not valid YAML"]),
        ("", ["expected a mapping"]),
        (changed("weights: https:", "weights: file:"), ["source.weights", "http"]),
        (changed("depth: 50", "depth: 18").replace("groups: 1", "groups: 32"), ["network.backbone", "18", "grouped"]),
        (changed("depth: 50", "depth: 34").replace("group_width: 64", "group_width: 4"), ["network.backbone", "34"]),
        (changed("heads: fpn", "heads: c4").replace("[stem, res2]", "[res5]"), ["network", "res5", "c4 heads"]),
        (changed("heads: fpn", "heads: dc5").replace("depth: 50", "depth: 18"), ["network", "18", "dc5 heads need 50 or 101"]),
        (changed("heads: fpn", "heads: dc5"), ["strides", "dc5 heads need [16]"]),
        (changed("width: 64, groups", "width: 12, groups"), ["network.backbone.width", "12"]),
        (changed("variant: b,", "variant: d, stride_in_1x1: true,"), ["network.backbone", "stride_in_1x1", "variant b"]),
        (changed("depth: 50,", "depth: 18, stride_in_1x1: true,"), ["network.backbone", "stride_in_1x1", "50 and 101"]),
        (changed("variant: b,", "variant: b, epsilon: 1.0,"), ["network.backbone.epsilon", "1.0"]),
        (changed("norm: frozen", "epsilon: 0.0, norm: bn"), ["network.backbone", "epsilon is 0", "only frozen norms"]),
        (changed("box_features", "rpn_convs: 3\n  box_features"), ["network.rpn_convs", "3"]),
        (changed("heads: fpn", "heads: c4\n  box_head: 4conv1fc"), ["network", "box_head", "res5 instead"]),
    ],
)
def test_a_wrong_model_file_is_refused_with_file_key_and_reason(text, words, tmp_path):
    path = tmp_path / "my.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(path) in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_all_faults_are_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_config(changed("depth: 50", "depth: 49").replace("flip: 0.5", "flip: 7"), "my.yml")
    assert "network.backbone.depth" in str(caught.value) and "training.flip" in str(caught.value)


def test_a_missing_or_huge_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such model file"):
        read_config(tmp_path / "none.yml")
    big = tmp_path / "big.yml"
    big.write_text("a: " + "x" * (1 << 20))
    with pytest.raises(ConfigError, match="at most"):
        read_config(big)


@pytest.mark.parametrize("name", PADDLE)
def test_a_published_row_says_that_photos_are_resized_by_one_factor(name):
    assert "resize: one_factor" in row_text(name) and read_row(name).input.resize == "one_factor"


def test_a_file_from_before_there_was_a_choice_means_the_rule_of_that_time():
    config = parse_config(changed("  resize: one_factor\n", ""), "my.yml")
    assert config.input.resize == "rounded"
    assert "resize: rounded" in dump_config(config)


@pytest.mark.parametrize(
    "text",
    [
        "_BASE_: [\n  '../datasets/coco_instance.yml',\n]\nweights: output/model_final\n",
        "architecture: MaskRCNN\nMaskRCNN:\n  backbone: ResNet\n",
        "worker_num: 2\nTrainReader:\n  sample_transforms:\n  - Decode: {}\n",
        "LearningRate:\n  schedulers:\n  - !PiecewiseDecay {gamma: 0.1}\n\nOptimizerBuilder:\n  optimizer: {}\n",
    ],
)
def test_a_paddledetection_config_is_called_one_with_what_to_do(text):
    with pytest.raises(ConfigError, match=r"^mine\.yml: a PaddleDetection config; .*maskzoo models import mine\.yml my\.yml"):
        parse_config(text, "mine.yml")


def test_overrides_change_one_value_and_are_checked():
    config = read_row(ROW, ["limits.detections.score=0.3", "classes={1: cat}"])
    assert config.limits.detections.score == 0.3
    assert config.classes == {1: "cat"}
    assert config.input == read_row(ROW).input
    assert read_row(ROW, ["network.roi_align.samples=2"]).network.roi_align.samples == 2  # a section that the file leaves out
    for override in ("limits.detections.scor=0.3", "limits.nothing.here=1", "limits", "input.mean=[1, 2]", "a=[", "=1"):
        with pytest.raises(ConfigError):
            read_row(ROW, [override])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("limits.detection.score=0.3", r"no section 'limits\.detection'; did you mean detections\?"),
        ("limit.detections.score=0.3", r"no section 'limit'; did you mean limits\?"),
        ("limits.zzz.score=0.3", r"no section 'limits\.zzz'; known here: proposals, detections"),
        ("limits.detection=1", r"unknown key 'limits\.detection'; did you mean detections\?"),
        ("training.lr=1", r"unknown key 'training\.lr'; did you mean learning_rate\?"),
        ("training.wd=1", r"did you mean weight_decay\?"),
        ("training.short_side=1", r"did you mean short_sides\?"),
        ("network.head=fpn", r"did you mean heads\?"),
        ("network.backbone.group=2", r"did you mean groups\?"),
        ("seed=1", r"unknown key 'seed'; did you mean --set run\.seed=VALUE\?"),
        ("training.workers=1", r"did you mean --set run\.workers=VALUE\?"),
        ("training.batch_size=1", r"did you mean images_per_batch\?"),
        ("training.lr.warmup=1", r"no section 'training\.lr'; did you mean learning_rate\?"),
        ("lr=1", r"unknown key 'lr'; did you mean training\.learning_rate\?"),
        ("score=1", r"unknown key 'score'; did you mean limits\.detections\.score\?"),
        ("model.backbone.depth=1", r"no section 'model'; "),
        ("backbone.depth=1", r"no section 'backbone'; did you mean network\.backbone\?"),
        ("name.first.last=a", r"no section 'name'; known here: "),
    ],
)
def test_an_override_of_a_section_that_is_not_there_names_the_nearest(override, says):
    with pytest.raises(ConfigError, match=says):
        read_row(ROW, [override])


def test_a_setting_that_is_the_recipes_is_named_there():
    with pytest.raises(ConfigError, match=r"unknown key 'epochs'; did you mean training\.epochs\?"):
        parse_settings(["epochs=3"])


@pytest.mark.parametrize(
    ("override", "bound"),
    [
        ("input.short_side=1000000000", "32768"),
        ("input.long_side=1e25", "valid integer"),
        ("input.std=[0, 1, 1]", "0.000001"),
        ("input.std=[1, 1, -1]", "0.000001"),
        ("input.mean=[1e300, 1, 1]", "1000000"),
        ("input.canvas_multiple=99999999", "1024"),
        ("input.canvas_multiple=16", "fpn heads need a multiple of 32"),
        ("network.channels=8000000000", "4096"),
        ("network.box_features=8000000000", "65536"),
        ("network.backbone.width=8000000000", "4096"),
        ("network.backbone.groups=100000", "1024"),
        ("network.backbone.group_width=100000", "1024"),
        ("network.anchors.ratios=[1e-300]", "0.001"),
        (f"network.anchors.ratios={[1.0] * 33}", "at most 32"),
        ("network.anchors.sizes=[[1e300], [1], [1], [1], [1]]", "1000000"),
        (f"network.anchors.sizes={[[1.0] * 100] * 5}", "at most 32"),
        ("limits.detections.total=10000000000000000000000000", "100000"),
        ("limits.proposals.before_nms=10000000000000000000000000", "100000"),
        ("limits.proposals.total=1e25", "valid integer"),
        ("training.epochs=1000000000000", "100000"),
        ("training.boxes.samples=1000000000000", "100000"),
        ("training.learning_rate=1e300", "1000000"),
        ("training.stage_rates={res2: -1.0}", "greater than or equal to 0"),
        (f"training.short_sides={[800] * 2000}", "at most 1000"),
        (f"classes={{{2**64}: a}}", "9223372036854775808"),
    ],
)
def test_every_size_has_an_upper_bound_which_the_error_names(override, bound):
    with pytest.raises(ConfigError) as caught:
        read_row(ROW, [override])
    assert bound in str(caught.value) and len(str(caught.value)) < 2000


@pytest.mark.parametrize("setting", ["batch", "accumulate", "workers", "seed", "patience", "evaluate_every", "snapshot_every"])
def test_settings_of_a_run_are_bounded(setting):
    with pytest.raises(ConfigError, match=f"{setting}: Input should be less than"):
        parse_settings([f"{setting}={10**30}"])


HOSTILE = [
    "2026-13-01",
    "!!int abc",
    "!!bool xyz",
    "!!float 1_",
    "9" * 5000,
    "0x" + "f" * 5000,
    "-" + "9" * 4301,
    "[" * 3000,
    "{a: " * 3000,
    "!!timestamp 5",
    "!!set {1}",
    "!!omap [1]",
    "!!python/none",
    "? [a]\n: b",
    "*a",
    "&a *a",
    "1:99999999999",
    "1e999",
    ".nan",
    "0o9",
    "\0",
    "\ud800",
    '"\\ud800"',
    "=",
    "<<",
    "~",
    "y",
    "\x1b[31m",
    "2001-12-14t99:59:43.10-05:00",
    "!!binary '\u2028'",
    "!" * 5000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
@pytest.mark.parametrize("place", ["a whole file", "a value", "a key", "a class", "--set", "--set run", "inside a checkpoint"])
def test_hostile_values_are_text_or_refused_wherever_they_stand(value, place, tmp_path):
    text = row_text(ROW)
    try:
        if place == "--set":
            read_row(ROW, [f"input.short_side={value}"])
        elif place == "--set run":
            parse_settings([f"workers={value}"])
        elif place == "inside a checkpoint":
            if "\ud800" in value:
                pytest.skip("cannot be written")
            metadata = {"format": "maskzoo", "format_version": "1", "provenance": "{}"}
            text = text.replace("short_side: 800", f"short_side: {value}")
            save_file({"w": torch.ones(1)}, tmp_path / "w.safetensors", metadata | {"config": text})
            read_checkpoint(tmp_path / "w.safetensors")
        else:
            texts = {
                "a whole file": value,
                "a value": text.replace("short_side: 800", f"short_side: {value}"),
                "a key": f"{text}\n{value}: 1\n",
                "a class": text.replace("classes:", f"classes:\n  700: {value}"),
            }
            parse_config(texts[place], "some.yml")
    except MaskzooError as error:
        assert len(str(error)) < 3000, len(str(error))
    else:
        assert place == "a class"  # text is what a class's name may be


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"k{number}: {number}" for number in range(80_000)),
        "k" * 1_000_000 + ": 1",
        "name: " + "x" * 1_000_000,
        "network: [" + "1," * 400_000 + "]",
        "classes: {" + ", ".join(f"{number}: a" for number in range(90_000)) + "}",
        "classes: {" + ", ".join(f"k{number}: [a]" for number in range(60_000)) + "}",
        "A" * 1_000_000,
        "\n".join(["A" * 100] * 10_000),
    ],
    ids=["keys", "key", "text", "list", "classes", "wrong classes", "letters", "lines"],
)
def test_a_model_file_of_a_megabyte_is_refused_in_seconds_and_on_one_screen(text):
    began = time.process_time()
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "some.yml")
    assert time.process_time() - began < 5
    assert len(str(caught.value)) < 6000 and str(caught.value).count("\n") <= 20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.timeout(20)
def test_a_pipe_is_no_model_file(tmp_path):
    os.mkfifo(tmp_path / "my.yml")
    for path in (tmp_path / "my.yml", tmp_path, "a\0b.yml"):
        with pytest.raises(ConfigError):
            read_config(path)


def test_a_cascade_needs_an_overlap_for_each_later_stage_and_a_pyramid():
    with pytest.raises(ConfigError, match=r"later_ious has 0 values; network\.box_stages 3 needs 2"):
        read_row(ROW, ["network.box_stages=3"])
    with pytest.raises(ConfigError, match=r"later_ious has 1 values; network\.box_stages 1 needs 0"):
        read_row(ROW, ["training.boxes.later_ious=[0.6]"])
    with pytest.raises(ConfigError, match=r"box_stages is 3, which needs fpn heads"):
        read_row("mask_rcnn_r50_1x_coco", ["network.box_stages=3", "training.boxes.later_ious=[0.6, 0.7]"])


def test_deformable_convolutions_are_refused_where_blocks_or_heads_have_none():
    with pytest.raises(ConfigError, match=r"for depths 50 and 101, found depth 18"):
        read_row(ROW, ["network.backbone.depth=18", "network.backbone.deformable=[res5]"])
    with pytest.raises(ConfigError, match=r"deformable is for fpn heads, found c4"):
        read_row("mask_rcnn_r50_1x_coco", ["network.backbone.deformable=[res4]"])
