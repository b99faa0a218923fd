"""A data set's format is recognised by its files, and two that fit are not guessed between."""

import json

import pytest

from coco_files import make_data
from maskzoo.cli.data_convert import Format
from maskzoo.datasets.importers.formats import FORMATS, choose_format
from maskzoo.errors import ArgumentError, SourceError

LABELME = json.dumps({"shapes": [], "imagePath": "a.png"})
LOOKS = {
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


@pytest.mark.parametrize("name", LOOKS)
def test_each_format_is_recognised_by_its_files(tmp_path, name):
    assert choose_format(make(tmp_path, LOOKS[name])) == name


def test_labels_without_a_data_file_are_yolo_and_single_files_are_recognised(tmp_path):
    assert choose_format(make(tmp_path / "a", {"labels/train/a.txt": ""})) == "yolo"
    make(tmp_path, {"data.yaml": "", "a.json": LABELME})
    assert choose_format(tmp_path / "data.yaml") == "yolo"
    assert choose_format(tmp_path / "a.json") == "labelme"


def test_two_formats_in_one_folder_ask_the_user(tmp_path):
    with pytest.raises(SourceError, match="could be yolo or labelme; say which with --from"):
        choose_format(make(tmp_path, LOOKS["yolo"] | LOOKS["labelme"]))


@pytest.mark.parametrize(("name", "said"), [("", "not recognised"), ("gone", "no such file"), ("coco.json", "already")])
def test_anything_else_is_refused_with_what_would_be_expected(tmp_path, name, said):
    make(tmp_path, {"coco.json": json.dumps(make_data())})
    with pytest.raises(SourceError, match=said):
        choose_format(tmp_path / name)


def test_a_format_that_is_named_is_taken_if_it_is_known(tmp_path):
    assert choose_format(make(tmp_path, LOOKS["yolo"] | LOOKS["labelme"]), "labelme") == "labelme"
    with pytest.raises(ArgumentError, match="'pascal'; expected one of yolo, labelme"):
        choose_format(tmp_path, "pascal")


def test_the_command_line_offers_every_format():
    assert [name.value for name in Format] == ["auto", *FORMATS, "coco", "predictions"]
