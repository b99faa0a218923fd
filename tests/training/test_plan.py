"""Where a run finds its data."""

import json

import pytest

from maskzoo.config import RunSettings
from maskzoo.datasets.annotations import find_trainable
from maskzoo.errors import AnnotationsError, SourceError
from maskzoo.training.plan import make_plan
from maskzoo.zoo.rows import read_row
from small_runs import write_data


def test_annotations_written_elsewhere_find_both_splits_in_one_given_folder(tmp_path):
    write_data(tmp_path / "photos")
    (tmp_path / "cleaned").mkdir()
    for split in ("train", "val"):
        (tmp_path / "photos" / f"{split}.json").rename(tmp_path / "cleaned" / f"{split}.json")
    config = read_row("mask_rcnn_r50_fpn_1x_coco")
    plan = make_plan(config, RunSettings(), tmp_path / "cleaned", images=tmp_path / "photos")
    assert [plan.data[f"{split}_images"] for split in ("train", "val")] == [
        str(tmp_path / "photos" / split) for split in ("train", "val")
    ]
    with pytest.raises(SourceError, match=r"train\.json: its images were not found.*--images"):
        make_plan(config, RunSettings(), tmp_path / "cleaned", images=tmp_path / "cleaned")


def write_crowds(folder, count):
    """Write the data set with the first objects of each split as crowds."""
    write_data(folder)
    for split in ("train", "val"):
        data = json.loads((folder / f"{split}.json").read_text())
        for row in data["annotations"][:count]:
            row["iscrowd"] = 1
        (folder / f"{split}.json").write_text(json.dumps(data))
    return folder


def test_a_set_that_is_nonsense_as_a_whole_is_refused_before_the_run_begins(tmp_path):
    config, events = read_row("mask_rcnn_r50_fpn_1x_coco"), []
    folder = write_crowds(tmp_path / "all", 1000)
    with pytest.raises(AnnotationsError, match=r"annotations are crowds .*--crowds-as-objects"):
        make_plan(config, RunSettings(), folder)
    make_plan(config, RunSettings(), write_crowds(tmp_path / "some", 3), on_progress=events.append)
    assert "annotations are crowds (iscrowd 1)" in events[0].note


def test_a_plan_reads_crowds_as_objects_where_the_settings_say_so(tmp_path):
    folder = write_crowds(tmp_path / "all", 1000)
    plan = make_plan(read_row("mask_rcnn_r50_fpn_1x_coco"), RunSettings(crowds_as_objects=True), folder)
    assert find_trainable(plan.read("train")).all() and find_trainable(plan.read("val")).all()
