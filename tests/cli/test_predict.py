"""`maskzoo predict` and `convert` end to end, with a small input and random weights."""

import io
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from maskzoo.cli import main
from maskzoo.images.read import read_image
from maskzoo.models.build import build
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.rows import read_row


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Write a checkpoint whose network finds objects of about equal, small scores everywhere."""
    config = read_row("mask_rcnn_r50_fpn_1x_coco")
    limits = config.limits
    small = {
        "input": config.input.model_copy(update={"short_side": 64, "long_side": 96}),
        "limits": limits.model_copy(
            update={
                "proposals": limits.proposals.model_copy(update={"total": 20}),
                "detections": limits.detections.model_copy(update={"score": 0.0, "total": 5}),
            }
        ),
    }
    config = config.model_copy(update=small)
    network = build(config.network, len(config.classes), config.limits)
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(tensor.shape, generator=generator) * 0.01 if tensor.ndim > 1 else torch.ones_like(tensor)
        for name, tensor in network.state_dict().items()
    }
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    write_checkpoint(path, tensors, config, {"source": "random"})
    return path


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Work in a folder with two images of equal stems, one of another, and one that is damaged."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("a/x.jpg", "b/x.png", "y.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 60, 3)).astype(np.uint8)).save(tmp_path / name)
    (tmp_path / "damaged.jpg").write_bytes((tmp_path / "a" / "x.jpg").read_bytes()[:400])
    return tmp_path


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own, under NumPy 2
def test_pictures_and_coco_results_are_saved_and_a_table_is_printed(run, model, photos, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    before = (photos / "y.png").read_bytes()
    code, out, err = run("predict", model, "a/x.jpg", "b/x.png", ".", "--score", "0")
    assert code == 3  # damaged.jpg
    assert "damaged.jpg: the JPEG is damaged or truncated" in err and "1 of 4 images" in err
    results = photos / "maskzoo-predictions"
    assert sorted(path.name for path in results.iterdir()) == [
        "images.json", "predictions.json", "x-2.jpg", "x.jpg", "y.jpg",
    ]  # fmt: skip
    assert (photos / "y.png").read_bytes() == before
    for name in ("x.jpg", "x-2.jpg", "y.jpg"):
        assert read_image(results / name).shape == (40, 60, 3)
    for text in ("a/x.jpg", "b/x.png", "60 x 40", "3 images, 15 objects", "maskzoo-predictions"):
        assert text in out

    coco = COCO(str(results / "images.json"))
    found = coco.loadRes(str(results / "predictions.json"))
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["a/x.jpg", "b/x.png", "y.png"]
    assert len(found.getAnnIds()) == 15 and set(found.getCatIds()) == set(coco.getCatIds())
    for annotation in found.loadAnns(found.getAnnIds()):
        assert found.annToMask(annotation).shape == (40, 60)


def test_json_is_alone_on_standard_output_and_counts_as_the_score_says(run, model, photos):
    code, out, err = run("predict", model, "y.png", "damaged.jpg", "--score", "0", "--save", "none", "--json")
    assert code == 3 and "damaged.jpg" in err
    printed = json.loads(out)
    assert [failure["source"] for failure in printed["failed"]] == ["damaged.jpg"]
    (image,) = printed["images"]
    assert (image["source"], image["height"], image["width"]) == ("y.png", 40, 60)
    assert len(image["detections"]) == 5
    assert not (photos / "maskzoo-predictions").exists()

    code, out, err = run("predict", model, "y.png", "--save", "none", "--json", "--score", "0.9")
    assert code == 0 and err.startswith("Running on eager, float32, the fastest measured") and err.count("\n") == 1
    assert json.loads(out)["images"][0]["detections"] == []


def test_only_the_named_classes_are_saved_best_first_and_others_are_refused(run, model, photos):
    code, out, _ = run("predict", model, "y.png", "--score", "0", "--save", "none", "--json")
    every = json.loads(out)["images"][0]["detections"]
    scores = [row["score"] for row in every]
    assert code == 0 and scores == sorted(scores, reverse=True)
    name = every[-1]["name"]
    code, out, _ = run("predict", model, "y.png", "--score", "0", "--save", "none", "--json", "--classes", name)
    assert json.loads(out)["images"][0]["detections"] == [row for row in every if row["name"] == name]
    code, _, err = run("predict", model, "y.png", "--classes", name + ",nothing-like-it")
    assert code == 2 and "has no class 'nothing-like-it'" in err and not (photos / "maskzoo-predictions").exists()


def test_an_image_on_standard_input_is_read(run, model, photos, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((photos / "y.png").read_bytes())))
    code, out, _ = run("predict", model, "-", "--out", "found", "--save", "image", "--batch", "2")
    assert code == 0 and "1 image, " in out
    assert [path.name for path in (photos / "found").iterdir()] == ["stdin.jpg"]


def test_without_any_detection_the_results_are_empty_but_there(run, model, photos):
    assert run("predict", model, "y.png", "--score", "1", "--save", "json", "--out", "empty")[0] == 0
    assert json.loads((photos / "empty" / "predictions.json").read_text()) == []
    assert len(json.loads((photos / "empty" / "images.json").read_text())["images"]) == 1


def test_an_override_reaches_the_model(run, model, photos):
    arguments = ("predict", model, "y.png", "--score", "0", "--save", "none", "--json")
    _, out, _ = run(*arguments, "--set", "limits.detections.total=2")
    assert len(json.loads(out)["images"][0]["detections"]) == 2
    code, _, err = run(*arguments, "--set", "limits.detections.totl=2")
    assert code == 1 and "total" in err


def test_a_missing_model_or_source_is_an_error_before_anything_is_written(run, model, photos):
    code, _, err = run("predict", model, "none.png")
    assert code == 1 and "none.png" in err
    code, _, err = run("predict", "no_such_model", "y.png")
    assert code == 1 and "no_such_model" in err
    code, _, err = run("convert", "none.pdparams", "out.safetensors")
    assert code == 1 and "none.pdparams" in err
    assert not (photos / "maskzoo-predictions").exists() and not (photos / "out.safetensors").exists()


def test_a_data_set_is_predicted_under_its_own_ids(run, model, photos):
    names = ["a/x.jpg", "b/x.png", "y.png"]
    images = [
        {"id": number, "file_name": name, "height": 40, "width": 60} for number, name in zip((9, 5, 7), names, strict=True)
    ]
    config = read_row("mask_rcnn_r50_fpn_1x_coco")
    moved = {number: 1000 - number for number in config.classes}  # the same classes under other ids
    categories = [{"id": moved[number], "name": name} for number, name in config.classes.items()]
    data = {"images": images, "annotations": [], "categories": categories}
    (photos / "val.json").write_text(json.dumps(data))
    options = ("--score", "0", "--save", "json")
    code, out, err = run("predict", model, "val.json", "--json", "--out", "set", *options)
    assert code == 0 and "matched by name" in err
    rows = json.loads((photos / "set" / "predictions.json").read_text())
    assert [row["image_id"] for row in rows] == [5] * 5 + [7] * 5 + [9] * 5
    assert run("predict", model, "b/x.png", "y.png", "a/x.jpg", "--out", "plain", *options)[0] == 0
    plain = json.loads((photos / "plain" / "predictions.json").read_text())
    assert [row["category_id"] for row in rows] == [moved[row["category_id"]] for row in plain]
    assert [row["segmentation"] for row in rows] == [row["segmentation"] for row in plain]
    shown = [found["category_id"] for image in json.loads(out)["images"] for found in image["detections"]]
    assert shown == [row["category_id"] for row in rows]
    index = json.loads((photos / "set" / "images.json").read_text())
    assert {image["id"]: image["file_name"] for image in index["images"]} == {5: "b/x.png", 7: "y.png", 9: "a/x.jpg"}
    assert index["categories"] == categories

    (photos / "sets").mkdir()
    images[2]["height"] = 41
    (photos / "sets" / "val.json").write_text(json.dumps(data | {"categories": categories[:3]}))
    code, out, err = run("predict", model, "sets/val.json", "--images", ".", "--out", "some", *options)
    assert code == 3 and "y.png: found a photo of 60 x 40 pixels" in err and "category ids the model's" in err
    rows = json.loads((photos / "some" / "predictions.json").read_text())
    assert [row["image_id"] for row in rows] == [5] * 5 + [9] * 5
    assert [row["category_id"] for row in rows[:5]] == [row["category_id"] for row in plain[:5]]


def test_a_data_set_is_predicted_alone(run, model, photos):
    (photos / "val.json").write_text("{}")
    code, _, err = run("predict", model, "val.json", "y.png")
    assert code == 1 and "expected it alone" in err
    code, _, err = run("predict", model, "y.png", "--images", "a")
    assert code == 2 and "--images belongs to a data set" in err
    code, _, err = run("predict", model, "val.json")
    assert code == 1 and "val.json: file: found an object with none of the tables; expected a COCO instances file" in err
    code, _, err = run("predict", model, "none.json")
    assert code == 1 and "none.json" in err


def test_an_older_index_never_stands_beside_newer_results(run, model, photos):
    out = photos / "found"
    out.mkdir()
    (out / "images.json").write_text("of an earlier call")
    (out / "predictions.json").mkdir()  # so that writing fails half way
    code, _, err = run("predict", model, "y.png", "--save", "json", "--out", "found")
    assert code == 1 and "predictions.json" in err and not (out / "images.json").exists()


def test_names_that_no_font_can_write_are_told_once_and_pictures_are_drawn(run, model, photos):
    classes = "classes={" + ", ".join(f"{number}: '{chr(0xF1000 + number)}'" for number in range(80)) + "}"
    options = ["--set", classes, "--score", "0", "--out", "found"]
    code, _, err = run("predict", model, "a/x.jpg", "b/x.png", *options)
    assert code == 0 and err.count("80 class names cannot be written on pictures") == 1
    assert len(list((photos / "found").glob("*.jpg"))) == 2
    code, _, err = run("predict", model, "a/x.jpg", "--font", "a/x.jpg", "--out", "other")
    assert code == 1 and "cannot be read as a font" in err and not (photos / "other").exists()


def test_a_data_set_of_some_of_the_models_classes_is_predicted_under_the_models_ids(run, model, photos):
    image = {"id": 5, "file_name": "y.png", "height": 40, "width": 60}
    (photos / "some.json").write_text(
        json.dumps({"images": [image], "annotations": [], "categories": [{"id": 7, "name": "person"}]})
    )
    code, _, err = run("predict", model, "some.json", "--images", ".", "--score", "0", "--save", "json", "--out", "found")
    assert code == 0 and "category ids the model's" in err and "79 classes of" in err
    index = json.loads((photos / "found" / "images.json").read_text())
    assert len(index["categories"]) == 80 and index["images"][0]["id"] == 5


def test_tiles_and_views_are_predicted_as_asked(model, photos, run):
    options = ("--score", "0", "--save", "none", "--json", "--tile", "32", "--overlap", "0.5")
    code, out, _ = run("predict", model, "y.png", *options, "--augment", "flip", "--scales", "0.8,1.2")
    (image,) = json.loads(out)["images"]
    assert code == 0 and (image["width"], image["height"]) == (60, 40)
    assert image["detections"] and all(row["segmentation"]["size"] == [40, 60] for row in image["detections"])


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--tile", "half", "pixels"),
        ("--tile", "8", "32 or more"),
        ("--overlap", "1.5", "0 to 0.8"),
        ("--augment", "turn", "flip"),
        ("--scales", "large", "0.8,1.2"),
        ("--scales", "99", "0.1 to 10"),
    ],
)
def test_tiles_and_views_that_cannot_be_are_a_wrong_call(model, photos, run, option, value, expected):
    more = ("--tile", "32") if option == "--overlap" else ()
    code, _, err = run("predict", model, "y.png", option, value, *more, "--save", "none")
    assert code == 2 and expected in " ".join(err.split())
