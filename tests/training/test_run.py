"""A run from Python: `maskzoo.train`, and `maskzoo.evaluate` and `maskzoo.write_report` on what it made."""

import json
import threading

import pytest

import maskzoo
from maskzoo.cli import main
from maskzoo.errors import ArgumentError, ConfigError, ExportError, TrainingError
from maskzoo.model_file import dump_config
from maskzoo.system.files import own_folder
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.first_weights import make_first_weights
from maskzoo.zoo.rows import read_row
from networks import small_network
from small_runs import read_rows, write_data, write_model


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder), write_data(folder / "data", train=4, val=2)


@pytest.fixture(scope="module")
def done(inputs, tmp_path_factory):
    """A run of one epoch, with its rows and events; in a thread, where no signal can be caught."""
    model, data = inputs
    rows, events, runs = [], [], []
    options = {"source": "none", "epochs": 1, "overrides": ["run.workers=0"], "device": "cpu"}
    options |= {"on_row": rows.append, "on_progress": events.append}

    def train():
        runs.append(maskzoo.train(model, data, tmp_path_factory.mktemp("runs") / "new", **options))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    return runs[0], rows, events


def test_a_run_returns_its_files_and_what_it_measured(done):
    run, rows, _ = done
    assert (run.epochs, run.iterations, run.best_epoch) == (1, len(read_rows(run.folder)), 1)
    assert all(path.is_file() for path in (run.best_weights, run.last_weights, run.report))
    assert [row for row in rows if row["kind"] == "step"] == read_rows(run.folder)
    said = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    assert said["run"] == str(run.folder) and said["best"] == run.best and said["report"].endswith("report.html")


def test_steps_images_and_sentences_come_as_events(done):
    run, _, events = done
    steps = [event.done for event in events if event.unit == "steps" and not event.note]
    assert steps == list(range(run.iterations + 1)) and {event.total for event in events if event.unit == "steps"} == {4}
    assert [event.done for event in events if event.stage == "Evaluating"] == [1, 2]
    notes = [event.note for event in events if event.note]
    assert any(note.startswith("learning rate") for note in notes) and any("epoch 1/1: box AP" in note for note in notes)


def test_the_folder_of_a_run_is_a_model_wherever_one_is_asked_for(done, inputs, tmp_path, monkeypatch, capsys):
    run, _, _ = done
    photo = inputs[1] / "val" / "1.png"
    expected = maskzoo.load(run.best_weights, device="cpu").predict(photo, score=0)
    for model in (run.folder, f"{run.folder}/"):
        assert maskzoo.load(model, device="cpu").predict(photo, score=0).to_dict() == expected.to_dict()
    monkeypatch.chdir(run.folder.parent)
    with pytest.raises(SystemExit) as end:
        main(["predict", "new", str(photo), "--out", str(tmp_path / "found"), "--score", "0"])
    assert end.value.code == 0
    measured = maskzoo.evaluate(run.folder, inputs[1], device="cpu", out=tmp_path / "measured")
    assert measured.to_dict()["mask"] == run.best["mask"]
    first = make_first_weights(maskzoo.load("new", device="cpu").config, "new", seed=0)
    assert "best.safetensors" in first.report
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty: a folder without best\.safetensors"):
        maskzoo.load(tmp_path / "empty")
    (tmp_path / "empty" / "run.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"kept no weights yet; .*--resume"):
        maskzoo.load(tmp_path / "empty")


def test_a_file_that_was_exported_is_overwritten_by_force_alone(done, tmp_path, monkeypatch):
    run, _, _ = done
    monkeypatch.chdir(tmp_path)
    for name in ("new.onnx", "new_example.py", "new_example.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(ExportError, match=rf"{name}: exists already; .*--force"):
            maskzoo.export(run.folder)
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    (tmp_path / "new.onnx").write_text("mine")
    exported = maskzoo.export(run.folder, force=True)
    assert exported.file.name == "new.onnx" and exported.file.stat().st_size > 4
    with pytest.raises(ExportError, match="--force"):
        maskzoo.export(run.folder)


def test_the_weights_that_were_kept_evaluate_to_the_numbers_of_the_run(done, inputs, tmp_path):
    run, _, _ = done
    measured = maskzoo.evaluate(run.best_weights, inputs[1], device="cpu", out=tmp_path / "found")
    assert {name: measured.to_dict()[name] for name in run.best} == run.best
    assert (measured.images, measured.failed, measured.comparison) == (2, (), None)
    again = maskzoo.evaluate(None, inputs[1], predictions=tmp_path / "found" / "predictions.json")
    assert again.to_dict()["mask"] == run.best["mask"] and again.results.provenance.index.endswith("images.json")
    for name, result in (("first", measured), ("again", again)):
        maskzoo.write_report(tmp_path / f"{name}.html", result)
        assert (tmp_path / f"{name}.html").read_text().count("<img") == 4


def test_arguments_that_do_not_go_together_are_named(done, inputs, tmp_path):
    model, data = inputs
    for arguments, options, said in (
        ((), {}, "either DATA, with or without a MODEL"),
        ((model, data), {"resume": tmp_path}, "either DATA, with or without a MODEL"),
        ((), {"resume": done[0].folder, "epochs": 0}, r"--epochs\): found 0; the run was begun with 1"),
        ((), {"resume": done[0].folder, "overrides": ["training.epochs=2"]}, "training.epochs=2 cannot change"),
        ((), {"resume": done[0].folder, "seed": 2}, "run.seed=2 cannot change"),
        ((), {"resume": done[0].folder, "recipe": "photo"}, "--recipe cannot change"),
    ):
        with pytest.raises(ArgumentError, match=said):
            maskzoo.train(*arguments, **options)
    for model, options, said in (
        (None, {}, "accepted only with --from-predictions"),
        (None, {"predictions": "rows.json", "overrides": ["a=1"]}, "no value to change"),
        ("net", {"predictions": "rows.json", "weights": "w.safetensors"}, "--weights: nothing is run"),
    ):
        with pytest.raises(ArgumentError, match=said):
            maskzoo.evaluate(model, data, **options)
    with pytest.raises(ArgumentError, match=r"ends in \.html"):
        maskzoo.write_report(tmp_path / "page.pdf", None)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"epochs": 0}, r"--epochs\): found 0; expected 1 or more"), ({"freeze_depth": -1}, "found -1; expected 0 to 5")],
)
def test_what_is_out_of_range_is_refused_before_there_is_a_folder(wrong, says, tmp_path):
    with pytest.raises(ArgumentError, match=says):
        maskzoo.train("mask_rcnn_r50_fpn_1x_coco", tmp_path / "train.json", tmp_path / "run", source="none", **wrong)
    assert not (tmp_path / "run").exists()


def test_a_run_that_another_process_goes_on_with_is_refused_as_it_is(done):
    folder = done[0].folder
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with own_folder(folder), pytest.raises(TrainingError, match="in use by process"):
        maskzoo.train(resume=folder, device="cpu")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    "row",
    [
        "detectron2/mask_rcnn_R_50_FPN_3x",
        "detectron2/mask_rcnn_R_50_FPN_100ep_LSJ",
        "torchvision/maskrcnn_resnet50_fpn",
        "mmdet/mask-rcnn_r50_fpn_1x_coco",
    ],
)
def test_training_goes_on_from_another_librarys_network_with_classes_of_ones_own(row, tmp_path):
    thin = (
        "network.channels=16", "network.box_features=32", "network.backbone.width=8", "input.short_side=64",
        "input.long_side=96", "training.short_sides=[64]", "training.long_side=96", "training.epochs=1",
        "training.milestones=[1]",
        "limits.detections.total=10", "training.proposals.total=50", "training.boxes.samples=16", "classes={1: Disk, 2: cat}",
        "source.published=null", "source.weights=''",
    )  # fmt: skip
    config = read_row(row, thin)
    (tmp_path / "my.yml").write_text(dump_config(config))
    write_checkpoint(tmp_path / "mine.safetensors", small_network(config).state_dict(), config, {})
    data = write_data(tmp_path / "data", train=2, val=1)
    options = {"source": tmp_path / "mine.safetensors", "overrides": ["run.workers=0"], "device": "cpu"}
    events = []
    run = maskzoo.train(tmp_path / "my.yml", data, tmp_path / "run", **options, on_progress=events.append)
    assert run.iterations > 0 and run.dropped == 0
    assert any("2 -> 2 classes; kept by name: disk; new: square" in (event.note or "") for event in events)
    found = maskzoo.load(run.last_weights)
    assert found.config.input == config.input and len(found.config.classes) == 2
