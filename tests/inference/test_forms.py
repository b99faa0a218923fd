"""What a folder run found, in the forms of other programs, straight from `predict`."""

import json
import tarfile

import numpy as np
import pytest
from PIL import Image

import maskzoo
from geotiffs import UTM, write_geotiff
from labelled_sets import compare_sets, list_objects
from maskzoo.datasets.exporters.formats import EXPORTERS
from maskzoo.datasets.importers.convert import convert_dataset
from maskzoo.errors import ArgumentError, MaskzooError
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network

OBJECTS = 4  # at most of a photo: enough to differ


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    config = small_config(FPN, "limits.detections.score=0.0", f"limits.detections.total={OBJECTS}")
    write_checkpoint(path, small_network(config).state_dict(), config, {"source": "random"})
    return maskzoo.load(path)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos/in").mkdir(parents=True)
    for number, name in enumerate(("a.png", "in/a.png", "b.jpg")):
        Image.fromarray(make_photo(60, 90, number)).save(tmp_path / "photos" / name)
    write_geotiff(tmp_path / "photos/tile.tif", make_photo(60, 90, 9), keys=UTM)
    return tmp_path / "photos"


def predict(predictor, photos, *save, out="found", **options):
    return maskzoo.predict_folder(predictor, photos, out, save=save, score=0, **options)


def test_every_form_is_what_converting_the_results_gives(predictor, photos, tmp_path):
    run = predict(predictor, ["photos", "photos/in"], "json", *EXPORTERS)
    assert [form.to for form in run.forms] == sorted(EXPORTERS) and run.saved == tuple(sorted(["json", *EXPORTERS]))
    convert_dataset("found", tmp_path / "again.json", to="coco")
    expected = [one for one in list_objects(tmp_path / "again.json") if one[-1].any()]
    assert run.images == 4 and len(expected) > 5
    found = [one for one in list_objects(tmp_path / "found/coco/train.json") if one[-1].any()]
    assert compare_sets(expected, found, least=1) == [] and len(found) == len(expected)
    for form in ("labelme", "masks", "yolo"):
        back = convert_dataset(f"found/{form}", tmp_path / f"{form}.json")
        assert back.splits["train"].images == 4
        if form == "labelme":
            assert compare_sets(expected, list_objects(tmp_path / "labelme.json")) == []
    features = json.loads((tmp_path / "found/geojson/objects.geojson").read_text())["features"]
    assert features and {feature["properties"]["picture"] for feature in features} == {"photos/tile.tif"}
    cut = list((tmp_path / "found/cutouts").rglob("*.png"))
    assert len(cut) == len(expected) and all(np.asarray(Image.open(path)).shape[2] == 4 for path in cut)
    assert not any("object_ids" in form.lost for form in run.forms)
    assert set(run.to_dict()["forms"]) == set(EXPORTERS)


def test_a_form_alone_writes_nothing_else(predictor, photos, tmp_path):
    run = predict(predictor, photos, "cutouts")
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["cutouts"] and run.written == ()


def test_labels_that_lie_there_are_not_written_over(predictor, photos, tmp_path):
    predict(predictor, photos, "labelme")
    (tmp_path / "found/labelme/a.json").write_text("corrected")
    with pytest.raises(MaskzooError, match=r"labelme: is not empty.*choose another --out"):
        predict(predictor, photos, "labelme")
    assert (tmp_path / "found/labelme/a.json").read_text() == "corrected"


def test_a_call_that_broke_off_while_it_wrote_a_form_goes_on(predictor, photos, tmp_path):
    def stop(event):
        if event.stage == "Writing" and event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(predictor, photos, "labelme", on_progress=stop)
    assert list((tmp_path / "found/labelme").rglob("*.json"))
    notes = []
    predict(predictor, photos, "labelme", on_progress=lambda event: notes.append(event.note))
    assert any("Going on after 3 of 3 images" in note for note in notes)
    assert len(list((tmp_path / "found/labelme").rglob("*.json"))) == 3


def test_images_of_an_archive_are_named_and_what_needs_their_pixels_is_counted(predictor, photos, tmp_path):
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        archive.add(photos / "b.jpg", "b.jpg")
    run = predict(predictor, tmp_path / "photos.tar", "cutouts", "csv")
    lost = {form.to: form.lost for form in run.forms}
    assert lost["cutouts"]["unread"] == run.objects > 0 and "unread" not in lost["csv"]


def test_a_form_that_is_none_is_refused_with_those_that_are(predictor, photos):
    with pytest.raises(ArgumentError, match=r"save \(--save\): found .*labelmee.*expected some of image, json, coco, yolo"):
        predict(predictor, photos, "labelmee")


def test_where_no_image_can_be_read_no_form_is_written(predictor, photos, tmp_path):
    (tmp_path / "broken.png").write_bytes((photos / "a.png").read_bytes()[:100])
    run = predict(predictor, tmp_path / "broken.png", "csv")
    assert len(run.failed) == 1 and run.forms == () and not np.any([path.is_dir() for path in (tmp_path / "found").iterdir()])
