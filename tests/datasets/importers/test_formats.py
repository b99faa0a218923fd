"""A data set's format is recognised by its files, and two that fit are not guessed between."""

import json
from typing import get_args

import pytest

from coco_files import make_data
from maskzoo.cli.data_convert import Format
from maskzoo.datasets.importers.formats import FORMATS, choose_format
from maskzoo.datasets.known_formats import describe_folder
from maskzoo.errors import ArgumentError, SourceError

LABELME = json.dumps({"shapes": [], "imagePath": "a.png"})
LOOKS = {
    "yolo": {"data.yaml": "names: [a]"},
    "labelme": {"some/a.json": LABELME},
    "supervisely": {"ds1/ann/a.png.json": json.dumps({"size": {"height": 1, "width": 1}, "objects": [], "tags": []})},
    "datumaro": {"annotations/default.json": json.dumps({"categories": {"label": {"labels": []}}, "items": []})},
    "fiftyone": {"samples.json": json.dumps({"samples": [{"filepath": "data/a.png"}]})},
    "cvat": {"annotations.xml": "<annotations><image name='a'/></annotations>"},
    "via": {"train/via_region_data.json": json.dumps({"a.png9": {"filename": "a.png", "size": 9, "regions": {}}})},
    "labelstudio": {"project-1.json": json.dumps([{"data": {"image": "a.png"}, "annotations": []}])},
    "isat": {"a.json": json.dumps({"info": {"description": "ISAT", "name": "a.png"}, "objects": []})},
    "labelbox": {"export.ndjson": json.dumps({"data_row": {}, "projects": {}}) + "\n"},
    "cityscapes": {"gtFine/train/a/a_gtFine_polygons.json": json.dumps({"imgHeight": 9, "imgWidth": 9, "objects": []})},
    "panoptic": {"annotations/panoptic_val.json": json.dumps({"annotations": [{"segments_info": []}]})},
    "voc": {"VOC2012/SegmentationObject/a.png": ""},
    "voc_xml": {"Annotations/a.xml": "<annotation><filename>a</filename></annotation>"},
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


@pytest.mark.parametrize("name", FORMATS)
def test_a_data_check_points_from_each_format_to_the_conversion(tmp_path, name):
    described = describe_folder(make(tmp_path, LOOKS[name]))
    assert described is not None and f"convert it first: maskzoo data convert {tmp_path} OUT" in described


def test_labels_without_a_data_file_are_yolo_and_single_files_are_recognised(tmp_path):
    assert choose_format(make(tmp_path / "a", {"labels/train/a.txt": ""})) == "yolo"
    make(tmp_path, {"data.yaml": "", "a.json": LABELME})
    assert choose_format(tmp_path / "data.yaml") == "yolo"
    assert choose_format(tmp_path / "a.json") == "labelme"


def test_two_formats_in_one_folder_ask_the_user(tmp_path):
    with pytest.raises(SourceError, match="could be yolo or labelme; say which with --from"):
        choose_format(make(tmp_path, LOOKS["yolo"] | LOOKS["labelme"]))


@pytest.mark.parametrize(("name", "said"), [("empty", "not recognised"), ("gone", "no such file"), ("coco.json", "already")])
def test_anything_else_is_refused_with_what_would_be_expected(tmp_path, name, said):
    make(tmp_path, {"coco.json": json.dumps(make_data())})
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=said):
        choose_format(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{"export_format_version": "1.1", "label_classes": []}', "is Hasty's format; export it as COCO instances"),
        ("set/train.tfrecord", "", "train.tfrecord is TFRecord"),
        (
            "sub/a.json",
            '[{"annotations": [{"coordinates": {}}], "image": "a.jpg"}]',
            "sub/a.json is CreateML: boxes, no outlines;",
        ),
        ("a.bin", "", r"expected YOLO .* with --from; found 1 file \(.bin\)"),
    ],
)
def test_a_format_that_is_not_imported_is_called_by_its_name(tmp_path, name, text, said):
    with pytest.raises(SourceError, match=said):
        choose_format(make(tmp_path, {name: text}))
    if not name.endswith(".bin"):
        with pytest.raises(SourceError, match=said.rpartition("/")[2]):
            choose_format(tmp_path / name)


def test_labels_in_another_encoding_are_called_so(tmp_path):
    shapes = [{"label": "划痕很长的", "points": [[1, 1], [9, 1], [9, 9]]}]
    text = json.dumps({"shapes": shapes, "imagePath": "a.jpg"}, ensure_ascii=False)
    (tmp_path / "a.json").write_bytes(text.encode("gbk"))
    with pytest.raises(SourceError, match=r"a\.json is LabelMe's format, and cannot be read: .*looks like GB18030 .*iconv"):
        choose_format(tmp_path)


def test_a_folder_of_coco_files_needs_no_conversion(tmp_path):
    make(tmp_path, {"annotations/instances_train.json": json.dumps(make_data())})
    with pytest.raises(SourceError, match=r"is COCO's format already \(instances_train.json\); use it as it is"):
        choose_format(tmp_path)


def test_a_format_that_is_named_is_taken_if_it_is_known(tmp_path):
    assert choose_format(make(tmp_path, LOOKS["yolo"] | LOOKS["labelme"]), "labelme") == "labelme"
    with pytest.raises(ArgumentError, match="'pascal'; expected one of yolo, labelme"):
        choose_format(tmp_path, "pascal")


def test_the_command_line_offers_every_format():
    assert get_args(Format) == ("auto", *FORMATS, "coco", "predictions")


def test_a_data_set_one_folder_deeper_is_pointed_at(tmp_path):
    make(tmp_path / "unpacked" / "cars", {"data.yaml": "names: [a]"})
    with pytest.raises(SourceError, match=r"cars/data.yaml is YOLO's data file; name its folder: .*unpacked/cars$"):
        choose_format(tmp_path / "unpacked")


def test_cocos_files_of_other_kinds_need_no_conversion(tmp_path):
    make(tmp_path, {"annotations/person_keypoints_train2017.json": json.dumps(make_data())})
    with pytest.raises(SourceError, match=r"holds person_keypoints_train2017.json, COCO's files of other kinds; .* use it as"):
        choose_format(tmp_path)
