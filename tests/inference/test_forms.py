"""What a folder run found, in the forms of other programs, straight from `predict`."""

import csv
import glob
import json
import os
import tarfile
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import maskzoo
from geotiffs import UTM, write_geotiff
from labelled_sets import compare_sets, list_objects, make_masks
from maskzoo.datasets.exporters.formats import EXPORTERS
from maskzoo.datasets.importers.convert import convert_dataset
from maskzoo.datasets.polygons import Polygon, rasterize
from maskzoo.datasets.predictions import to_annotation
from maskzoo.datasets.rle import decode_runs, encode_polygons
from maskzoo.errors import ArgumentError, MaskzooError, SourceError
from maskzoo.inference.forms import write_forms
from maskzoo.progress import say_nothing
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network
from oracle import Oracle

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


ODD_CLASSES = ("person, adult", '"car"', "train/tram", "猫 & <dog>", "it's #5%")
READ_BACK = ("yolo", "labelme", "voc", "via", "cvat", "masks")


def write_odd_photos(folder):
    """Write photos of awkward objects in awkward files, whose colours are the objects' numbers; return the masks by name."""
    numbers = np.zeros((40, 60), np.uint16)
    for number, mask in enumerate(make_masks().values(), 1):
        numbers[mask > 0] = number
    scene = np.stack([numbers, np.zeros_like(numbers), numbers % 5 * (numbers > 0)], axis=2).astype(np.uint8)
    (folder / "in dir").mkdir(parents=True)
    alpha = np.zeros((40, 60, 1), np.uint8)
    alpha[:, 30:] = 255
    Image.fromarray(np.concatenate([scene, alpha], axis=2)).save(folder / 'a, "b" & <c>;d.png')
    exif = Image.Exif()
    exif[274] = 6  # stored lying on its side
    Image.fromarray(scene).transpose(Image.Transpose.ROTATE_90).save(folder / "照片 é.png", exif=exif)
    deep = scene.astype(np.uint16) << 8 | np.random.default_rng(0).integers(0, 256, scene.shape).astype(np.uint16)
    place = [(33550, "d", 3, (0.5, 0.5, 0)), (33922, "d", 6, (0, 0, 0, 400000, 5800000, 0))]
    place.append((34735, "H", 16, (1, 1, 0, 3, *(number for key, value in UTM for number in (key, 0, 1, value)))))
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(folder / "in dir/deep's.tif", deep, photometric="rgb", compression="zlib", extratags=place)
    Image.new("RGB", (60, 40)).save(folder / "nothing #1%+.png")
    return [(int(number) % 5, numbers == number) for number in np.unique(numbers[numbers > 0])]


def test_awkward_objects_names_and_files_come_back_from_every_form(tmp_path, monkeypatch):
    """Holes, parts, one pixel, corners, edges; commas, quotes, signs; alpha, EXIF, 16 bits; a photo without objects."""
    monkeypatch.chdir(tmp_path)
    objects = write_odd_photos(tmp_path / "photos")
    named = dict(enumerate(ODD_CLASSES, 1))
    run = predict(Oracle(f"classes={json.dumps(named, ensure_ascii=False)}"), ["photos", "photos/in dir"], *EXPORTERS)
    stems = ('a, "b" & <c>;d', "照片 é", "deep's")
    expected = [(stem, ODD_CLASSES[label], 0, {}, mask) for stem in stems for label, mask in objects]
    assert run.failed == () and run.objects == len(expected)
    for form in READ_BACK:
        names = ODD_CLASSES if form == "via" else None
        images = "photos" if form in ("via", "cvat") else None
        back = convert_dataset(f"found/{form}", tmp_path / f"{form}.json", classes=names, images=images)
        assert back.skipped == [], form
        found = list_objects(tmp_path / f"{form}.json")
        assert compare_sets(expected, found) == [] and len(found) == len(expected), form
    tasks = json.loads((tmp_path / "found/labelstudio/tasks.json").read_text(encoding="utf-8"))
    assert sum(len(task["predictions"][0]["result"]) for task in tasks) == len(expected)
    coco = list_objects(tmp_path / "found/coco/train.json")
    assert compare_sets(expected, coco, least=1) == [] and len(coco) == len(expected)
    with (tmp_path / "found/csv/table.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["id"]]
    table = [(Path(row["file_name"]).stem, row["class"], 0, {}, decode_runs(row["runs"].encode(), (40, 60))) for row in rows]
    assert compare_sets(expected, table, least=1) == [] and len(table) == len(expected)
    with (tmp_path / "found/cutouts/cutouts.csv").open(encoding="utf-8", newline="") as stream:
        cut = [_paste(tmp_path / "found/cutouts", row) for row in csv.DictReader(stream)]
    assert compare_sets(expected, cut, least=1) == [] and len(cut) == len(expected)
    classes = (tmp_path / "found/class_masks/class_names.txt").read_text(encoding="utf-8").splitlines()
    for stem in stems:
        (path,) = (tmp_path / "found/class_masks/masks").rglob(f"{glob.escape(stem)}.png")
        pixels = np.asarray(Image.open(path))
        for name in ODD_CLASSES:
            whole = np.any([one[-1] for one in expected if one[:2] == (stem, name)] or [np.zeros((40, 60), bool)], axis=0)
            assert np.array_equal(pixels == classes.index(name), whole)
    features = json.loads((tmp_path / "found/geojson/objects.geojson").read_text(encoding="utf-8"))["features"]
    placed = [("deep's", row["properties"]["class"], 0, {}, _rasterize(row["geometry"])) for row in features]
    assert compare_sets([one for one in expected if one[0] == "deep's"], placed) == []


def _paste(folder, row):
    mask, place = np.zeros((40, 60), bool), [int(row[key]) for key in ("x", "y", "width", "height")]
    mask[place[1] : place[1] + place[3], place[0] : place[0] + place[2]] = (
        np.asarray(Image.open(folder / row["file"]))[..., 3] > 0
    )
    return Path(row["picture"]).stem, row["class"], 0, {}, mask


def _rasterize(geometry):
    """Return the mask of outlines on the map: half a metre a pixel, north up."""
    parts = [[(np.array(ring) - (400000, 5800000)) * (2, -2) for ring in part] for part in geometry["coordinates"]]
    return rasterize([Polygon(part[0], tuple(part[1:])) for part in parts], (40, 60))


def test_a_file_name_that_no_form_can_hold_is_told_before_anything_is_predicted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "photos" / os.fsdecode(b"caf\xe9.png"))
    oracle = Oracle()
    with pytest.raises(SourceError, match=r"'photos/caf\\udce9\.png': no form.*rename the file"):
        predict(oracle, "photos", "json", "csv")
    assert oracle.seen == 0 and predict(oracle, "photos", "json").images == 1


def test_an_image_that_no_decoder_takes_as_a_whole_has_every_form_of_outlines(tmp_path):
    """600 megapixels, in a small part of the memory that one mask as an array would take."""
    size, angle = (30_000, 20_000), np.linspace(0, 2 * np.pi, 90, endpoint=False)
    circle = np.stack([19_900 + 80 * np.cos(angle), 29_000 + 60 * np.sin(angle)], axis=1)
    runs = {"size": list(size), "counts": encode_polygons([circle.ravel()], size).decode()}
    write_geotiff(tmp_path / "city.tif", make_photo(8, 8), keys=UTM)
    content = {
        "images": [{"id": 1, "file_name": "city.tif", "height": size[0], "width": size[1]}],
        "annotations": [to_annotation(0, {"image_id": 1, "category_id": 1, "segmentation": runs, "score": 0.5})],
        "categories": [{"id": 1, "name": "roof"}],
    }
    tracemalloc.start()
    forms = sorted(EXPORTERS.keys() - {"masks", "class_masks", "voc"})  # these are as large as the image
    write_forms(tmp_path, forms, content, {"city.tif": tmp_path / "city.tif"}, "model", say_nothing)
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()
    (feature,) = json.loads((tmp_path / "geojson/objects.geojson").read_text())["features"]
    area = np.pi * 80 * 60
    assert feature["properties"]["pixels"] == pytest.approx(area, rel=0.01)
    ring = np.array(feature["geometry"]["coordinates"][0][0])
    np.testing.assert_allclose(ring.mean(axis=0), (400000 + 19_900 / 2, 5800000 - 29_000 / 2), atol=2)
    (shape,) = json.loads((tmp_path / "labelme/city.json").read_text())["shapes"]
    assert cv2.contourArea(np.float32(shape["points"])) == pytest.approx(area, rel=0.01)
