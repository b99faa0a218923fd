"""Where a run finds its data."""

import json

import pytest

from maskzoo.config import RunSettings
from maskzoo.datasets.annotations import find_trainable
from maskzoo.errors import AnnotationsError, ConfigError, SourceError
from maskzoo.training.plan import make_plan
from maskzoo.training.run_folder import RunFolder
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
    config = read_row("mask_rcnn_r50_fpn_1x_coco")
    folder = write_crowds(tmp_path / "all", 1000)
    with pytest.raises(AnnotationsError, match=r"annotations are crowds .*--crowds-as-objects"):
        make_plan(config, RunSettings(), folder)
    plan = make_plan(config, RunSettings(), write_crowds(tmp_path / "some", 3))
    assert "annotations are crowds (iscrowd 1)" in plan.notes[0]


def test_a_plan_reads_crowds_as_objects_where_the_settings_say_so(tmp_path):
    folder = write_crowds(tmp_path / "all", 1000)
    plan = make_plan(read_row("mask_rcnn_r50_fpn_1x_coco"), RunSettings(crowds_as_objects=True), folder)
    assert find_trainable(plan.read("train")).all() and find_trainable(plan.read("val")).all()


def write_classes(folder, split, names, objects):
    """Write a split whose categories are `names`, with an object of each class in `objects`."""
    write_data(folder, **{"train": 0, "val": 0, split: len(objects)})
    content = json.loads((folder / f"{split}.json").read_text())
    content["categories"] = [{"id": number, "name": name} for number, name in names.items()]
    rows = {row["image_id"]: row for row in content["annotations"]}
    number = {name: number for number, name in names.items()}
    content["annotations"] = [row | {"category_id": number[name]} for row, name in zip(rows.values(), objects, strict=True)]
    (folder / f"{split}.json").write_text(json.dumps(content))


def plan_classes(folder, **options):
    return make_plan(read_row("mask_rcnn_r50_fpn_1x_coco"), RunSettings(), folder, **options)


def test_a_class_that_val_lacks_is_joined_by_name_and_said(tmp_path):
    write_classes(tmp_path, "train", {1: "scratch", 2: "dent"}, ["scratch", "dent", "scratch"])
    write_classes(tmp_path, "val", {1: "Dent"}, ["Dent"])
    plan = plan_classes(tmp_path)
    assert plan.config.classes == {1: "scratch", 2: "dent"} and plan.renamed is None
    assert "val has no class scratch" in plan.notes[0] and "'Dent' for 'dent'" in plan.notes[0]


def test_a_class_that_train_lacks_comes_last_and_is_said_not_to_be_learned(tmp_path):
    write_classes(tmp_path, "train", {3: "dent"}, ["dent"])
    write_classes(tmp_path, "val", {3: "dent", 1: "hole", 0: "shapes"}, ["hole", "dent"])
    plan = plan_classes(tmp_path)
    assert plan.config.classes == {3: "dent", 1: "hole"}
    assert "cannot be learned" in plan.notes[0] and "shapes has no object" in plan.notes[0]


def test_classes_of_splits_that_may_be_the_same_are_refused(tmp_path):
    write_classes(tmp_path, "train", {1: "scratch", 2: "dent"}, ["scratch", "dent"])
    write_classes(tmp_path, "val", {1: "scratch", 2: "Delle"}, ["Delle"])
    with pytest.raises(ConfigError, match=r"2 is 'dent' in train and 'Delle' in val.*--classes map\.yml"):
        plan_classes(tmp_path)
    plan = plan_classes(tmp_path, classes={"dent": ["dent", "Delle"], "rest": "keep"})
    assert plan.config.classes == {2: "dent", 1: "scratch"}
    assert plan.renamed == {"dent": "dent", "Delle": "dent", "scratch": "scratch"} and "dent + Delle" in plan.notes[0]


def test_the_class_map_of_a_run_is_written_down_and_read_again(tmp_path):
    write_classes(tmp_path / "data", "train", {1: "scratch", 2: "dent", 4: "dust"}, ["scratch", "dent", "dust"])
    write_classes(tmp_path / "data", "val", {7: "dent"}, ["dent"])
    (tmp_path / "map.yml").write_text("damage: [dent, scratch]\ndrop: dust\n")
    folder = RunFolder(tmp_path / "run")
    folder.begin(plan_classes(tmp_path / "data", classes=tmp_path / "map.yml"))
    plan = folder.read_plan()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["classes_renamed"] == {
        "dent": "damage", "scratch": "damage", "dust": None,
    }  # fmt: skip
    assert plan.config.classes == {1: "damage"} and "left out: dust" in plan.notes[0]
    for split, objects in (("train", 2), ("val", 1)):
        annotations = plan.read(split)
        assert annotations.classes.to_classes() == plan.config.classes and annotations.labels.tolist() == [0] * objects
