"""`maskzoo data show` end to end: the sheet has the pictures, the colours of the classes, and names what failed."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFont

from coco_files import make_data, write
from maskzoo.cli import main
from maskzoo.drawing.colours import pick_color


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Work in a folder with a set of eight grey pictures with a crowd, and one picture without an object."""
    monkeypatch.chdir(tmp_path)
    content = make_data(images=8)
    content["images"].append({"id": 7, "file_name": "empty.png", "height": 50, "width": 150})
    (tmp_path / "images").mkdir()
    for row in content["images"]:
        grey = np.full((row["height"], row["width"], 3), 128, np.uint8)
        Image.fromarray(grey).save(tmp_path / "images" / row["file_name"])
    write(tmp_path / "set.json", content)
    return content


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["data", "show", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


def count(path, color):
    return int((np.abs(np.asarray(Image.open(path).convert("RGB")).astype(int) - color).max(axis=2) <= 2).sum())


def test_a_sheet_shows_objects_in_the_colours_of_their_classes(run, data):
    code, out, err = run("set.json", "--out", "sheet.png")
    assert (code, err) == (0, "") and "9 of 9 images" in out
    present = {row["category_id"] for row in data["annotations"]}
    assert len(present) == 3
    assert all(count("sheet.png", pick_color(label)) > 100 for label in range(3))


def test_one_class_is_shown_alone(run, data):
    code, _, _ = run("set.json", "--class", "class 1", "--out", "sheet.png")
    assert code == 0
    assert count("sheet.png", pick_color(1)) > 100 and count("sheet.png", pick_color(0)) == 0


def test_an_objects_pixels_and_no_others_are_coloured(run, tmp_path):
    """A rectangle as polygon and the same as run lengths colour the same pixels."""
    Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(tmp_path / "a.png")
    mask = np.zeros((300, 400), np.uint8)
    mask[60:150, 100:300] = 1
    counts = np.diff(np.flatnonzero(np.diff(np.pad(mask.T.ravel(), 1))), prepend=0, append=mask.size).tolist()
    found = []
    for outline in ([[100, 60, 300, 60, 300, 150, 100, 150]], {"size": [300, 400], "counts": counts}):
        row = {"id": 1, "image_id": 1, "category_id": 1, "area": 18000, "bbox": [100, 60, 200, 90], "iscrowd": 0}
        images = [{"id": 1, "file_name": "a.png", "height": 300, "width": 400}]
        content = {"images": images, "categories": [{"id": 1, "name": "i"}], "annotations": [row | {"segmentation": outline}]}
        write(tmp_path / "set.json", content)
        assert run(tmp_path / "set.json", "--out", tmp_path / "sheet.png")[0] == 0
        sheet = np.asarray(Image.open(tmp_path / "sheet.png"))[14 : 14 + 900]
        colored = sheet[:, 14 : 14 + 1200].max(axis=2) > 30
        found.append(colored)
        rows, columns = np.flatnonzero(colored.any(axis=1)), np.flatnonzero(colored.any(axis=0))
        assert (columns[0], columns[-1] + 1) == pytest.approx((300, 900), abs=2)
        assert rows[-1] + 1 == pytest.approx(450, abs=2)
    assert (found[0] != found[1]).mean() < 0.002


def test_images_can_be_named_and_counted_and_the_seed_repeats_the_choice(run, data, tmp_path):
    assert "2 of 9 images" in run("set.json", "--image", "10", "--image", "7")[1]
    assert "3 of 9 images" in run("set.json", "--count", "3", "--seed", "4", "--out", "a.png")[1]
    run("set.json", "--count", "3", "--seed", "4", "--out", "b.png")
    run("set.json", "--count", "3", "--seed", "5", "--out", "c.png")
    first, again, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == again != other


def test_pictures_that_cannot_be_shown_are_named_and_the_rest_is_drawn(run, data, tmp_path):
    (tmp_path / "images/0.png").unlink()
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(tmp_path / "images/1.png")
    code, out, err = run("set.json")
    assert code == 3 and "7 of 9 images" in out
    assert "2 of 9 images could not be shown" in err and "0.png: no such file" in err
    assert "1.png: 5 x 5 pixels; expected the 80 x 61" in err


def test_a_given_folder_may_hold_a_folder_for_each_split(run, data, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images").rename(tmp_path / "elsewhere" / "val2017")
    (tmp_path / "set.json").rename(tmp_path / "val.json")
    assert run("val.json", "--images", "elsewhere")[0] == 0


def test_only_a_sheet_is_overwritten(run, data, tmp_path):
    (tmp_path / "mine.jpg").write_bytes(b"mine")
    code, _, err = run("set.json", "--out", "mine.jpg")
    assert code == 1 and "is not a sheet" in err and (tmp_path / "mine.jpg").read_bytes() == b"mine"
    for name in ("sheet.jpg", "sheet.png"):
        assert [run("set.json", "--out", name, "--count", "1")[0] for _ in range(2)] == [0, 0]


def test_calls_that_cannot_be_meant_say_why(run, data):
    assert run("set.json", "--out", "sheet.gif")[0] == 2
    code, _, err = run("set.json", "--class", "clas 1")
    assert code == 1 and "did you mean class 1" in err
    code, _, err = run("set.json", "--image", "123")
    assert code == 1 and "no image has the id 123" in err
    code, _, err = run("set.json", "--split", "test")
    assert code == 1 and "no split 'test'" in err
    code, _, err = run("set.json", "--images", "gone")
    assert code == 1 and "gone: no such folder" in err


def test_a_script_gets_one_object(run, data):
    code, out, _ = run("set.json", "--out", "sheet.png", "--image", 7, "--json")
    assert (code, json.loads(out)) == (0, {"out": "sheet.png", "images": [7], "total": 9, "failed": {}})


def test_names_in_letters_that_no_font_has_are_told_and_drawn_as_ids(run, data, tmp_path):
    data["categories"][1]["name"] = "\U000f1234"  # of private use
    write(tmp_path / "set.json", data)
    code, _, err = run("set.json", "--out", "lost.png")
    assert code == 0 and "1 class name cannot be written" in err and "--font" in err
    data["categories"][1]["name"] = f"category {data['categories'][1]['id']}"
    write(tmp_path / "set.json", data)
    assert run("set.json", "--out", "named.png")[2] == ""
    same = [np.asarray(Image.open(name)) for name in ("lost.png", "named.png")]
    assert np.array_equal(*same)


def test_a_font_can_be_given_and_has_to_be_one(run, data, tmp_path, monkeypatch):
    (tmp_path / "own.ttf").write_bytes(ImageFont.load_default(20).path.getvalue())
    assert run("set.json", "--out", "sheet.png", "--font", "own.ttf")[::2] == (0, "")
    code, _, err = run("set.json", "--out", "sheet.png", "--font", "set.json")
    assert code == 1 and "set.json: cannot be read as a font" in err
    monkeypatch.setenv("MASKZOO_FONT", "none.otf")
    code, _, err = run("set.json", "--out", "sheet.png")
    assert code == 1 and "none.otf" in err and "MASKZOO_FONT" in err


def test_pictures_are_shown_as_training_sees_them(run, data):
    settings = ("--set", "training.short_sides=[60]", "--set", "training.long_side=90")
    code, out, err = run("set.json", "--augmented", "aerial", "--out", "sheet.png", "--count", 6, *settings)
    assert (code, err) == (0, "")
    assert "Wrote sheet.png: 6 pictures, " in out and "left their picture or were covered" in out
    code, out, _ = run("set.json", "--augmented", "lsj", "--out", "sheet.png", "--count", 3, *settings, "--json")
    assert code == 0 and len(json.loads(out)["images"]) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--augmented", "photo", "--class", "class 1"), "expected no --class with --augmented"),
        (("--set", "training.flip=0"), "expected --augmented RECIPE"),
        (("--augmented", "photso"), "no such model"),
    ],
)
def test_what_does_not_go_with_augmented_pictures_is_refused(run, data, arguments, says):
    code, _, err = run("set.json", *arguments)
    assert code in (1, 2) and says in " ".join(err.replace("│", " ").split())
