"""`maskzoo convert --to`: what it writes, says and refuses."""

import json

import pytest
import torch

from elsewhere_files import read_row_of
from maskzoo.cli import main
from maskzoo.models.build import build
from maskzoo.weights.checkpoint import write_checkpoint

THIN = ("network.backbone.width=8", "network.channels=16", "network.box_features=32", "classes={1: cat, 7: dog}")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "mine.safetensors"
    config = read_row_of("d2_r50_fpn", *THIN, "input.resize=opencv")
    torch.manual_seed(0)
    write_checkpoint(path, build(config.network, 2, config.limits).state_dict(), config, {})
    return path


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def test_a_model_goes_back_and_what_differs_there_is_said(model, tmp_path, capsys):
    out = tmp_path / "back.pkl"
    assert run("convert", model, out, "--to", "detectron2") == 0
    said = capsys.readouterr().out
    assert f"Wrote {out} (307 tensors); its settings there: {tmp_path / 'back.yaml'}" in said
    assert "differs: input.resize is opencv; detectron2 has pillow" in said
    assert f"maskzoo verify {model} --against detectron2" in said
    assert run("convert", model, out, "--to", "detectron2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["differences"] == ["input.resize is opencv; detectron2 has pillow"]


def test_a_pdparams_file_needs_no_library_said(model, tmp_path, capsys):
    assert run("convert", model, tmp_path / "back.pdparams") == 1
    assert "PaddleDetection has no network like it: network.backbone.width is 8, expected 64" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("back.pth",), "say whose it will be with --to"),
        (("back.pkl", "--to", "detectron2", "--classes", "a,b"), "--classes and --to do not go together"),
    ],
)
def test_calls_that_leave_open_what_is_meant_are_refused(model, arguments, words, tmp_path, capsys):
    assert run("convert", model, tmp_path / arguments[0], *arguments[1:]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
