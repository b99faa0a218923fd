"""convert_dataset as a call of Python: what it returns, tells and refuses. Its files are tested with the command."""

import base64
import json

import numpy as np
import pytest
from PIL import Image

import maskzoo
from five_objects import write_pictures
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.errors import ArgumentError, ConfigError, MaskzooError, SourceError


@pytest.fixture
def source(tmp_path):
    """Return a YOLO set of two splits, one row of which makes no sense."""
    folder = tmp_path / "yolo"
    for split in ("train", "val"):
        for place in ("images", "labels"):
            (folder / place / split).mkdir(parents=True)
        Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(folder / f"images/{split}/{split}.png")
        (folder / f"labels/{split}/{split}.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n7 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat]\n")
    return folder


def test_files_counts_and_what_was_left_out_come_back_and_every_picture_is_told(source, tmp_path):
    events = []
    made = maskzoo.convert_dataset(source, tmp_path / "coco", on_progress=events.append)
    assert (made.format, made.classes, list(made.splits)) == ("yolo", ("cat",), ["train", "val"])
    assert len(read_annotations(made.splits["val"].file).ids) == made.splits["val"].objects == 1
    assert [row.row for row in made.skipped] == ["line 2", "line 2"]
    assert [(event.stage, event.done, event.total) for event in events] == [("Reading pictures", 1, 1)] * 2
    described = json.loads(json.dumps(made.to_dict()))
    assert described["splits"]["train"]["file"] == str(tmp_path / "coco/train.json")
    assert described["splits"]["train"]["skipped"][0]["row"] == "line 2"


def test_classes_can_be_a_list_a_text_or_a_file(source, tmp_path):
    (tmp_path / "names.txt").write_text("kitten\n")
    for place, classes in enumerate((["kitten"], "kitten", tmp_path / "names.txt", str(tmp_path / "names.txt"))):
        assert maskzoo.convert_dataset(source, tmp_path / f"coco{place}", classes=classes).classes == ("kitten",)


def test_calls_that_cannot_be_meant_are_refused(source, tmp_path):
    with pytest.raises(ArgumentError, match="'pascal'; expected one of"):
        maskzoo.convert_dataset(source, tmp_path / "coco", format="pascal")
    with pytest.raises(ArgumentError, match="each once"):
        maskzoo.convert_dataset(source, tmp_path / "coco", classes="cat,cat")
    with pytest.raises(ArgumentError, match="voc has no boxes without an outline"):
        maskzoo.convert_dataset(source, tmp_path / "coco", format="voc", boxes="masks")
    with pytest.raises(ArgumentError, match="boxes is 'all'; expected one of masks, crowds, skip"):
        maskzoo.convert_dataset(source, tmp_path / "coco", boxes="all")
    with pytest.raises(ArgumentError, match="parts is 'all'; expected one of one, each"):
        maskzoo.convert_dataset(source, tmp_path / "coco", parts="all")
    for option in ({"parts": "one"}, {"threshold": 9}, {"class_attribute": "kind"}):
        with pytest.raises(ArgumentError, match=r"yolo .*leave out --"):
            maskzoo.convert_dataset(source, tmp_path / "coco", **option)
    with pytest.raises(SourceError, match="give a folder as OUT"):
        maskzoo.convert_dataset(source, tmp_path / "one.json")
    assert not (tmp_path / "coco").exists()


def test_a_source_without_a_usable_picture_says_why(source, tmp_path):
    for path in source.rglob("*.png"):
        path.unlink()
    with pytest.raises(SourceError, match=r"no picture of the source can be used.*\n.*images/train: no picture lies there"):
        maskzoo.convert_dataset(source, tmp_path / "coco")


def test_what_the_source_says_wrongly_is_a_note(source, tmp_path):
    (source / "data.yaml").write_text("train: images/train\nval: images/val\ntest: images/test\nnames: [cat]\n")
    assert "test was left out" in maskzoo.convert_dataset(source, tmp_path / "coco").notes[0]


def test_pictures_inside_label_files_are_written_beside_the_result_and_overwrite_nothing(tmp_path):
    write_pictures(tmp_path, ["a1.jpg"])
    content = (tmp_path / "a1.jpg").read_bytes()
    (tmp_path / "a1.jpg").unlink()
    shape = {"label": "dent", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    label_file = {"shapes": [shape], "imagePath": "a1.jpg", "imageData": base64.b64encode(content).decode()}
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a1.json").write_text(json.dumps(label_file))
    made = maskzoo.convert_dataset(tmp_path / "labels", tmp_path / "coco.json")
    assert (tmp_path / "coco_pictures/a1.jpg").read_bytes() == content
    assert made.notes == (f"Pictures that lay inside the labels, written to {tmp_path / 'coco_pictures'}: a1.jpg",)
    data = json.loads((tmp_path / "coco.json").read_text())
    assert data["images"][0]["file_name"] == "coco_pictures/a1.jpg"
    (tmp_path / "coco.json").unlink()
    with pytest.raises(MaskzooError, match=r"a1\.jpg: exists already"):
        maskzoo.convert_dataset(tmp_path / "labels", tmp_path / "coco.json")
    assert not (tmp_path / "coco.json").exists()
    maskzoo.convert_dataset(tmp_path / "labels", tmp_path / "coco.json", force=True)


def test_the_attribute_that_is_the_class_is_an_option_of_its_formats_alone(source, tmp_path):
    with pytest.raises(ArgumentError, match="yolo says itself what an object's class is; leave out --class-attribute"):
        maskzoo.convert_dataset(source, tmp_path / "coco", class_attribute="kind")
    write_pictures(tmp_path / "via", ["a1.jpg"])
    shape = {"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 9]}
    regions = [{"shape_attributes": shape, "region_attributes": {"kind": "cat", "colour": "red"}}]
    files = {"a1.jpg1": {"filename": "a1.jpg", "size": 1, "regions": regions}}
    (tmp_path / "via/via_region_data.json").write_text(json.dumps(files))
    assert maskzoo.convert_dataset(tmp_path / "via", tmp_path / "coco", class_attribute="colour").classes == ("red",)


def test_a_class_map_renames_merges_and_drops_the_classes_of_a_source(source, tmp_path):
    (source / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat, cone, dog]\n")
    (source / "labels/train/train.txt").write_text("".join(f"{label} 0.1 0.1 0.5 0.1 0.5 0.5\n" for label in (0, 1, 2, 2)))
    (source / "labels/val/val.txt").write_text("1 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (tmp_path / "map.yml").write_text("person: cone\npet: [dog, cat]\n")
    made = maskzoo.convert_dataset(source, tmp_path / "coco", classes=tmp_path / "map.yml")
    assert made.classes == ("person", "pet") and "pet from dog + cat" in made.notes[0]
    assert read_annotations(made.splits["train"].file).labels.tolist() == [1, 0, 1, 1]
    made = maskzoo.convert_dataset(source, tmp_path / "less", classes={"dog": None, "rest": "drop"})
    assert (made.splits["train"].objects, made.splits["val"].objects, made.splits["val"].empty_images) == (2, 0, 1)
    assert read_annotations(made.splits["train"].file).classes.to_classes() == {1: "dog"}
    with pytest.raises(ConfigError, match="no class is called 'hog'; did you mean dog"):
        maskzoo.convert_dataset(source, tmp_path / "none", classes={"pet": "hog", "rest": "drop"})
    (tmp_path / "list.yml").write_text("- kitten\n- pylon\n- puppy\n")
    assert maskzoo.convert_dataset(source, tmp_path / "named", classes=tmp_path / "list.yml").classes[1] == "pylon"
