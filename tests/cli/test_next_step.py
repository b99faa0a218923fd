"""`maskzoo` without a verb: what lies in the folder, and which call is next."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from maskzoo.cli import main
from maskzoo.cli.next_step import list_next_steps
from small_runs import write_data


def make_run(folder, *files, val="/data/val.json"):
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"data": {"train": "/data/train.json", "val": val}}))
    for name in files:
        (folder / name).write_text("")


def test_an_empty_folder_gets_the_help_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main([])
    out = capsys.readouterr().out
    assert end.value.code == 0 and "Usage: maskzoo" in out and "Next, in this folder" not in out


@pytest.mark.skipif(sys.platform == "win32", reason="keeps the folder that it stands in")
def test_a_folder_that_was_deleted_gets_the_help_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 0 and "Usage: maskzoo" in capsys.readouterr().out


def test_a_data_set_is_to_be_checked_and_trained_on(tmp_path, monkeypatch, capsys):
    write_data(tmp_path, train=1, val=1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main([])
    _, _, said = capsys.readouterr().out.partition("Next, in this folder:\n")
    assert said.splitlines() == ["Here is a data set (train, val):", "  maskzoo data check .", "  maskzoo train ."]
    (tmp_path / "val.json").unlink()
    assert "  maskzoo data split . parts" in list_next_steps(tmp_path)


@pytest.mark.parametrize("inside", [True, False])
def test_a_run_is_to_be_read_about_measured_and_used(tmp_path, inside):
    run = tmp_path / "runs" / "penn"
    make_run(tmp_path / "runs" / "older", "last.safetensors")
    os.utime(tmp_path / "runs" / "older" / "run.json", (1, 1))
    make_run(run, "best.safetensors", "report.html")
    name, before = (".", "") if inside else ("runs/penn", "runs/penn/")
    said = list_next_steps(run if inside else tmp_path)
    assert said[1:4] == [
        f"  {before}report.html tells how it went",
        f"  maskzoo eval {name} /data/val.json",
        f"  maskzoo predict {name} photo.jpg",
    ]


def test_a_run_without_weights_is_to_be_gone_on_with(tmp_path):
    make_run(tmp_path / "run")
    assert list_next_steps(tmp_path / "run")[-1] == "  maskzoo train --resume ."
    (tmp_path / "run" / "run.json").write_text("no JSON")
    (tmp_path / "run" / "last.safetensors").write_text("")
    assert "  maskzoo eval . DATA" in list_next_steps(tmp_path / "run")


def test_weights_are_to_be_converted_or_used_on_the_picture_beside_them(tmp_path):
    (tmp_path / "r50.pdparams").write_text("")
    (tmp_path / "mine.safetensors").write_text("")
    Image.new("RGB", (4, 4)).save(tmp_path / "street.png")
    said = list_next_steps(tmp_path)
    assert "  maskzoo convert r50.pdparams r50.safetensors" in said and "  maskzoo predict mine.safetensors street.png" in said


def test_pictures_alone_are_to_be_predicted_and_another_format_converted(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "street.png")
    assert list_next_steps(tmp_path)[-1] == "  maskzoo predict mask_rcnn_r50_fpn_1x_coco ."
    (tmp_path / "data.yaml").write_text("names: [cat]\ntrain: images/train\nval: images/val\nnc: 1\n")
    assert "  maskzoo data convert . coco" in list_next_steps(tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_offered_completion(shell):
    asked = {"COMP_WORDS": "maskzoo pre", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "maskzoo pre"}
    asked["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    environment = os.environ | asked | {"_MASKZOO_COMPLETE": f"complete_{shell}"}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'maskzoo'; from maskzoo.cli import main; main()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert "predict" in done.stdout and "train" not in done.stdout, done  # each shell in a form of its own
