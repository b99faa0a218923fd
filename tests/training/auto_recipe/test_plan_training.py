import json
import shutil

import pytest

from maskzoo.errors import ArgumentError, SourceError
from maskzoo.model_file import read_config
from maskzoo.training.auto_recipe.plan_training import plan_training
from maskzoo.zoo.rows import read_row
from small_runs import read_rows, train, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("small"), train=6, val=2)


def find(plan, key):
    return next(decision for decision in plan.decisions if decision.key == key)


def test_a_plan_has_every_value_with_a_reason_and_is_plain_data(data):
    plan = plan_training(data, hours=0.001)
    told = json.loads(json.dumps(plan.to_dict()))
    assert set(plan.config.classes.values()) == {"square", "disk"} and plan.source == "none"
    assert find(plan, "MODEL").value == "maskzoo_r18_fpn_tiny" and find(plan, "MODEL").reason == "cpu-no-time"
    assert plan.settings.batch == 4 and plan.config.training.epochs == find(plan, "training.epochs").value
    assert told["decisions"][0]["facts"]["budget"] == pytest.approx(0.001 * 60 * 0.85)
    assert plan.list_kept(plan.config, plan.settings) == plan.decisions
    assert all(": " in str(decision) and "{" not in str(decision).partition(": ")[2] for decision in plan.decisions)


def test_without_a_time_the_number_of_images_decides_about_the_epochs(data):
    epochs = find(plan_training(data), "training.epochs")
    assert (epochs.reason, epochs.value) == ("images-seen", 200)  # 6 images, 10,000 to see: the most there is


def test_more_time_is_more_epochs_and_with_enough_of_it_the_larger_network(data):
    short, long = (plan_training(data, hours=hours) for hours in (0.002, 1000))
    assert short.config.training.epochs < long.config.training.epochs == 1000
    assert find(long, "MODEL").value == "maskzoo_r18_fpn_small" and long.config.network.channels == 128


def test_pixels_beyond_what_objects_need_are_for_runs_that_see_enough_images(tmp_path):
    data = write_data(tmp_path, train=1, val=1, size=(640, 640))
    content = json.loads((data / "train.json").read_text())
    rows = [row | {"bbox": [0, 0, 48, 48], "segmentation": [[0, 0, 48, 0, 48, 48, 0, 48]]} for row in content["annotations"]]
    (data / "train.json").write_text(json.dumps(content | {"annotations": rows}))
    short, long = (find(plan_training(data, hours=hours), "input.short_side") for hours in (0.0001, 3))
    assert (short.value, short.reason) == (224, "hurried-sizes")  # objects of 16 pixels
    assert (long.value, long.reason) == (640, "object-sizes")  # of 48


def test_what_cannot_be_planned_is_refused(data, tmp_path):
    with pytest.raises(ArgumentError, match=r"hours \(--hours\): found 0; expected a number above 0"):
        plan_training(data, hours=0)
    content = json.loads((data / "train.json").read_text())
    shutil.copytree(data / "train", tmp_path / "train")
    (tmp_path / "train.json").write_text(json.dumps(content | {"annotations": []}))
    with pytest.raises(SourceError, match="no object"):
        plan_training(tmp_path)


def test_training_without_a_model_says_why_and_options_are_stronger(data, tmp_path):
    run = tmp_path / "run"
    said = train(data, "--hours", 0.001, "--batch", 2, "--epochs", 2, "--set", "run.ema=0.5", "--out", run)
    assert "MODEL = maskzoo_r18_fpn_tiny: a CPU" in said and "run.batch = " not in said and "run.ema = " not in said
    text = (run / "model.yml").read_text()
    assert text.startswith("# MODEL = maskzoo_r18_fpn_tiny: ") and "# input.short_side = 96: " in text
    assert read_config(run / "model.yml").training.epochs == 2 and len(read_rows(run)) == 6
    train("--resume", run, "--epochs", 3)
    assert (run / "model.yml").read_text().startswith("# MODEL = ") and len(read_rows(run)) == 9


def test_a_model_alone_is_not_taken_for_data():
    said = train("maskzoo_r18_fpn_tiny", code=2)
    assert "found the model maskzoo_r18_fpn_tiny alone" in said


@pytest.mark.slow
def test_published_weights_that_are_here_are_begun_with(data, tmp_path, monkeypatch):
    row = read_row("mask_rcnn_r50_vd_fpn_ssld_2x_coco")
    file = tmp_path / "weights" / row.source.weights.rpartition("/")[2]
    file.parent.mkdir()
    file.write_bytes(b"planning does not read them")
    monkeypatch.setenv("MASKZOO_HOME", str(tmp_path))
    plan = plan_training(data, hours=0.001)
    assert plan.source == "mask_rcnn_r50_vd_fpn_ssld_2x_coco" and find(plan, "MODEL").reason == "published-weights"
    assert plan.config.network.backbone == row.network.backbone and plan.config.input.resize == "one_factor"
