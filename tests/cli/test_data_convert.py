"""`maskzoo data convert` end to end: each format becomes files that the rest of maskzoo reads."""

import json

import numpy as np
import pytest
from PIL import Image

from coco_files import make_data, write
from labelled_sets import make_pictures, write_set
from maskzoo.cli import main
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.exporters.formats import EXPORTERS
from maskzoo.datasets.image_folders import find_image_folder


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["data", "convert", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)


@pytest.fixture
def yolo(tmp_path):
    folder = tmp_path / "yolo"
    for split in ("train", "val"):
        save(folder / f"images/{split}/{split}.png", np.zeros((20, 40, 3)))
        (folder / f"labels/{split}").mkdir(parents=True)
        (folder / f"labels/{split}/{split}.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat]\n")
    return folder


@pytest.fixture
def masks(tmp_path):
    numbers = np.zeros((20, 40))
    numbers[2:9, 3:12], numbers[12:15, 20:30] = 1, 2
    save(tmp_path / "people/PNGImages/a.png", np.zeros((20, 40, 3)))
    save(tmp_path / "people/PedMasks/a_mask.png", numbers)
    return tmp_path / "people"


def test_splits_become_files_of_a_folder_and_their_images_are_found(run, yolo, tmp_path):
    code, out, err = run(yolo, tmp_path / "coco")
    assert (code, err) == (0, "")
    assert "From yolo, 1 class: cat" in out and "--images" not in out
    for split in ("train", "val"):
        annotations = read_annotations(tmp_path / "coco" / f"{split}.json")
        assert len(annotations.ids) == 1
        assert (find_image_folder(annotations) / annotations.file_name(0)).is_file()


def test_a_source_without_splits_becomes_one_file_and_its_images_may_be_far(run, masks, tmp_path):
    code, out, err = run(masks, tmp_path / "far" / "away" / "people.json", "--classes", "person", "--json")
    assert (code, err) == (0, "")
    printed = json.loads(out)
    assert printed["format"] == "masks" and printed["classes"] == ["person"]
    assert printed["splits"]["train"]["objects"] == 2 and printed["splits"]["train"]["skipped"] == []
    assert printed["notes"] == [
        f"The images are not near {tmp_path}/far/away/people.json: pass --images {masks}/PNGImages wherever it is used"
    ]
    annotations = read_annotations(tmp_path / "far/away/people.json")
    assert (masks / "PNGImages" / annotations.file_name(0)).is_file()
    assert annotations.area.tolist() == [63, 30]


def test_labelme_and_voc_are_converted(run, tmp_path):
    save(tmp_path / "labelled/a.png", np.zeros((20, 40, 3)))
    shapes = [{"label": "leaf", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}]
    write(tmp_path / "labelled/a.json", {"shapes": shapes, "imagePath": "a.png", "imageHeight": 20, "imageWidth": 40})
    assert run(tmp_path / "labelled", tmp_path / "leaves.json")[0] == 0
    assert read_annotations(tmp_path / "leaves.json").classes.names == ("leaf",)

    numbers = np.zeros((20, 40))
    numbers[2:9, 3:12] = 1
    save(tmp_path / "voc/SegmentationObject/a.png", numbers)
    classes = numbers * 15
    classes[0, 0] = 255  # void pixels are VOC's
    save(tmp_path / "voc/SegmentationClass/a.png", classes)
    save(tmp_path / "voc/JPEGImages/a.jpg", np.zeros((20, 40, 3)))
    assert run(tmp_path / "voc", tmp_path / "voc.json")[0] == 0
    annotations = read_annotations(tmp_path / "voc.json")
    assert annotations.classes.names[annotations.labels[0]] == "person"


def test_rows_left_out_are_named_and_the_exit_code_is_three(run, yolo, tmp_path):
    with (yolo / "labels/train/train.txt").open("a") as stream:
        stream.write("7 0.1 0.1 0.5 0.1 0.5 0.5\n")
    code, out, err = run(yolo, tmp_path / "coco", "--json")
    assert code == 3
    assert "1 row of the input left out" in err and f"{yolo}/labels/train/train.txt: line 2: class 7" in err
    (skipped,) = json.loads(out)["splits"]["train"]["skipped"]
    assert skipped["row"] == "line 2" and skipped["file"].endswith("train.txt")
    assert len(read_annotations(tmp_path / "coco/train.json").ids) == 1


def test_what_is_there_is_not_overwritten_without_force(run, yolo, tmp_path):
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco/val.json").write_text("mine")
    code, _, err = run(yolo, tmp_path / "coco")
    assert code == 1 and "val.json: exists already" in err
    assert not (tmp_path / "coco/train.json").exists() and (tmp_path / "coco/val.json").read_text() == "mine"
    assert run(yolo, tmp_path / "coco", "--force")[0] == 0


def test_calls_that_cannot_be_meant_say_why(run, yolo, masks, tmp_path):
    code, _, err = run(yolo, tmp_path / "one.json")
    assert code == 1 and "give a folder as OUT" in err
    assert run(masks, tmp_path / "one.json", "--boxes", "masks")[0] == 2
    assert run(masks, tmp_path / "one.json", "--classes", "a,a")[0] == 2
    write(tmp_path / "coco.json", make_data())
    code, _, err = run(tmp_path / "coco.json", tmp_path / "one.json")
    assert code == 1 and "COCO's format already" in err
    code, _, err = run(tmp_path / "gone", tmp_path / "one.json", "--from", "voc")
    assert code == 1 and "no such file or folder" in err


def test_nothing_is_written_if_no_picture_can_be_used(run, masks, tmp_path):
    (masks / "PNGImages/a.png").write_bytes(b"")
    code, _, err = run(masks, tmp_path / "one.json")
    assert code == 1 and "nothing was written" in err and "a.png" in err
    assert not (tmp_path / "one.json").exists()


def test_classes_can_come_from_a_file(run, masks, tmp_path):
    (tmp_path / "names.txt").write_text("walker\n\n")
    assert run(masks, tmp_path / "one.json", "--classes", tmp_path / "names.txt")[0] == 0
    assert read_annotations(tmp_path / "one.json").classes.names == ("walker",)


def test_a_coco_file_becomes_another_format_and_what_is_lost_is_printed(run, tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    code, out, err = run(file, tmp_path / "yolo", "--to", "yolo")
    assert (code, err) == (0, "")
    assert "From coco to yolo, 3 classes: cat, dog, big tree" in out
    assert "lost: 1 crowd, attributes of 2 objects, ids of 10 objects, ids of 4 images" in out
    code, out, err = run(file, tmp_path / "copies", "--to", "voc", "--pictures", "copy", "--json")
    printed = json.loads(out)
    assert (code, printed["to"], printed["lost"]["crowds"]) == (0, "voc", 1)
    assert (tmp_path / "copies/JPEGImages/b.jpg").is_file()


def test_the_command_line_offers_every_format_to_write(run, tmp_path):
    code, _, err = run(tmp_path, tmp_path / "x", "--to", "nothing")
    assert code == 2 and all(repr(name) in err for name in EXPORTERS)


def test_soft_masks_are_refused_with_evidence_and_read_with_a_threshold_and_their_parts(run, tmp_path):
    small = Image.new("L", (80, 60))
    for left in (5, 45):
        small.paste(255, (left, 10, left + 25, 50))
    save(tmp_path / "set/images/a.png", np.zeros((97, 131, 3)))
    save(tmp_path / "set/masks/a.png", np.asarray(small.resize((131, 97), Image.Resampling.BICUBIC)))
    code, _, err = run(tmp_path / "set", tmp_path / "a.json")
    assert code == 1 and "most on a few pixels: looks like a mask with soft edges" in err and not (tmp_path / "a.json").exists()
    code, _, err = run(tmp_path / "set", tmp_path / "a.json", "--threshold", 127)
    assert code == 1 and "has 2 separate parts with one number" in err
    code, _, err = run(tmp_path / "set", tmp_path / "a.json", "--threshold", 127, "--parts", "each")
    assert (code, err) == (0, "") and len(json.loads((tmp_path / "a.json").read_text())["annotations"]) == 2
