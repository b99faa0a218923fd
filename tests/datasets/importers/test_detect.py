"""A data set's format is recognised by its files, and two that fit are not guessed between."""

import json

import pytest

from coco_files import make_data
from maskzoo.datasets.importers.detect import detect_format
from maskzoo.errors import SourceError

LABELME = json.dumps({"shapes": [], "imagePath": "a.png"})
FILES = {
    "yolo": {"data.yaml": "names: [a]"},
    "labelme": {"some/a.json": LABELME},
    "voc": {"VOC2012/SegmentationObject/a.png": ""},
    "masks": {"PNGImages/a.png": "", "PedMasks/a_mask.png": ""},
}


def make(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_each_format_is_recognised_by_its_files(tmp_path, name):
    assert detect_format(make(tmp_path, FILES[name])) == name


def test_labels_without_a_data_file_are_yolo_and_single_files_are_recognised(tmp_path):
    assert detect_format(make(tmp_path / "a", {"labels/train/a.txt": ""})) == "yolo"
    make(tmp_path, {"data.yaml": "", "a.json": LABELME})
    assert detect_format(tmp_path / "data.yaml") == "yolo"
    assert detect_format(tmp_path / "a.json") == "labelme"


def test_two_formats_in_one_folder_ask_the_user(tmp_path):
    with pytest.raises(SourceError, match="could be yolo or labelme; say which with --from"):
        detect_format(make(tmp_path, FILES["yolo"] | FILES["labelme"]))


@pytest.mark.parametrize(("name", "said"), [("", "not recognised"), ("gone", "no such file"), ("coco.json", "already")])
def test_anything_else_is_refused_with_what_would_be_expected(tmp_path, name, said):
    make(tmp_path, {"coco.json": json.dumps(make_data())})
    with pytest.raises(SourceError, match=said):
        detect_format(tmp_path / name)
