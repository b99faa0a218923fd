"""`maskzoo.check_dataset`: a data set by its path, a report as data, cleaned files and a page if asked for."""

import inspect
import json

import pytest

import maskzoo
from faulty_data import make_faulty, make_sound, rewrite
from five_objects import HEIGHT, WIDTH, write_pictures
from truth_set import make_truth, write_truth


@pytest.fixture
def faulty(tmp_path):
    """A data set of two splits, one of them faulty."""
    (tmp_path / "set").mkdir()
    make_faulty(tmp_path / "set")
    make_sound(tmp_path / "set", "val", first=50)
    return tmp_path / "set"


def test_a_data_set_is_checked_cleaned_and_shown_by_one_call(faulty, tmp_path):
    events = []
    out, page = tmp_path / "out", tmp_path / "page.html"
    report = maskzoo.check_dataset(str(faulty), fix=str(out), page=page, on_progress=events.append)
    assert isinstance(report, maskzoo.DatasetReport) and all(isinstance(one, maskzoo.Fault) for one in report.problems)
    assert list(report.splits) == ["train", "val"] and report.errors > 20 and report.data == faulty
    assert {split: fixed.file for split, fixed in report.fixed.items()} == {
        "train": out / "train.json",
        "val": out / "val.json",
    }
    assert report.page == page and page.read_text().startswith("<!DOCTYPE html>")
    assert {event.stage for event in events} == {"Reading annotations", "Reading images", "Comparing splits"}
    again = maskzoo.check_dataset(out, images=faulty)
    assert again.errors == 0 and (again.fixed, again.page) == ({}, None)


def test_the_report_is_json_with_what_was_changed_and_left(faulty, tmp_path):
    printed = maskzoo.check_dataset(faulty / "train.json", fix=tmp_path / "cleaned.json").to_dict()
    assert json.loads(json.dumps(printed, allow_nan=False)) == printed
    fixed = printed["fixed"]["train"]
    assert fixed["file"] == str(tmp_path / "cleaned.json") and fixed["left"] == []
    new_id = {"table": "annotations", "why": "duplicate-annotation-id", "action": "new id", "count": 1}
    assert new_id in fixed["changes"]


def test_nothing_is_written_or_printed_unless_asked_for(faulty, capsys):
    before = sorted(faulty.rglob("*"))
    maskzoo.check_dataset(faulty, duplicates=False)
    assert sorted(faulty.rglob("*")) == before
    assert capsys.readouterr() == ("", "")


def test_the_signature_is_the_promise():
    signature = inspect.signature(maskzoo.check_dataset)
    assert list(signature.parameters) == [
        "data",
        "images",
        "classes",
        "duplicates",
        "fix",
        "crowds_as_objects",
        "page",
        "on_progress",
    ]
    kinds = {name: parameter.kind.name for name, parameter in signature.parameters.items() if name != "data"}
    assert set(kinds.values()) == {"KEYWORD_ONLY"}


LAYOUTS = {  # where tools put the annotations and the images of each split, %s being an image's name
    "PaddleDetection x2coco": [("annotations/instance_train.json", "train/%s"), ("annotations/instance_val.json", "val/%s")],
    "FiftyOne": [("labels.json", "data/%s")],
    "FiftyOne with splits": [("train/labels.json", "train/data/%s"), ("validation/labels.json", "validation/data/%s")],
    "mmdetection": [("train/annotation_coco.json", "train/%s"), ("val/annotation_coco.json", "val/%s")],
    "Roboflow": [("train/_annotations.coco.json", "train/%s"), ("valid/_annotations.coco.json", "valid/%s")],
    "CVAT": [("annotations/instances_default.json", "images/default/%s")],
    "Datumaro": [("annotations/instances_train.json", "images/train/%s"), ("annotations/instances_val.json", "images/val/%s")],
    "Label Studio": [("result.json", "images/%s")],
    "labelme2coco": [("annotations.json", "JPEGImages/%s")],
    "Supervisely": [("ds1/annotations/instances.json", "ds1/images/%s")],
    "unpacked": [("set/annotations/instances_train2017.json", "set/train2017/%s")],
    "split above": [("train/annotations/coco.json", "train/images/%s"), ("test/annotations/coco.json", "test/images/%s")],
    "images above": [("images/train/_annotations.coco.json", "images/train/%s")],
}


@pytest.mark.parametrize("tool", LAYOUTS)
def test_the_files_and_images_of_every_tools_layout_are_found(tmp_path, tool):
    for place, (file, image) in enumerate(LAYOUTS[tool]):
        rows = []
        for number in range(2 - place):
            name = f"{'ab'[place]}{number}.jpg"
            write_pictures((tmp_path / image).parent, [name])
            rows.append({"id": number + 1, "file_name": name, "height": HEIGHT, "width": WIDTH})
        content = {"images": rows, "annotations": [], "categories": [{"id": 1, "name": "scratch"}]}
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(json.dumps(content))
    report = maskzoo.check_dataset(tmp_path, duplicates=False)
    assert [facts.file for facts in report.splits.values()] == [tmp_path / file for file, _ in LAYOUTS[tool]]
    for facts, (_, image) in zip(report.splits.values(), LAYOUTS[tool], strict=True):
        assert facts.folder.resolve() == (tmp_path / image).parent.resolve()
    assert not {"no-images-folder", "missing-image"} & {fault.code for fault in report.problems}


@pytest.mark.parametrize("name", ["annotations.xml", "."])
def test_a_file_or_folder_of_another_format_is_called_by_its_name(tmp_path, name):
    (tmp_path / "annotations.xml").write_text("<annotations><version>1.1</version><image id='0'/></annotations>")
    with pytest.raises(maskzoo.SourceError, match=r"is CVAT's XML; convert it first: maskzoo data convert"):
        maskzoo.check_dataset(tmp_path / name)


def test_names_that_a_page_cannot_write_are_told(tmp_path):
    file, data = make_sound(tmp_path)
    data["categories"][0]["name"] = "\U000f1234"  # of private use: no font has it
    rewrite(file, data)
    notes = []
    maskzoo.check_dataset(file, page=tmp_path / "page.html", on_progress=lambda event: notes.append(event.note))
    assert any(note and "1 class name cannot be written" in note for note in notes)


def test_a_folder_of_any_name_that_is_a_link_to_elsewhere_is_outside_and_not_missing(tmp_path, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    write_truth(store, make_truth())
    (tmp_path / "train.json").write_text((store / "train.json").read_text())
    (tmp_path / "photos").symlink_to(store)
    report = maskzoo.check_dataset(tmp_path)
    assert report.count()["outside-image"] == 3 and "missing-image" not in report.count()
    assert not maskzoo.check_dataset(tmp_path, images=tmp_path / "photos").errors
