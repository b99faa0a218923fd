"""What a model found becomes labels that a person corrects: its own folder, and result files of other tools."""

import json
from pathlib import Path

import pytest
from PIL import Image

import maskzoo
from labelled_sets import compare_sets, list_objects, make_masks, to_runs, write_set
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.importers.convert import convert_dataset
from maskzoo.datasets.predictions import INDEX, RESULTS, is_predictions, read_predictions
from maskzoo.errors import AnnotationsError, ArgumentError, MaskzooError, SourceError
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network


def make_rows(file):
    """Return the objects of a data set as result rows, with falling scores."""
    rows = json.loads(file.read_text())["annotations"]
    keys = ("image_id", "category_id", "segmentation", "bbox")
    return [{key: row[key] for key in keys} | {"score": 0.9 - place / 10} for place, row in enumerate(rows)]


@pytest.fixture
def photos(tmp_path):
    masks = make_masks()
    return write_set(tmp_path / "photos", {"a.png": [(masks["ring"], 0, {}), (masks["parts"], 1, {})], "b.png": []})


@pytest.fixture
def found(tmp_path, photos):
    """A folder as `maskzoo predict` leaves it: names of images as they were given to it."""
    data, folder = json.loads(photos.read_text()), tmp_path / "found"
    folder.mkdir()
    images = [row | {"file_name": str(tmp_path / "photos" / row["file_name"])} for row in data["images"]]
    (folder / INDEX).write_text(json.dumps({"info": {}, **data, "images": images, "annotations": []}))
    (folder / RESULTS).write_text(json.dumps(make_rows(photos)))
    return folder


def test_predictions_become_labels_with_their_scores(found, photos, tmp_path):
    made = convert_dataset(found, tmp_path / "labels", to="labelme")
    assert made.format == "predictions" and made.splits["train"].objects == 2 and made.splits["train"].empty_images == 1
    shapes = json.loads((tmp_path / "labels/a.json").read_text())["shapes"]
    assert {(shape["label"], shape["score"], shape["attributes"]["score"]) for shape in shapes} == {
        ("cat", 0.9, 0.9),
        ("dog", 0.8, 0.8),
    }
    assert (tmp_path / "labels/a.png").resolve() == tmp_path / "photos/a.png"
    convert_dataset(tmp_path / "labels", tmp_path / "back.json")
    assert compare_sets(list_objects(photos), list_objects(tmp_path / "back.json")) == []


def test_predictions_below_a_score_are_left_out_and_counted(found, tmp_path):
    made = convert_dataset(found, tmp_path / "out.csv", to="csv", score=0.85)
    assert made.splits["train"].objects == 1 and made.lost["below_score"] == 1


def test_predictions_become_a_coco_file_that_trains(found, photos, tmp_path):
    made = convert_dataset(found, tmp_path / "photos/proposals.json", to="coco")
    assert made.notes == () and made.lost == {}
    with pytest.raises(MaskzooError, match="exists already"):
        convert_dataset(found, tmp_path / "photos/proposals.json", to="coco")
    annotations = read_annotations(tmp_path / "photos/proposals.json")
    assert [annotations.file_name(image) for image in range(2)] == ["a.png", "b.png"]
    truth = read_annotations(photos)
    assert annotations.area.tolist() == truth.area.tolist() and annotations.bbox.tolist() == truth.bbox.tolist()
    assert [row[3] for row in list_objects(tmp_path / "photos/proposals.json")] == [{"score": 0.9}, {"score": 0.8}]


def test_results_of_another_tool_need_the_data_set_that_was_predicted(photos, tmp_path):
    results = tmp_path / "results.json"
    results.write_text(json.dumps(make_rows(photos)))
    assert is_predictions(results) and not is_predictions(photos)
    with pytest.raises(SourceError, match="--data FILE"):
        convert_dataset(results, tmp_path / "x.xml", to="cvat")
    made = convert_dataset(results, tmp_path / "x", to="labelme", data=photos)
    assert made.splits["train"].objects == 2 and (tmp_path / "x/a.png").is_file()
    other = tmp_path / "elsewhere/data.json"
    other.parent.mkdir()
    other.write_text(photos.read_text())
    made = convert_dataset(results, tmp_path / "y", to="labelme", data=other, images=photos.parent)
    assert (tmp_path / "y/a.png").resolve() == tmp_path / "photos/a.png"


@pytest.mark.parametrize("to", ["labelme", "cvat", "labelstudio", "via", "yolo"])
def test_what_a_network_finds_goes_to_a_tool_and_comes_back(tmp_path, to, monkeypatch):
    config = small_config(FPN, "limits.detections.score=0.0")
    write_checkpoint(tmp_path / "small.safetensors", small_network(config).state_dict(), config, {"source": "random"})
    (tmp_path / "photos").mkdir()
    for number in range(2):
        Image.fromarray(make_photo(60, 90, number)).save(tmp_path / "photos" / f"p{number}.png")
    monkeypatch.chdir(tmp_path)
    maskzoo.predict_folder(maskzoo.load(tmp_path / "small.safetensors"), Path("photos"), "found", score=0, save=("json",))
    convert_dataset("found", "found.json")
    before = list_objects(tmp_path / "found.json")
    made = convert_dataset("found", to, to=to)
    assert made.splits["train"].objects == len(before) > 5
    if to == "labelstudio":  # a person accepts the proposals
        tasks = json.loads((tmp_path / to / "tasks.json").read_text())
        accepted = [{"data": task["data"], "annotations": task["predictions"]} for task in tasks]
        (tmp_path / to / "tasks.json").write_text(json.dumps(accepted))
    classes = None if to in ("yolo", "cvat") else made.classes
    convert_dataset(to, "back.json", images=None if to in ("yolo", "labelme") else "photos", classes=classes)
    after = list_objects(tmp_path / "back.json")
    with_pixels = [one for one in before if one[-1].any()]
    assert compare_sets(with_pixels, after) == [] and len(after) == len(with_pixels)
    assert made.lost.get("empty", 0) == len(before) - len(with_pixels)
    if to != "yolo":
        assert sorted(float(one[3]["score"]) for one in after) == sorted(one[3]["score"] for one in with_pixels)


def test_pictures_that_moved_are_found_by_names_that_only_one_has(photos, found, tmp_path):
    index = json.loads((found / INDEX).read_text())
    for row in index["images"]:
        row["file_name"] = f"/elsewhere/{Path(row['file_name']).name}"
    (found / INDEX).write_text(json.dumps(index))
    convert_dataset(found, tmp_path / "x", to="labelme", images=photos.parent)
    assert (tmp_path / "x/a.png").resolve() == photos.parent / "a.png"
    index["images"][1]["file_name"] = "/other/a.png"
    (found / INDEX).write_text(json.dumps(index))
    made = convert_dataset(found, tmp_path / "y", to="labelme", images=photos.parent)
    assert not (tmp_path / "y/a.png").exists() and any("2 pictures are not there" in note for note in made.notes)


def test_what_is_no_result_is_named(found, photos, tmp_path):
    with pytest.raises(ArgumentError, match="leave out --data"):
        read_predictions(found, photos, 0)
    rows = make_rows(photos)
    for bad, said in (
        ({"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "score": 1}, "row 0 has no segmentation"),
        ({"image_id": 1, "category_id": 1, "segmentation": {}}, "expected an object with image_id, category_id and score"),
        (5, "row 0 is 5"),
    ):
        (found / RESULTS).write_text(json.dumps([bad]))
        with pytest.raises(SourceError, match=said):
            read_predictions(found, None, 0)
    rows[0]["image_id"] = 99
    rows[1]["segmentation"] = to_runs(make_masks()["ring"][:20], (20, 60)) | {"counts": "0"}
    (found / RESULTS).write_text(json.dumps(rows))
    with pytest.raises(AnnotationsError, match="--data") as caught:
        convert_dataset(found, tmp_path / "x", to="yolo")
    assert len(caught.value.faults) == 2
