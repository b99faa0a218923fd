"""`maskzoo models`: the list, the facts, the copy."""

import json

import pytest

from maskzoo.augmentations import PRESETS
from maskzoo.cli import main
from maskzoo.model_file import parse_config, read_config
from maskzoo.zoo.rows import GROUPS, names, read_row, row_text

NAME = "mask_rcnn_r50_fpn_1x_coco"


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


@pytest.mark.parametrize("width", [80, 120, 160])
def test_the_list_fits_the_terminal_and_names_every_row_whole(run, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, err = run("models")
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= width
    lines = out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith((" no", " no ", " no  "))] == names()
    assert [name for name in GROUPS if any(line.startswith(f"{name} ") for line in lines)] == list(GROUPS)
    assert sum("*" in line for line in lines if line.rstrip().endswith("no")) == 2


def test_the_list_for_a_script_is_one_json_array(run, tmp_path, monkeypatch):
    monkeypatch.setenv("MASKZOO_HOME", str(tmp_path))
    file = tmp_path / "weights" / f"{NAME}.pdparams"
    file.parent.mkdir()
    file.write_bytes(b"some bytes")
    code, out, _ = run("models", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and list(rows) == names()
    assert rows[NAME]["mask_ap"] == 35.6 and rows[NAME]["parameters"] > 40_000_000
    assert {name: row["weights"] for name, row in rows.items() if row["weights"] is not None} == {NAME: str(file)}


def test_the_facts_of_a_row_are_shown(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run("models", "show", NAME)
    assert code == 0
    for fact in (NAME, "35.6", "80: person", "short side 800", "12 epochs", "Apache-2.0", "https://"):
        assert fact in out
    assert max(len(line) for line in out.splitlines()) <= 80


@pytest.mark.parametrize(
    "name", ["detectron2/mask_rcnn_R_50_FPN_3x", "detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"]
)
def test_the_facts_of_another_librarys_row_name_its_rules(run, name):
    code, out, _ = run("models", "show", name)
    assert code == 0
    for fact in ("detectron2/mask_rcnn_R_50_FPN_3x", "linear as in Pillow", "BGR", "CC-BY-SA-3.0"):
        assert fact in " ".join(out.split())
    assert json.loads(run("models", "show", name, "--json")[1])["name"] == "detectron2/mask_rcnn_R_50_FPN_3x"


def test_the_facts_for_a_script_hold_the_whole_model_file(run):
    _, out, _ = run("models", "show", NAME, "--json")
    facts = json.loads(out)
    assert facts["name"] == NAME and facts["config"]["limits"]["detections"]["total"] == 100


def test_a_copy_can_have_a_presets_list_and_keeps_all_else(run, tmp_path):
    file = tmp_path / "my.yml"
    assert run("models", "copy", NAME, file, "--augmentation", "aerial")[0] == 0
    written = read_config(file)
    assert written.training.augmentation == PRESETS["aerial"]
    assert written.model_copy(update={"training": read_row(NAME).training}) == read_row(NAME)
    kept = [line for line in file.read_text().splitlines() if "kind:" not in line and "augmentation:" not in line]
    assert kept == row_text(NAME).splitlines()
    assert "quarter_turn 0.75" in " ".join(run("models", "show", file)[1].split())
    code, _, err = run("models", "copy", NAME, tmp_path / "other.yml", "--augmentation", "arial")
    assert code == 1 and "aerial" in err and not (tmp_path / "other.yml").exists()


@pytest.mark.parametrize("name", names())
def test_every_row_takes_a_presets_list(name):
    assert parse_config(row_text(name, "photo"), name).training.augmentation == PRESETS["photo"]


def test_a_copy_is_a_model_file_that_can_be_shown(run, tmp_path):
    code, out, _ = run("models", "copy", NAME, tmp_path / "my.yml")
    assert code == 0 and str(tmp_path / "my.yml") in out
    assert read_config(tmp_path / "my.yml").name == NAME
    assert run("models", "show", tmp_path / "my.yml")[0] == 0


def test_a_copy_overwrites_nothing_unless_it_is_told_to(run, tmp_path):
    (tmp_path / "my.yml").write_text("mine")
    code, _, err = run("models", "copy", NAME, tmp_path / "my.yml")
    assert code == 1 and "my.yml: exists already" in err and "--force" in err
    assert (tmp_path / "my.yml").read_text() == "mine"
    assert run("models", "copy", NAME, tmp_path / "my.yml", "--force")[0] == 0
    assert read_config(tmp_path / "my.yml").name == NAME


def test_a_copy_to_nowhere_says_so(run, tmp_path):
    code, _, err = run("models", "copy", NAME, tmp_path / "none" / "my.yml")
    assert code == 1 and "cannot be written" in err


def test_an_unknown_name_is_an_error_with_the_nearest_name(run, tmp_path):
    misspelt = "mask_rcnn_r50_fpn_1x_coca"
    for arguments in (("show", misspelt), ("copy", misspelt, tmp_path / "my.yml")):
        code, _, err = run("models", *arguments)
        assert code == 1 and NAME in err
    assert list(tmp_path.iterdir()) == []
