"""`maskzoo data check` end to end: tables, JSON, page, cleaned files and exit codes."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from faulty_data import make_faulty, make_object, make_sound, rewrite
from maskzoo.cli.data import app
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.errors import MaskzooError
from truth_set import make_truth, write_truth


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Work in an empty folder; return what a call printed and its exit code."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        result = CliRunner().invoke(app, ["check", *map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception  # what `maskzoo` itself prints, with exit code 1
        return result.exit_code, result.stdout, result.stderr

    return call


def test_a_sound_data_set_ends_with_0_and_says_so(run, tmp_path):
    make_sound(tmp_path, "train")
    make_sound(tmp_path, "val", first=50)
    code, out, err = run(tmp_path)
    assert (code, err) == (0, "")
    assert "val.json: 6 images, 12 objects, 2 categories; images in" in out
    assert out.splitlines()[-1] == "Nothing to complain about."


def test_errors_end_with_3_a_table_the_worst_and_what_to_do(run, tmp_path):
    make_faulty(tmp_path)
    code, out, err = run("train.json")
    assert (code, err) == (3, "")
    assert "The worst 20 of " in out
    assert "error: train.json: annotation 1002: iscrowd: found 'some'; expected 0 or 1" in out
    assert "maskzoo data check train.json --fix OUT" in out.splitlines()[-1]
    listed = run("train.json", "--all")[1]
    assert "warning: train.json: annotation 1021: area: found 3.0" in listed and "The worst" not in listed


def test_warnings_alone_end_with_0(run, tmp_path):
    file, data = make_sound(tmp_path)
    data["annotations"][0]["area"] = 0
    rewrite(file, data)
    code, out, _ = run(tmp_path)
    assert code == 0 and "No errors, 1 warning. It can be trained on." in out


def test_what_is_wrong_with_the_whole_stands_first_and_is_repaired(run, tmp_path):
    file, data = make_sound(tmp_path)
    truth = [row["bbox"] for row in data["annotations"]]
    for row in data["annotations"]:
        x, y, width, height = row["bbox"]
        row["bbox"] = [x, y, x + width, y + height]
    rewrite(file, data)
    code, out, _ = run("train.json")
    lines = [line for line in out.splitlines() if line]
    assert code == 3 and lines[1].startswith("error: the whole set: 12 of 12 boxes are not those of their outlines")
    assert "x1 y1 x2 y2" in lines[1] and lines[2] == "  such as annotation 10: bbox [10, 10, 30, 26]"
    assert "All 12 problems of single rows follow from this (--all lists them)." in out
    assert "warning: train.json: annotation 10: bbox" in run("train.json", "--all")[1]
    code, out, _ = run("train.json", "--fix", "fixed.json")
    assert "12 x boxes that are written in another way: box taken from the outline" in out
    assert [row["bbox"] for row in json.loads((tmp_path / "fixed.json").read_text())["annotations"]] == truth
    code, out, _ = run("fixed.json", "--images", "train")
    assert code == 0 and "Nothing to complain about." in out


def test_crowds_become_objects_when_asked(run, tmp_path):
    file, data = make_sound(tmp_path)
    for row in data["annotations"]:
        row["iscrowd"] = 1
    rewrite(file, data)
    code, out, _ = run("train.json")
    assert code == 3 and "all 12 annotations are crowds (iscrowd 1)" in out and "--crowds-as-objects" in out
    code, out, _ = run("train.json", "--fix", "fixed.json", "--crowds-as-objects")
    assert "12 x object that is a crowd: taken as an object" in out
    assert run("fixed.json", "--images", "train")[0] == 0
    with pytest.raises(MaskzooError, match="give --fix OUT too"):
        run("train.json", "--crowds-as-objects")


def test_json_is_one_object_with_everything(run, tmp_path):
    make_faulty(tmp_path)
    code, out, err = run("train.json", "--json", "--fix", "cleaned.json", "--page", "report.html")
    assert (code, err) == (3, "")
    printed = json.loads(out)
    assert len(printed["problems"]) == sum(printed["counts"].values()) > 50
    assert printed["errors"] == sum(problem["severity"] == "error" for problem in printed["problems"])
    assert printed["fixed"]["train"]["file"] == "cleaned.json" and printed["fixed"]["train"]["left"] == []
    assert printed["page"] == "report.html"


def test_the_cleaned_files_pass_and_the_inputs_stay(run, tmp_path):
    make_faulty(tmp_path)
    make_sound(tmp_path, "val", first=50)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, _ = run(".", "--fix", "cleaned")
    assert code == 3
    assert "cleaned/train.json: " in out and "1 x annotation id given twice: new id" in out
    code, out, _ = run("cleaned", "--images", ".")
    assert code == 0 and "No errors" in out
    assert len(read_annotations("cleaned/train.json").ids) > 10
    assert all(path.read_bytes() == content for path, content in before.items())


def test_the_findings_before_and_after_stand_side_by_side_and_nothing_advises_fix_again(run, tmp_path):
    content = make_truth()
    content["images"][0]["file_name"] = "C:\\photos\\a1.jpg"
    content["annotations"][0]["iscrowd"] = None
    content["annotations"][1]["segmentation"] = []
    write_truth(tmp_path / "set", content)
    code, out, _ = run("set", "--fix", "cleaned.json", "--page", "page.html")
    assert code == 3 and "--fix OUT" not in out.partition("Wrote")[2]
    lines = {" ".join(line.split()) for line in out.splitlines()}
    assert "iscrowd or ignore that is not 0 or 1 1 0" in lines and "object without an outline 1 0" in lines
    assert "images: saved 1, changed 1, dropped 0, left 0 of 3" in lines
    assert "annotations: saved 1, changed 1, dropped 1, left 0 of 5" in lines
    assert f"maskzoo data check cleaned.json --images {tmp_path / 'set'}" in out.splitlines()[-2]
    assert "The cleaned copy" in (tmp_path / "page.html").read_text()
    code, out, _ = run("cleaned.json", "--images", "set")
    assert (code, out.splitlines()[-1]) == (0, "Nothing to complain about.")


def test_where_nothing_is_left_the_findings_are_shown_and_nothing_is_written(run, tmp_path):
    content = make_truth()
    for row in content["annotations"]:
        row["segmentation"] = None
    write_truth(tmp_path / "set", content)
    code, out, err = run("set", "--fix", "cleaned.json")
    assert (code, err) == (3, "") and not (tmp_path / "cleaned.json").exists()
    assert "object without an outline" in out and "Not written: cleaned.json: nothing would be left of annotations" in out
    assert run("set", "--fix", "cleaned.json", "--json")[0] == 3


def test_what_is_left_to_a_person_is_told(run, tmp_path):
    make_sound(tmp_path, "train")
    file, data = make_sound(tmp_path, "val", first=50)
    data["categories"][1]["name"] = "cow"
    rewrite(file, data)
    out = run(".", "--fix", "cleaned")[1]
    assert "left to you: cleaned/val.json: category 2: name: found 'cow'; expected 'dog', as in train" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fix", "train.json"], r"train\.json: exists already"),
        (["--fix", "."], r"train\.json: exists already"),
        (["--page", "train.json"], r"train\.json: expected a name that ends in \.html"),
        (["--page", "mine.html"], r"mine\.html: exists already and is not the page of an earlier check"),
        (["--images", "nowhere"], r"nowhere: no such folder"),
    ],
)
def test_no_file_of_the_user_is_overwritten(run, tmp_path, options, message):
    file, _ = make_sound(tmp_path)
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    before = file.read_bytes()
    with pytest.raises(MaskzooError, match=message):
        run("train.json", *options)
    assert file.read_bytes() == before and (tmp_path / "mine.html").read_text() == "<p>mine</p>"


def test_several_splits_want_a_folder(run, tmp_path):
    make_sound(tmp_path, "train")
    make_sound(tmp_path, "val", first=50)
    with pytest.raises(MaskzooError, match=r"cleaned\.json: there are 2 splits, train, val; expected a folder"):
        run(".", "--fix", "cleaned.json")


def test_a_page_of_an_earlier_check_is_renewed(run, tmp_path):
    make_sound(tmp_path)
    for _ in range(2):
        code, out, _ = run("train.json", "--page", "report.html")
        assert code == 0 and "Wrote report.html" in out
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_what_cannot_be_read_at_all_is_an_error_with_its_name(run, tmp_path):
    (tmp_path / "train.json").write_text('{"images": [')
    with pytest.raises(MaskzooError, match=r"train\.json: file: found no JSON"):
        run("train.json")
    with pytest.raises(MaskzooError, match="nowhere: no such file or folder"):
        run("nowhere")


def test_names_in_the_data_cannot_steer_the_terminal(run, tmp_path):
    file, data = make_sound(tmp_path)
    data["images"][0]["file_name"] = "\x1b[2J[bold]gone\r.png"
    data["annotations"].append(make_object(7, 1, x=30, category_id="\x1b[31m"))
    rewrite(file, data)
    code, out, _ = run("train.json")
    assert code == 3 and "\x1b" not in out and "\r" not in out
    assert "[bold]gone" in out


def test_near_duplicates_are_not_looked_for_if_not_wanted(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")  # no line is broken, however long the folder's name is
    make_sound(tmp_path, "train")
    make_sound(tmp_path, "val", first=50)
    (tmp_path / "val" / "51.png").write_bytes((tmp_path / "train" / "1.png").read_bytes())
    assert "same image in two splits" in run(".")[1]
    assert "Nothing to complain about." in run(".", "--no-duplicates")[1]


def test_help_comes_without_heavy_imports():
    code = (
        "import sys\nfrom maskzoo.cli.data_check import check\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'cv2', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_class_map_is_checked_and_written(run, tmp_path):
    for split, first in (("train", 1), ("val", 50)):
        file, data = make_sound(tmp_path, split, first=first)
        names = [row["name"] for row in data["categories"]]
        if split == "val":
            data["categories"] = [row | {"id": 7 - place} for place, row in enumerate(data["categories"])]
            for row in data["annotations"]:
                row["category_id"] = 7 - [one["name"] for one in data["categories"]].index(names[row["category_id"] - 1])
        rewrite(file, data)
    (tmp_path / "map.yml").write_text(f"thing: [{', '.join(names)}]\n")
    code, out, err = run("train.json", "--classes", "map.yml", "--fix", "one.json")
    assert code == 0 and "1 categories" in out and f"thing from {' + '.join(names)}" in err
    assert read_annotations("one.json").classes.names == ("thing",)
    assert run(".", "--classes", "map.yml", "--fix", "cleaned")[0] == 0
    train, val = (read_annotations(f"cleaned/{split}.json") for split in ("train", "val"))
    assert train.classes == val.classes and len(train.ids) == len(val.ids) == 12
    (tmp_path / "map.yml").write_text(f"{names[0]}:\n")
    with pytest.raises(MaskzooError, match=f"does not say what becomes of {names[1]}"):
        run(".", "--classes", "map.yml")
