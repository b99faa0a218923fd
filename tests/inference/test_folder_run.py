"""A folder predicted by several threads, by several processes, and by one that is killed: always the same files."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from PIL import Image

import maskzoo
from maskzoo.cli import main
from maskzoo.errors import ArgumentError
from maskzoo.system.files import own_folder
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network

COUNT = 12


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A small model, a folder of photos of which one is damaged, and what one uninterrupted process makes of them."""
    folder = tmp_path_factory.mktemp("scene")
    config = small_config(FPN, "limits.detections.score=0.0")
    write_checkpoint(folder / "small.safetensors", small_network(config).state_dict(), config, {"source": "random"})
    (folder / "photos").mkdir()
    for number in range(COUNT):
        Image.fromarray(make_photo(60, 90, number)).save(folder / "photos" / f"p{number}.png")
    (folder / "photos" / "p5.png").write_bytes(b"no picture")
    finish(start(folder, "whole", "--workers", "1"))
    assert json.loads((folder / "whole" / "predictions.json").read_text())
    return folder


def start(folder, out, *options, processes=1, source="photos", model="small.safetensors"):
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*launcher, "-m", "maskzoo", "predict", model, source, "--out", out, "--score", "0", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, codes=(3,)):
    out, err = process.communicate(timeout=200)
    assert process.returncode in codes, out + err
    return out, err


def read_files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def read_parts(folder):
    return [line for path in folder.glob(".predict.*.part.jsonl") for line in path.read_bytes().splitlines()[1:]]


def kill_in_the_middle(process, folder, number=signal.SIGKILL, after=4):
    while len(read_parts(folder)) < after:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(number)
    return process.communicate()


def test_a_call_that_was_killed_goes_on_and_ends_with_the_same_files(scene):
    kill_in_the_middle(start(scene, "killed", "--workers", "2"), scene / "killed")
    kept = len(read_parts(scene / "killed"))
    assert 4 <= kept < COUNT and not (scene / "killed" / "predictions.json").exists()
    (part,) = (scene / "killed").glob(".predict.*")
    with part.open("ab") as stream:
        stream.write(b'{"n": 23, "torn')
    _, err = finish(start(scene, "killed"))
    assert "Going on after" in err and f"of {COUNT} images" in err
    assert read_files(scene / "killed") == read_files(scene / "whole")


@pytest.mark.parametrize("options", [("--workers", "1"), ("--workers", "2", "--batch", "2")])
def test_ctrl_c_says_how_many_images_are_done_and_that_the_same_call_goes_on(scene, tmp_path, options):
    for number in range(900):
        (tmp_path / f"{number}.png").write_bytes((scene / "photos" / "p1.png").read_bytes())
    process = start(tmp_path, "out", *options, source=".", model=scene / "small.safetensors")
    _, err = kill_in_the_middle(process, tmp_path / "out", signal.SIGINT)
    assert process.returncode == 130 and "Traceback" not in err
    ready = int(re.search(r"Stopped after (\d+) of 900 images; the same call goes on from there", err).group(1))
    assert 4 <= ready == len(read_parts(tmp_path / "out")) < 900
    process = start(tmp_path, "out", *options, source=".", model=scene / "small.safetensors")
    _, err = kill_in_the_middle(process, tmp_path / "out", signal.SIGINT, after=ready + 4)
    assert f"Going on after {ready} of 900 images" in err and "Stopped after" in err


def test_a_data_set_that_was_killed_goes_on_under_its_ids_and_not_under_others(scene):
    images = [
        {"id": 100 - number, "file_name": f"p{number}.png", "width": 90, "height": 60} for number in range(COUNT) if number != 5
    ]
    data = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    (scene / "set.json").write_text(json.dumps(data))
    options = {"source": "set.json", "processes": 1}
    finish(start(scene, "whole-set", "--images", "photos", **options), codes=(0,))
    kill_in_the_middle(start(scene, "killed-set", "--images", "photos", **options), scene / "killed-set")
    (scene / "set.json").write_text(json.dumps(data | {"images": [image | {"id": image["id"] + 1} for image in images]}))
    _, err = finish(start(scene, "killed-set", "--images", "photos", **options), codes=(1,))
    assert "other images lies here" in err
    (scene / "set.json").write_text(json.dumps(data))
    finish(start(scene, "killed-set", "--images", "photos", **options), codes=(0,))
    assert read_files(scene / "killed-set") == read_files(scene / "whole-set")
    ids = {row["image_id"] for row in json.loads((scene / "killed-set" / "predictions.json").read_text())}
    assert ids == {image["id"] for image in images}


def test_two_processes_write_what_one_writes(scene):
    _, err = finish(start(scene, "two", "--save", "image,json", processes=2), codes=(1, 3))  # torchrun turns 3 into 1
    assert f"1 of {COUNT} images could not be read" in err
    assert read_files(scene / "two") == read_files(scene / "whole")


@pytest.mark.parametrize("second", ["image,json", "json"])
def test_pictures_of_an_earlier_call_never_stand_beside_new_results(run, scene, tmp_path, second):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.jpg").write_bytes(encode_plain())
    code, _, _ = run("photos/p1.png", "photos/p2.png", "--out", str(tmp_path / "out"))
    assert code == 0
    code, _, err = run("photos/p2.png", "photos/p3.png", "--out", str(tmp_path / "out"), "--save", second)
    assert code == 0
    drawn = {"p2.jpg", "p3.jpg"} if "image" in second else set()
    assert f"{1 if drawn else 2} picture{'' if drawn else 's'} of an earlier call" in err
    assert {path.name for path in (tmp_path / "out").glob("*.jpg")} == drawn | {"mine.jpg"}
    index = json.loads((tmp_path / "out" / "images.json").read_text())
    assert {image.get("picture") for image in index["images"]} == (drawn or {None})


def encode_plain():
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def run(scene, capsys, monkeypatch):
    monkeypatch.chdir(scene)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["predict", "small.safetensors", *arguments])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


def test_an_unfinished_run_with_other_options_is_an_error_that_says_what_to_do(run, scene):
    (scene / "other").mkdir()
    part = scene / "other" / ".predict.0.part.jsonl"
    part.write_text('{"manifest": "0"}\n{"n": 0}\n')
    code, _, err = run("photos", "--out", "other")
    assert code == 1 and ".predict.0.part.jsonl" in err and "another --out" in err
    assert part.exists()


def test_workers_and_batches_give_the_same_objects_in_the_order_of_sources(run, scene):
    code, out, _ = run("photos", "--out", "none", "--save", "none", "--json", "--score", "0", "--workers", "3", "--batch", "2")
    assert code == 3 and not (scene / "none").exists()
    printed = json.loads(out)
    assert [Path(image["source"]).stem for image in printed["images"]] == [f"p{n}" for n in range(COUNT) if n != 5]
    expected = json.loads((scene / "whole" / "predictions.json").read_text())
    assert sum(len(image["detections"]) for image in printed["images"]) == len(expected)


def test_an_archive_and_a_list_give_the_pictures_and_objects_of_the_folder(run, scene):
    with tarfile.open(scene / "shard.tar", "w") as archive:
        for number in range(4, 8):
            archive.add(scene / "photos" / f"p{number}.png", f"p{number}.png")
        info = tarfile.TarInfo("label.json")
        archive.addfile(info, io.BytesIO())
    (scene / "list.txt").write_text("".join(f"photos/p{number}.png\n" for number in range(4, 8)))
    objects = []
    for source, out in (("shard.tar", "from-tar"), ("@list.txt", "from-list")):
        code, _, err = run(source, "--out", out, "--score", "0")
        assert code == 3 and "p5.png" in err and "1 of 4 images" in err
        assert (scene / out / "p4.jpg").read_bytes() == (scene / "whole" / "p4.jpg").read_bytes()
        objects.append((scene / out / "predictions.json").read_bytes())
    assert objects[0] == objects[1]


def test_a_folder_is_predicted_from_python_with_results_that_outlive_their_files(scene, tmp_path, monkeypatch):
    monkeypatch.chdir(scene)
    events = []
    predictor = maskzoo.load(scene / "small.safetensors")
    run = maskzoo.predict_folder(predictor, Path("photos"), tmp_path / "out", score=0, on_progress=events.append)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == read_files(scene / "whole")
    assert run.written == (tmp_path / "out" / "predictions.json", tmp_path / "out" / "images.json")
    assert (run.images, run.saved) == (COUNT - 1, ("image", "json")) and "p5.png" in run.failed[0].error
    for _ in range(2):  # they can be read again
        results = list(run.results())
        assert len(results) == run.images and sum(len(result.detections) for result in results) == run.objects > 0
        assert all(result.picture.is_file() and result.count_classes().total() for result in results)
    assert run.to_dict() == json.loads("".join(run.to_json()))
    assert [image["source"] for image in run.to_dict()["images"]] == [result.source for result in results]
    counted = [(event.done, event.total) for event in events if not event.note]
    assert counted == [(number, COUNT) for number in range(1, COUNT + 1)]
    assert "Running on eager" in events[0].note


def test_nothing_is_left_of_a_call_that_saves_nothing(scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = maskzoo.predict_folder(lambda: maskzoo.load(scene / "small.safetensors"), str(scene / "photos" / "p1.png"), save=())
    assert (run.images, run.written, list(tmp_path.iterdir())) == (1, (), [])
    assert [result.picture for result in run.results()] == [None]


@pytest.mark.parametrize("wrong", [{"save": ["xml"]}, {"score": 2}, {"batch": 0}, {"workers": 0}, {"images": "a"}], ids=str)
def test_a_wrong_argument_is_refused_before_the_predictor_is_loaded(scene, tmp_path, wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        maskzoo.predict_folder(pytest.fail, scene / "photos", tmp_path / "out", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_model_is_no_predictor(tmp_path):
    with pytest.raises(ArgumentError, match=r"predictor: found 'my\.safetensors'; expected .*maskzoo\.load"):
        maskzoo.predict_folder("my.safetensors", "photos", tmp_path)


def test_a_folder_that_another_call_writes_into_is_refused_and_a_killed_call_leaves_nothing(scene):
    out = scene / "owned"
    out.mkdir()
    (out / ".p0.jpg.0123abcd.part").write_bytes(b"half a picture")
    with own_folder(out):
        _, said = finish(start(scene, "owned"), codes=(1,))
    assert "in use by process" in said and "Traceback" not in said
    finish(start(scene, "owned", "--workers", "1"))
    assert read_files(out).keys() == read_files(scene / "whole").keys()
