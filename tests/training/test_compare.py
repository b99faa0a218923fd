"""`maskzoo compare` on runs and on files of results."""

import json

import pytest

import maskzoo
from grids import find_all, make_grid
from maskzoo.cli import main
from small_runs import train, write_data, write_model


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["compare", *map(str, arguments)])
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


def test_two_files_are_compared_on_a_data_set(tmp_path, capsys):
    data = make_grid(images=6)
    for name, content in (("val", data), ("half", find_all(data)[::2]), ("all", find_all(data))):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    places = tmp_path / "half.json", tmp_path / "all.json", tmp_path / "val.json"
    code, out, _ = call(capsys, *places, "--json")
    said = json.loads(out)
    assert code == 0 and said["measures"]["AP"]["certain"] and said["measures"]["AP"]["second"] == pytest.approx(1)
    assert said == json.loads(json.dumps(maskzoo.compare(*places).to_dict()))
    code, out, _ = call(capsys, *places)
    assert code == 0 and "is better: +" in out and "95 % interval" in out


def test_what_cannot_be_compared_is_said(tmp_path, capsys):
    code, _, err = call(capsys, tmp_path / "a.json", tmp_path / "b.json")
    assert code == 2 and "name two runs, or give DATA" in err
    with pytest.raises(maskzoo.ArgumentError, match="10 or more"):
        maskzoo.compare("a", "b", resamples=1)


def test_a_run_compared_with_itself_has_an_interval_that_holds_zero(tmp_path, capsys):
    model, data = write_model(tmp_path), write_data(tmp_path)
    train(model, data, "--from", "none", "--epochs", 1, "--workers", 0, "--out", tmp_path / "run")
    capsys.readouterr()
    code, out, err = call(capsys, tmp_path / "run", tmp_path / "run", "--json")
    assert code == 0, err
    ap = json.loads(out)["measures"]["AP"]
    assert ap["first"] == ap["second"] and ap["lower"] <= 0 <= ap["upper"]
