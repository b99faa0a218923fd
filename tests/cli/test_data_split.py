"""`maskzoo data split` end to end."""

import json

import numpy as np
import pytest
from PIL import Image

from coco_files import make_data, write
from maskzoo.cli import main


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["data", "split", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "all.json", make_data(images=20))


def read(folder, *names):
    return [json.loads((folder / f"{name}.json").read_text()) for name in names]


def test_every_row_lands_in_one_file_and_the_table_counts_them(run, data, tmp_path):
    code, out, err = run(data, tmp_path / "parts", "--test", "0.1")
    assert (code, err) == (0, "")
    parts = read(tmp_path / "parts", "train", "val", "test")
    rows = [row for part in parts for row in part["annotations"]]
    expected = json.loads(data.read_text())["annotations"]
    assert sorted(rows, key=lambda row: row["id"]) == sorted(expected, key=lambda row: row["id"])
    counts = [len(part["images"]) for part in parts]
    assert sum(counts) == 20
    assert next(line for line in out.splitlines() if line.startswith("images")).split()[1:4] == [str(n) for n in counts]
    assert "class 0" in out and "Wrote" in out


def test_a_script_gets_counts_and_the_seed_repeats_them(run, data, tmp_path):
    printed = [json.loads(run(data, tmp_path / str(place), "--json", "--seed", 5)[1]) for place in range(2)]
    assert printed[0]["classes"] == printed[1]["classes"]
    assert list(printed[0]["splits"]) == ["train", "val"] and printed[0]["seed"] == 5
    total = sum(row["train"] + row["val"] for row in printed[0]["classes"])
    assert total == sum(not row["iscrowd"] for row in json.loads(data.read_text())["annotations"])
    assert read(tmp_path / "0", "train", "val") == read(tmp_path / "1", "train", "val")


def test_images_that_are_no_longer_near_are_told(run, data, tmp_path):
    (tmp_path / "images").mkdir()
    for row in json.loads(data.read_text())["images"]:
        Image.fromarray(np.zeros((row["height"], row["width"], 3), np.uint8)).save(tmp_path / "images" / row["file_name"])
    assert "--images" not in run(data, tmp_path / "near")[1]
    assert f"pass --images {tmp_path}/images" in run(data, tmp_path / "far" / "away")[1]


def test_files_that_are_there_stay_and_the_source_even_with_force(run, data, tmp_path):
    source = tmp_path / "parts" / "train.json"
    source.parent.mkdir()
    data.rename(source)
    before = source.read_bytes()
    code, _, err = run(source, tmp_path / "parts")
    assert code == 1 and "exists already" in err
    code, _, err = run(source, tmp_path / "parts", "--force")
    assert code == 1 and "is the data to be divided itself" in err
    assert source.read_bytes() == before and not (tmp_path / "parts/val.json").exists()


@pytest.mark.parametrize("options", [("--val", "0"), ("--val", "1"), ("--val", "0.6", "--test", "0.4"), ("--val", "nan")])
def test_shares_that_leave_nothing_are_a_wrong_call(run, data, tmp_path, options):
    assert run(data, tmp_path / "parts", *options)[0] == 2
    assert not (tmp_path / "parts").exists()


def test_faults_of_the_source_and_of_the_expression_are_errors(run, data, tmp_path):
    code, _, err = run(data, tmp_path / "parts", "--group-by", "(")
    assert code == 1 and "not a regular expression" in err
    content = json.loads(data.read_text())
    content["annotations"][0]["image_id"] = -5
    code, _, err = run(write(tmp_path / "bad.json", content), tmp_path / "parts")
    assert code == 1 and "bad.json: annotation 100: image_id" in err
