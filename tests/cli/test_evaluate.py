"""`maskzoo eval` end to end, with a small network and made-up photos."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from coco_files import disturb, judge, make_data, write
from maskzoo.cli import main
from maskzoo.weights.checkpoint import write_checkpoint
from networks import make_photo, small_config, small_network

NAMES = ["person", "car", "train", "dog", "toothbrush"]
IDS = (1, 3, 7, 18, 90)  # the small network's


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    config = small_config()
    write_checkpoint(path, small_network(config).state_dict(), config, {"source": "rule-made"})
    return path


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Work in a folder with four photos and their annotations; the last photo has only a crowd."""
    monkeypatch.chdir(tmp_path)
    content = make_data(images=4, objects=4, ids=IDS)
    for row, name in zip(content["categories"], NAMES, strict=True):
        row["name"] = name
    crowd = content["annotations"][-1]
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] != 40] + [crowd]
    (tmp_path / "images").mkdir()
    for image in content["images"]:
        Image.fromarray(make_photo(image["height"], image["width"])).save(tmp_path / "images" / image["file_name"])
    write(tmp_path / "val.json", content)
    return content


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["eval", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


def test_numbers_are_pycocotools_on_the_predictions_that_were_written(run, model, data, tmp_path):
    code, out, err = run(model, "val.json", "--json", "--out", "found", "--batch", "2")
    assert (code, err) == (0, "")
    printed = json.loads(out)
    rows = json.loads((tmp_path / "found" / "predictions.json").read_text())
    assert printed["detections"] == len(rows) > 10
    assert {row["image_id"] for row in rows} == {10, 20, 30}
    for name, kind in (("box", "bbox"), ("mask", "segm")):
        expected = judge(data, rows, kind)[0]
        np.testing.assert_allclose(np.array(list(printed[name].values()), float), np.array(expected, float), rtol=0, atol=1e-9)
    assert (printed["images"], printed["images_run"], printed["objects"]) == (4, 3, 12)
    assert "5,000 images" in printed["published"]["reason"] and printed["published"]["reached"] is None
    assert json.loads((tmp_path / "found" / "metrics.json").read_text()) == printed


def test_images_without_objects_are_run_if_asked(run, model, data):
    printed = json.loads(run(model, "val.json", "--json", "--all-images")[1])
    assert printed["images_run"] == 4


def test_the_tables_show_both_kinds_and_every_class_that_is_there(run, model, data):
    code, out, err = run(model, "val.json", "--limit", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert any(line.split() == ["percent", "box", "mask"] for line in lines)
    assert sum(line.startswith(("AP", "AR")) for line in lines) == 12
    present = {row["category_id"] for row in data["annotations"] if row["image_id"] in (10, 20)}
    for number, name in zip(IDS, NAMES, strict=True):
        assert any(line.startswith(name + " ") for line in lines) == (number in present)
    assert "2 images, 8 objects" in out and "2 images run in" in out and "images/s" in out
    assert "Not comparable" in out


def test_results_in_a_file_are_scored_without_a_model(run, data, tmp_path):
    rows = disturb(data)
    write(tmp_path / "rows.json", rows)
    code, out, err = run("-", "val.json", "--from-predictions", "rows.json", "--json")
    assert code == 0 and err.startswith("rows.json: rows were matched with images by id alone") and err.count("\n") == 1
    printed = json.loads(out)
    assert printed["matching"]["matched_by"] == "id" and printed["matching"]["doubts"] == []
    assert printed["box"]["AP"] == pytest.approx(judge(data, rows, "bbox")[0][0], abs=1e-9)
    assert printed["mask"]["AP_large"] == judge(data, rows, "segm")[0][5]
    assert (printed["model"], printed["published"], printed["images_run"]) == ("rows.json", None, 0)
    printed = json.loads(run("-", "val.json", "--from-predictions", "rows.json", "--json", "--limit", "2")[1])
    some = [row for row in rows if row["image_id"] in (10, 20)]
    assert printed["images"] == 2 and printed["detections"] == len(some)


def test_a_folder_that_was_predicted_scores_like_the_model(run, model, data, tmp_path):
    options = ["--score", "0", "--save", "json", "--out", "found"]
    with pytest.raises(SystemExit) as end:
        main(["predict", str(model), "images", *options])  # numbers the images otherwise than val.json: 0 1 2 3
    assert end.value.code == 0
    rows = json.loads((tmp_path / "found" / "predictions.json").read_text())
    assert {row["image_id"] for row in rows} == {0, 1, 2, 3}
    code, out, err = run("-", "val.json", "--from-predictions", "found/predictions.json", "--json")
    assert code == 0 and "by name, as found/images.json says" in err
    printed, expected = json.loads(out.splitlines()[-1]), json.loads(run(model, "val.json", "--json", "--all-images")[1])
    assert printed["detections"] == expected["detections"] and printed["matching"]["matched_by"] == "name"
    for kind in ("box", "mask"):
        assert printed[kind] == pytest.approx(expected[kind], abs=1e-9)


def test_what_eval_wrote_is_scored_again_to_the_same_numbers(run, model, data, tmp_path):
    (tmp_path / "found").mkdir()
    write(tmp_path / "found" / "images.json", {"left": "by an earlier call"})
    first = json.loads(run(model, "val.json", "--json", "--out", "found")[1])
    index = json.loads((tmp_path / "found" / "images.json").read_text())
    assert [image["id"] for image in index["images"]] == [10, 20, 30] and index["annotations"] == []
    code, out, _ = run("-", "val.json", "--from-predictions", "found/predictions.json", "--json")
    again = json.loads(out)
    assert code == 0 and again["box"] == first["box"] and again["mask"] == first["mask"]
    assert not any("not among the results" in doubt for doubt in again["matching"]["doubts"])


def test_results_of_other_images_are_refused_before_a_number_is_printed(run, data, tmp_path):
    rows = disturb(data)
    write(tmp_path / "rows.json", rows)
    names = [image | {"file_name": f"other{image['id']}.png"} for image in data["images"]]
    write(tmp_path / "images.json", data | {"images": names, "annotations": []})
    code, out, err = run("-", "val.json", "--from-predictions", "rows.json", "--json")
    assert (code, out) == (1, "") and "found 'other40.png'" in err and "maskzoo predict MODEL val.json" in err


def test_boxes_alone_are_scored_as_boxes_alone(run, data, tmp_path):
    rows = [{key: value for key, value in row.items() if key != "segmentation"} for row in disturb(data)]
    write(tmp_path / "rows.json", rows)
    code, out, _ = run("-", "val.json", "--from-predictions", "rows.json")
    assert code == 0 and "box AP" in out and "mask AP" not in out


def test_images_that_cannot_be_run_are_named_and_count(run, model, data, tmp_path):
    names = {image["id"]: image["file_name"] for image in data["images"]}
    (tmp_path / "images" / names[10]).unlink()
    (tmp_path / "images" / names[20]).write_bytes(b"no image")
    Image.fromarray(make_photo(80, 61)).save(tmp_path / "images" / names[30])  # as if it had been turned
    code, out, err = run(model, "val.json", "--json")
    assert code == 3
    printed = json.loads(out)
    assert [failure["image_id"] for failure in printed["failed"]] == [10, 20, 30]
    assert printed["images"] == 4 and printed["mask"]["AP"] == 0
    assert err.startswith("3 of 3 images could not be run")
    assert all(names[number] in err for number in (10, 20, 30)) and "found a photo of 61 x 80" in err


def test_other_ids_of_the_same_names_are_matched_and_other_names_are_an_error(run, model, data, tmp_path):
    before = json.loads(run(model, "val.json", "--json")[1])
    for row in (*data["categories"], *data["annotations"]):
        key = "id" if "name" in row else "category_id"
        row[key] = IDS.index(row[key])
    write(tmp_path / "val.json", data)
    printed = json.loads(run(model, "val.json", "--json")[1])
    assert "by name" in printed["classes_matched"] and before["classes_matched"] is None
    assert printed["box"] == before["box"] and printed["mask"] == before["mask"]

    for row, name in zip(data["categories"], ("zebra", "comb", "hat", "cup", "bowl"), strict=True):
        row["name"] = name
    write(tmp_path / "val.json", data)
    code, out, err = run(model, "val.json")
    assert (code, out) == (1, "") and "no class in common" in err and "zebra" in err and "person" in err


def test_a_part_of_the_models_classes_and_unknown_ones_give_the_numbers_of_the_common_ones(run, model, data, tmp_path):
    """As on a set of people and cars: other ids, other capitals, a class that the model does not know, an empty one."""
    assert run(model, "val.json", "--json", "--out", "whole")[0] == 0
    rows = json.loads((tmp_path / "whole" / "predictions.json").read_text())
    whole = json.loads(json.dumps(data))
    data["categories"] = [
        {"id": 0, "name": "shapes"},
        {"id": 1, "name": "Car"},
        {"id": 2, "name": "cone"},
        {"id": 3, "name": "PERSON"},
    ]
    new = {3: 1, 1: 3, 7: 2, 18: 2, 90: 2}
    for row in data["annotations"]:
        row["category_id"] = new[row["category_id"]]
    write(tmp_path / "val.json", data)
    code, out, err = run(model, "val.json", "--json", "--out", "part")
    assert (code, err) == (0, "")
    printed = json.loads(out)
    for name, kind in (("box", "bbox"), ("mask", "segm")):
        expected = judge(whole, rows, kind, [1, 3])[0]
        np.testing.assert_allclose(np.array(list(printed[name].values()), float), np.array(expected, float), rtol=0, atol=1e-9)
    cones = sum(row["category_id"] == 2 and not row["iscrowd"] for row in data["annotations"])
    assert printed["classes_left_out"] == [
        {"id": 0, "name": "shapes", "objects": 0}, {"id": 2, "name": "cone", "objects": cones},
    ]  # fmt: skip
    assert [row["name"] for row in printed["classes"]] == ["Car", "PERSON"] and printed["images_run"] == 3
    assert printed["detections"] + printed["detections_left_out"] == len(rows)
    written = json.loads((tmp_path / "part" / "predictions.json").read_text())
    assert {row["category_id"] for row in written} <= {1, 3} and len(written) == printed["detections"]

    out = run(model, "val.json", "--page", "page.html")[1]
    assert any(line.split()[:4] == ["cone", str(cones), "left", "out"] for line in out.splitlines())
    for part in ("train, dog, toothbrush", f"cone ({cones} objects)", "'Car' for 'car'", "of other classes left out"):
        assert part in out
    code, out, _ = run("-", "val.json", "--from-predictions", "part/predictions.json", "--json")
    again = json.loads(out)
    assert again["box"] == printed["box"] and again["mask"] == printed["mask"]


def test_a_class_map_gives_the_data_the_names_of_the_model(run, model, data, tmp_path):
    before = json.loads(run(model, "val.json", "--json")[1])
    for row, name in zip(data["categories"], ("Mensch", "Auto", "Zug", "Hund", "Bürste"), strict=True):
        row["name"] = name
    write(tmp_path / "val.json", data)
    (tmp_path / "map.yml").write_text("person: Mensch\ncar: Auto\ntrain: Zug\ndog: Hund\ntoothbrush: Bürste\n", "utf-8")
    code, out, err = run(model, "val.json", "--json", "--classes", "map.yml")
    assert code == 0 and "map.yml: 5 classes: person from Mensch" in err
    printed = json.loads(out)
    assert printed["box"] == before["box"] and printed["classes"] == before["classes"]
    code, _, err = run(model, "val.json", "--classes", "dog,cat")
    assert code == 2 and "expected a class map" in err


def test_an_override_reaches_the_model_and_is_said(run, model, data):
    printed = json.loads(run(model, "val.json", "--json", "--set", "limits.detections.total=2")[1])
    assert printed["detections"] == 6
    code, _, err = run(model, "val.json", "--set", "limits.detections.totl=2")
    assert code == 1 and "total" in err


def test_an_override_reaches_a_checkpoint_that_is_not_run_too(run, model, data, tmp_path):
    write(tmp_path / "rows.json", disturb(data))
    code, _, err = run(model, "val.json", "--from-predictions", "rows.json", "--set", "limits.detections.totl=2")
    assert code == 1 and "total" in err
    other = "classes={1: person, 3: car, 7: train, 18: dog, 90: comb}"
    code, out, _ = run(model, "val.json", "--from-predictions", "rows.json", "--set", other)
    assert code == 0 and "does not have: comb" in out  # its classes are no longer those of the data


def test_of_a_folder_the_val_split_is_taken_unless_another_is_named(run, data, tmp_path):
    write(tmp_path / "rows.json", disturb(data))
    call = ("-", ".", "--from-predictions", "rows.json", "--json")
    (tmp_path / "val.json").rename(tmp_path / "train.json")
    code, out, err = run(*call)
    assert code == 0 and json.loads(out)["data"].endswith("train.json") and "no val and no test split" in err
    write(tmp_path / "test.json", data)
    assert json.loads(run(*call)[1])["data"].endswith("test.json")
    write(tmp_path / "val.json", data)
    code, out, err = run(*call)
    assert json.loads(out)["data"].endswith("val.json") and "no val and no test split" not in err
    assert json.loads(run(*call, "--split", "train")[1])["data"].endswith("train.json")
    code, _, err = run(*call, "--split", "tiny")
    assert code == 1 and "'tiny'" in err and "train, val, test" in err


def test_a_page_is_written_with_pictures_or_without(run, data, tmp_path):
    write(tmp_path / "rows.json", disturb(data))
    call = ("-", "val.json", "--from-predictions", "rows.json", "--page", "found.html")
    code, out, err = run(*call)
    page = (tmp_path / "found.html").read_text()
    assert code == 0 and "gets no pictures" not in err and "Saved to found.html" in out
    assert page.count("data:image/jpeg;base64,") == 2 * 4 and "toothbrush" in page
    away = tmp_path.parent / f"{tmp_path.name}-away"  # in the data's own folder they are found by any name
    (tmp_path / "images").rename(away)
    code, _, err = run(*call)
    assert code == 0 and "gets no pictures" in err and "--images" in err
    assert "data:image/jpeg" not in (tmp_path / "found.html").read_text()
    assert run(*call, "--images", away)[0] == 0
    assert "data:image/jpeg" in (tmp_path / "found.html").read_text()


@pytest.fixture
def one_thread():
    """As many threads as a process of torchrun has: another number may round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_two_processes_write_the_bytes_of_one(run, model, tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    content = make_data(images=7, objects=3, ids=IDS)
    for row, name in zip(content["categories"], NAMES, strict=True):
        row["name"] = name
    (tmp_path / "images").mkdir()
    for place, image in enumerate(content["images"]):
        Image.fromarray(make_photo(image["height"], image["width"], place)).save(tmp_path / "images" / image["file_name"])
    write(tmp_path / "val.json", content)
    assert run(model, "val.json", "--json", "--out", "one")[0] == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "maskzoo", "eval", model, "val.json", "--json", "--out", "two", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two" / "predictions.json").read_bytes() == (tmp_path / "one" / "predictions.json").read_bytes()
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    assert json.loads(done.stdout) == two  # once, by the first process
    assert two["images_run"] == 7 and one | {"seconds": 0} == two | {"seconds": 0}


def test_faults_of_the_annotations_are_an_error_before_the_model_is_loaded(run, data, tmp_path):
    data["annotations"][0]["area"] = None
    data["annotations"][1]["bbox"] = []
    write(tmp_path / "val.json", data)
    code, out, err = run("no_such_model", "val.json")
    assert (code, out) == (1, "")
    assert "val.json: annotation 104: area" in err and "val.json: annotation 105: bbox" in err


def test_a_set_of_crowds_alone_says_why_there_is_nothing_to_score_and_what_helps(run, model, data, tmp_path):
    for row in data["annotations"]:
        row["iscrowd"] = 1
    write(tmp_path / "val.json", data)
    code, out, err = run(model, "val.json")
    assert (code, out) == (1, "")
    assert f"all {len(data['annotations'])} annotations are crowds (iscrowd 1)" in err and "--crowds-as-objects" in err
    code, out, _ = run(model, "val.json", "--crowds-as-objects", "--json")
    assert code == 0 and sum(row["objects"] for row in json.loads(out)["classes"]) == len(data["annotations"])


def test_a_set_without_an_object_says_that_nothing_is_measured(run, model, data, tmp_path):
    data["annotations"] = []
    write(tmp_path / "val.json", data)
    code, _, err = run(model, "val.json")
    assert code == 0 and "val.json: has no object to find, so nothing is measured" in err


def test_images_that_are_elsewhere_need_their_folder(run, model, data, tmp_path, tmp_path_factory):
    elsewhere = (tmp_path / "images").rename(tmp_path_factory.mktemp("away") / "elsewhere")
    code, _, err = run(model, "val.json")
    assert code == 1 and "--images" in err
    assert run(model, "val.json", "--images", str(elsewhere), "--limit", "1")[0] == 0
    code, _, err = run(model, "val.json", "--images", "nowhere")
    assert code == 1 and "nowhere" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["-", "val.json"],
        ["m.yml", "val.json", "--limit", "0"],
        ["m.yml", "val.json", "--from-predictions", "p.json", "--images", "x"],
        ["-", "val.json", "--from-predictions", "p.json", "--set", "a=1"],
        ["-", "val.json", "--from-predictions", "p.json", "--page", "page.pdf"],
        ["m.yml"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_exits_with_2(run, arguments):
    assert run(*arguments)[0] == 2


def test_help_fits_a_narrow_terminal_and_has_examples(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run("--help")
    assert code == 0 and "maskzoo eval my.yml val.json" in out
    assert max(len(line) for line in out.splitlines()) <= 80
