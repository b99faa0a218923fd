"""`maskzoo bench` from the command to its page, and the rules that choose and compare settings."""

import json
import re

import pytest
import torch

import maskzoo
from maskzoo.bench.hardware import find_peak
from maskzoo.bench.measured import BenchmarkRun, Measured
from maskzoo.bench.page import render_page
from maskzoo.bench.settings import Setting, list_settings, make_photo
from maskzoo.bench.stages import STAGES, time_stages
from maskzoo.cli import main
from maskzoo.models.build import build
from maskzoo.models.cost import count_operations
from maskzoo.system.machine import BackendFacts
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.rows import names, read_row
from networks import FPN, THIN, small_config, small_network, small_predictor


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = small_config(FPN, *THIN)
    path = tmp_path_factory.mktemp("bench") / "thin.safetensors"
    write_checkpoint(path, small_network(config).state_dict(), config, {"source": "random"})
    return path


def test_the_command_measures_predictions_and_training_and_writes_numbers_and_a_page(model, capsys, tmp_path):
    arguments = ("--size", "64x96", "--seconds", "0.1", "--rounds", "1", "--backends", "eager", "--threads", "1")
    arguments += ("--dtypes", "float32")  # a processor that computes in bfloat16 would take both
    code, out, err = call(capsys, "bench", model, *arguments, "--training", "--json", "--out", tmp_path / "out")
    assert code == 0, err
    assert "Measuring 2 settings in 1 round of 0.1 s each: about 0:00:" in err
    assert re.search(r"2/2 training float32, 1 thread, round 1/1: [\d,]+ ms, the median of", err)
    printed = json.loads(out)
    predicting, training = printed["rows"]
    assert predicting["name"] == "eager float32, 1 thread" and training["setting"]["backend"] == "training"
    for row in (predicting, training):
        assert row["ratio"] == 1 and row["calls"] >= 2 and 0 < row["median"] <= row["p95"] and row["memory"] > 1e8
    assert list(predicting["stages"]) == list(STAGES) and training["stages"] is None
    assert predicting["share"] > 0 and predicting["peak"] > 1e9
    assert json.loads((tmp_path / "out" / "bench.json").read_text()) == printed
    assert "Where it goes" in (tmp_path / "out" / "bench.html").read_text()


def test_calls_that_cannot_be_are_refused_before_anything_runs(model, capsys):
    for option, value, said in (
        ("--backends", "tensorrt", "tensorrt"),
        ("--threads", "0", "1,2"),
        ("--size", "9", "800x1216"),
    ):
        code, _, err = call(capsys, "bench", model, option, value)
        assert code == 2 and said in err
    code, _, err = call(capsys, "bench", FPN, "--random", "--weights", model)
    assert code == 2 and "leave one of them out" in err


def test_a_benchmark_that_is_stopped_keeps_what_it_has(model, tmp_path, monkeypatch):
    said = []

    def stop_at_the_third(job, home):
        if len([note for note in said if "/4 " in note]) == 2:
            raise KeyboardInterrupt
        return {"times": [0.1, 0.2, 0.3], "first": 1.0, "loading": 1.0, "memory": 10}

    monkeypatch.setattr("maskzoo.bench.runner._run_worker", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        maskzoo.benchmark(model, backends=["eager"], dtypes=["float32"], threads=[1, 2], out=tmp_path / "out",
                          on_progress=lambda event: said.append(event.note))  # fmt: skip
    assert said[-1] == "Stopped after 2 of 4 turns"
    rows = json.loads((tmp_path / "out" / "bench.json").read_text())["rows"]
    assert [(row["name"], row["calls"]) for row in rows] == [("eager float32, 1 thread", 3), ("eager float32, 2 threads", 3)]


def test_absent_backends_are_told_and_not_run():
    present = [BackendFacts("eager", "2.13", ("cpu",)), BackendFacts("openvino", None, remedy="pip install it")]
    settings, absent = list_settings(["eager", "openvino"], ["float32"], [1, 2], 4, present)
    assert [str(one) for one in settings] == ["eager float32, 1 thread, batch 4", "eager float32, 2 threads, batch 4"]
    assert [one.name for one in absent] == ["openvino"]


def test_a_setting_that_failed_is_on_the_page_with_its_reason_and_nothing_is_markup():
    rows = [
        Measured(Setting("eager", "float32", 1, 1), calls=2, median=0.5, p95=0.6, rate=2.0, ratio=1.0, memory=10**9),
        Measured(Setting("openvino", "float32", 1, 1), failed="<b>no memory</b>"),
    ]
    machine = {"model": "<CPU>", "usable": 2, "torch": "2.13", "gpus": []}
    page = render_page(BenchmarkRun("thin", "random", machine, tuple(rows), ()))
    assert "500 ms" in page and "&lt;b&gt;no memory&lt;/b&gt;" in page and "&lt;CPU&gt;" in page and "<b>no" not in page


def test_stages_add_up_to_a_prediction_with_all_its_objects():
    predictor, photo = small_predictor(), make_photo(60, 90)
    stages = time_stages(predictor, photo)
    assert list(stages.seconds) == list(STAGES) and all(seconds >= 0 for seconds in stages.seconds.values())
    assert stages.detections == len(predictor.predict(photo, score=0)) > 0
    assert stages.canvas == (64, 96)


def test_operations_are_those_of_the_zoos_table_and_a_peak_is_a_rate():
    assert FPN in names()
    row = read_row(FPN)
    with torch.device("meta"):
        model = build(row.network, len(row.classes), row.limits)
    total = count_operations(model, (800, 1216), 1000, 100)
    assert total == pytest.approx(496e9, rel=0.01)
    assert find_peak(torch.float32, torch.device("cpu")) > 1e9
