"""Photos picked of a made set: doubtful ones first, near duplicates never both, and unlike each other."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

import maskzoo
from maskzoo.cli import main
from maskzoo.errors import ArgumentError, SourceError
from maskzoo.images.sources import find_sources
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    config = small_config(FPN, "limits.detections.score=0.0")
    write_checkpoint(path, small_network(config).state_dict(), config, {"source": "random"})
    return path


@pytest.fixture(scope="module")
def predictor(file):
    return maskzoo.load(file, backend="eager")


class Certain(Predictor):
    """A predictor that is as sure of a photo as its name in `doubts` says: the rest of the walk is the network's own."""

    doubts = {}

    def predict(self, source, **options):
        found = super().predict(source, **options)
        return found.__class__(**{name: getattr(found, name) for name in found.__slots__} | {
            "scores": np.full(len(found), self.doubts.get(int(source[0, 0, 0]), 1.0), np.float32),
        })  # fmt: skip


def write_scenes(folder, names):
    """Write photos of different scenes; the first pixel's red is a photo's number."""
    folder.mkdir()
    for number, name in enumerate(names):
        y, x = np.mgrid[:90, :120]
        wave = np.sin(x / (3 + number)) * np.cos(y / (2 + 2 * number)) + 0.5 * np.sin((number + 1) * (x + y) / 40)
        photo = np.repeat(np.uint8(128 + 80 * wave)[..., None], 3, axis=2)
        photo[..., number % 3] //= 2
        photo[0, 0] = number
        Image.fromarray(photo).save(folder / name)


def test_near_duplicates_are_not_both_picked_and_the_doubtful_one_stays(predictor, tmp_path):
    write_scenes(tmp_path / "photos", [f"{number}.png" for number in range(6)])
    for number in (1, 4):
        with Image.open(tmp_path / "photos" / f"{number}.png") as photo:
            photo.resize((100, 75)).point(lambda value: min(255, value + 12)).save(tmp_path / f"photos/{number}-again.jpg")
    found = maskzoo.pick_images(predictor, tmp_path / "photos", 100)
    assert found.images == 8 and len(found.picked) == 6 and len(found.duplicates) == 2
    names = [one.path.stem.partition("-")[0] for one in found.picked]
    assert sorted(names) == [str(number) for number in range(6)]
    doubts = {str(one.path): one.doubt for one in found.picked}
    assert all(kept in doubts and gone not in doubts for gone, kept in found.duplicates.items())


def test_photos_of_which_the_model_is_unsure_come_first(predictor, tmp_path):
    write_scenes(tmp_path / "photos", [f"{number}.png" for number in range(8)])
    certain = Certain(predictor.backend, predictor.config)
    certain.doubts = {2: 0.5, 5: 0.45, 7: 0.6}
    found = maskzoo.pick_images(certain, tmp_path / "photos", 3)
    assert {one.path.name for one in found.picked} == {"2.png", "5.png", "7.png"}
    assert found.picked[0].path.name == "2.png" and found.picked[0].doubt == pytest.approx(1, abs=1e-6)
    assert found.picked[0].nearest is None and found.picked[0].explain().startswith("doubt 1.00: ")
    assert all(0 < one.distance <= 2 and one.nearest is not None for one in found.picked[1:])
    assert all(f"from {one.nearest.name}" in one.explain() for one in found.picked[1:])


def test_the_list_names_the_photos_to_other_verbs_wherever_it_lies(predictor, tmp_path, monkeypatch):
    write_scenes(tmp_path / "photos", ["a.png", "b c.png", "ü.png"])
    monkeypatch.chdir(tmp_path / "photos")
    (tmp_path / "lists").mkdir()
    found = maskzoo.pick_images(predictor, ".", 2, out=tmp_path / "lists/pick.txt")
    monkeypatch.chdir(tmp_path)
    named = find_sources(["@lists/pick.txt"], tmp_path / "photos")
    assert [path.name for path in named] == [one.path.name for one in found.picked] and all(path.is_file() for path in named)


def test_the_backbone_is_left_as_it_was_and_every_kind_of_network_has_features(predictor, tmp_path):
    write_scenes(tmp_path / "photos", ["a.png", "b.png"])
    before = predictor.predict(tmp_path / "photos/a.png").to_dict()
    maskzoo.pick_images(predictor, tmp_path / "photos")
    assert not predictor.backend.model.backbone._forward_hooks
    assert predictor.predict(tmp_path / "photos/a.png").to_dict() == before
    config = small_config("mask_rcnn_r50_1x_coco", "limits.detections.score=0.0")
    c4 = Predictor(Eager(small_network(config), torch.device("cpu"), torch.float32), config)
    assert len(maskzoo.pick_images(c4, tmp_path / "photos").picked) == 2


def test_wrong_calls_are_refused(predictor, tmp_path):
    (tmp_path / "some.tar").write_bytes(bytes(10240))
    with pytest.raises(ArgumentError, match=r"count \(-n\): found 0; expected 1 or more"):
        maskzoo.pick_images(predictor, tmp_path, 0)
    with pytest.raises(SourceError):
        maskzoo.pick_images(predictor, tmp_path / "some.tar")
    other = Predictor(type("Runtime", (), {"name": "onnxruntime"})(), predictor.config)
    with pytest.raises(ArgumentError, match="onnxruntime, which gives no features; expected backend eager"):
        maskzoo.pick_images(other, tmp_path)


def test_the_command_prints_reasons_writes_list_and_page_and_tells_what_cannot_be_read(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_scenes(tmp_path / "photos", [f"{number}.png" for number in range(4)])
    Image.fromarray(make_photo(60, 90)).save("photos/broken.png")
    (tmp_path / "photos/broken.png").write_bytes((tmp_path / "photos/broken.png").read_bytes()[:200])

    def run(*options):
        with pytest.raises(SystemExit) as end:
            main(["data", "pick", str(file), "photos", "-n", "3", *options])
        assert end.value.code == 3
        return capsys.readouterr()

    told = run("--page", "pick.html")
    assert "Picked 3 of 5 images" in told.out and "Wrote pick.txt and pick.html; other verbs take it as @pick.txt" in told.out
    assert "1 of 5 images could not be read" in told.err and "broken.png" in told.err
    page = (tmp_path / "pick.html").read_text()
    assert page.count("data:image/jpeg") == 3 and "http" not in page.partition("<body>")[2]
    rows = json.loads(run("--json").out)
    assert len((tmp_path / "pick.txt").read_text().splitlines()) == len(rows["picked"]) == 3
    assert (
        rows["picked"][0]["nearest"] is None and rows["picked"][1]["reason"] and list(rows["failed"]) == ["photos/broken.png"]
    )


def test_the_list_names_what_it_names_and_tells_of_what_no_list_can(predictor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = [" first, 'a' #1.png", "a\u2028b\x85c.png", "照片.png"]
    cannot = ["broken\nline.png", os.fsdecode(b"caf\xe9.png")]
    write_scenes(tmp_path / "photos", [*odd, *cannot])
    for place in (tmp_path, tmp_path / "photos"):
        found = maskzoo.pick_images(predictor, "photos", 10, out=place / "list.txt")
        again = [path.resolve() for path in find_sources([f"@{place / 'list.txt'}"])]
        assert (
            sorted(again)
            == sorted(tmp_path / "photos" / name for name in odd)
            == sorted(one.path.resolve() for one in found.picked)
        )
        assert (
            sorted(found.failed) == sorted(f"photos/{name}" for name in cannot)
            and "rename" in found.failed[f"photos/{cannot[0]}"]
        )
    assert len(maskzoo.pick_images(predictor, "photos", 10).picked) == 5
