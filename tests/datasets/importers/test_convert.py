"""convert_dataset as a call of Python: what it returns, tells and refuses. Its files are tested with the command."""

import json

import numpy as np
import pytest
from PIL import Image

import maskzoo
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.errors import ArgumentError, SourceError


@pytest.fixture
def source(tmp_path):
    """Return a YOLO set of two splits, one row of which makes no sense."""
    folder = tmp_path / "yolo"
    for split in ("train", "val"):
        for place in ("images", "labels"):
            (folder / place / split).mkdir(parents=True)
        Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(folder / f"images/{split}/{split}.png")
        (folder / f"labels/{split}/{split}.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n7 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat]\n")
    return folder


def test_files_counts_and_what_was_left_out_come_back_and_every_picture_is_told(source, tmp_path):
    events = []
    made = maskzoo.convert_dataset(source, tmp_path / "coco", on_progress=events.append)
    assert (made.format, made.classes, list(made.splits)) == ("yolo", ("cat",), ["train", "val"])
    assert len(read_annotations(made.splits["val"].file).ids) == made.splits["val"].objects == 1
    assert [row.row for row in made.skipped] == ["line 2", "line 2"]
    assert [(event.stage, event.done, event.total) for event in events] == [("Reading pictures", 1, 1)] * 2
    described = json.loads(json.dumps(made.to_dict()))
    assert described["splits"]["train"]["file"] == str(tmp_path / "coco/train.json")
    assert described["splits"]["train"]["skipped"][0]["row"] == "line 2"


def test_classes_can_be_a_list_a_text_or_a_file(source, tmp_path):
    (tmp_path / "names.txt").write_text("kitten\n")
    for place, classes in enumerate((["kitten"], "kitten", tmp_path / "names.txt", str(tmp_path / "names.txt"))):
        assert maskzoo.convert_dataset(source, tmp_path / f"coco{place}", classes=classes).classes == ("kitten",)


def test_calls_that_cannot_be_meant_are_refused(source, tmp_path):
    with pytest.raises(ArgumentError, match="'pascal'; expected one of"):
        maskzoo.convert_dataset(source, tmp_path / "coco", format="pascal")
    with pytest.raises(ArgumentError, match="each once"):
        maskzoo.convert_dataset(source, tmp_path / "coco", classes="cat,cat")
    with pytest.raises(ArgumentError, match="voc has no boxes without an outline"):
        maskzoo.convert_dataset(source, tmp_path / "coco", format="voc", boxes="masks")
    with pytest.raises(ArgumentError, match="boxes is 'all'; expected one of masks, crowds, skip"):
        maskzoo.convert_dataset(source, tmp_path / "coco", boxes="all")
    with pytest.raises(SourceError, match="give a folder as OUT"):
        maskzoo.convert_dataset(source, tmp_path / "one.json")
    assert not (tmp_path / "coco").exists()


def test_a_source_without_a_usable_picture_says_why(source, tmp_path):
    for path in source.rglob("*.png"):
        path.unlink()
    with pytest.raises(
        SourceError, match=r"no picture of the source can be used.*\n.*train is 'images/train', where no picture"
    ):
        maskzoo.convert_dataset(source, tmp_path / "coco")


def test_what_the_source_says_wrongly_is_a_note(source, tmp_path):
    (source / "data.yaml").write_text("train: images/train\nval: images/val\ntest: images/test\nnames: [cat]\n")
    assert "test was left out" in maskzoo.convert_dataset(source, tmp_path / "coco").notes[0]
