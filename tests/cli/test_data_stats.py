"""`maskzoo data stats` end to end."""

import json

import pytest

from coco_files import make_data, write
from maskzoo.cli import main


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["data", "stats", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


def test_a_folder_is_counted_split_by_split(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    train = make_data(images=6)
    val = make_data(images=2, seed=1)
    for row in train["annotations"]:
        row["category_id"] = 1
    write(tmp_path / "train.json", train)
    write(tmp_path / "val.json", val)
    code, out, err = run(tmp_path, "--json")
    assert (code, err) == (0, "")
    printed = json.loads(out)
    assert printed["splits"]["train"]["objects"] == 24 and printed["splits"]["train"]["crowd"] == 1
    assert printed["splits"]["val"]["images"] == 2 and printed["input"] == [800, 1333]
    code, out, _ = run(tmp_path)
    assert code == 0
    lines = out.splitlines()
    assert next(line for line in lines if line.startswith("class 0")).split()[2:4] == ["24", "6"]
    assert next(line for line in lines if line.startswith("objects ")).split() == ["objects", "24", "8"]
    assert any(line.startswith("Hint: val: class ") and "not in train" in line for line in lines)
    assert max(len(line) for line in lines if not line.startswith("Hint")) <= 80


def test_the_networks_input_can_be_another(run, tmp_path):
    write(tmp_path / "set.json", make_data())
    sides = [
        json.loads(run(tmp_path / "set.json", "--json", "--short-side", side)[1])["splits"]["train"]["input_sides"]["median"]
        for side in (100, 200)
    ]
    assert sides[1] == pytest.approx(2 * sides[0], rel=0.03)


def test_a_file_with_faults_is_refused_with_its_name(run, tmp_path):
    (tmp_path / "set.json").write_text("{")
    code, out, err = run(tmp_path / "set.json")
    assert code == 1 and out == "" and "set.json" in err


def test_no_number_is_cut_on_a_narrow_terminal(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for seed, split in enumerate(("train", "val", "test")):
        write(tmp_path / f"{split}.json", make_data(images=3, seed=seed))
    code, out, _ = run(tmp_path)
    assert code == 0 and "\N{HORIZONTAL ELLIPSIS}" not in out
