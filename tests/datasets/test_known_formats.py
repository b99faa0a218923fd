"""Files of other formats are called by their name, and COCO instances by none."""

import json

import pytest

from coco_files import make_data, write
from maskzoo.datasets.known_formats import count_files, describe_file, describe_folder, name_format

BNDBOX = "<bndbox><xmin>1</xmin></bndbox>"
SAMPLES = [
    ("a.xml", f"<annotation><filename>a.jpg</filename><object>{BNDBOX}</object></annotation>", "Pascal VOC XML"),
    ("a.xml", "<annotation verified='no'><filename>a</filename></annotation>", "Pascal VOC XML"),
    ("a.xml", "<annotation><object><polygon><x1>1</x1></polygon></object></annotation>", "RectLabel"),
    ("a.xml", "<annotation><object><polygon><pt><x>1</x></pt></polygon></object></annotation>", "LabelMe's XML"),
    ("a.xml", "<?xml version='1.0'?>\n<annotations><version>1.1</version><image id='0'/></annotations>", "CVAT's XML"),
    ("a.json", '[{"image": "a.jpg", "annotations": [{"label": "a", "coordinates": {"x": 1}}]}]', "CreateML"),
    ("a.json", '{"version": "2.0", "item": {"name": "a.jpg"}, "annotations": [{"bounding_box": {}}]}', "V7 Darwin"),
    ("a.json", '{"export_format_version": "1.1", "label_classes": [], "images": []}', "Hasty"),
    ("a.ndjson", '{"data_row": {"id": "x"}, "projects": {}}\n', "Labelbox"),
    ("a.json", '[{"task_id": "x", "response": {"annotations": []}}]', "Scale AI"),
    ("a.json", '[{"name": "a.jpg", "labels": [{"category": "car", "poly2d": []}]}]', "BDD100K"),
    ("a.json", '{"metadata": {}, "instances": [{"className": "a", "points": []}]}', "SuperAnnotate"),
    ("a.json", '{"annotations": [{"image_id": 1, "caption": "A cat."}], "images": []}', "COCO captions"),
    ("a.json", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]', "COCO results"),
    ("a.json", '{"samples": [{"filepath": "data/a.jpg", "ground_truth": {"_cls": "Detections"}}]}', "FiftyOne's own"),
    ("a.json", '{"imgHeight": 1, "imgWidth": 2, "objects": [{"label": "car", "polygon": []}]}', "Cityscapes"),
    ("a.json", '{"shapes": [], "imagePath": "a.jpg"}', "LabelMe's format"),
    ("a.csv", "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n", "OpenImages' boxes"),
    ("a.csv", "MaskPath,ImageID,LabelName,BoxID\n", "OpenImages' masks"),
    ("a.csv", "ImageId,EncodedPixels\n", "Kaggle"),
    ("a.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n", "boxes in a CSV"),
    ("a.txt", "imagesource:GoogleEarth\ngsd:0.1\n1 2 3 4 5 6 7 8 plane 0\n", "DOTA"),
    ("a.txt", "1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 small-vehicle 1\n", "DOTA"),
    ("a.txt", "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n", "KITTI"),
    ("a.txt", "001 # 0 # 0 # sky # sky # \"\"\n", "ADE20K"),
    ("a.txt", "0 0.1 0.2 0.3 0.4 0.5 1e-05\n1 0.5 0.5 0.1 0.1\n", "YOLO's labels"),
    ("a.json", '{"assets": {"x": {"asset": {}, "regions": [{"boundingBox": {}, "points": []}]}}}', "VoTT"),
    ("a.json", '{"datasetId": "1", "annotations": [{"type": "segment", "coordinates": [[{"x": 1}]]}]}', "Dataloop"),
    ("a.json", '[{"externalId": "a", "labels": [{"jsonResponse": {}}]}]', "Kili"),
    ("a.json", '{"labels": {"objects": [{"objectHash": "x", "polygon": {}}]}}', "Encord"),
    ("a.json", '{"dataset": {"samples": [{"labels": {"x": {"segmentation_bitmap": {}}}}]}}', "Segments.ai"),
    ("a.json", '{"annotation": {"filename": "a.jpg", "object": [{"name": "sky", "polygon": {"x": []}}]}}', "ADE20K"),
    ("a.json", '{"image": {}, "annotations": [{"segmentation": {}, "stability_score": 0.9}]}', "SA-1B"),
    ("a.xml", "<?xml version='1.0'?><ASAP_Annotations><Annotations/></ASAP_Annotations>", "a slide viewer's XML"),
    ("a.xml", "<Annotations MicronsPerPixel='0.5'><Annotation/></Annotations>", "a slide viewer's XML"),
    ("obj.data", "classes = 2\nnames = obj.names\n", "darknet's data file"),
    ("labels.json", '{"classes": [], "labels": {"x": [{"label": 0, "bounding_box": []}]}}', "FiftyOne's detections"),
    ("data.yml", "train: a\nnames:\n  0: cat\n", "YOLO's data file"),
    ("metadata.jsonl", '{"file_name": "a.jpg", "objects": {"bbox": []}}', "Hugging Face"),
    ("train.tfrecord", "", "TFRecord"),
    ("a.zip", "", "an archive"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "said"), SAMPLES)
def test_a_format_is_called_by_its_name_with_what_to_do(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    described = describe_file(tmp_path / name)
    assert f"{name}: this is " in described and said in described and ";" in described
    assert describe_folder(tmp_path).startswith(f"{name} is ")


def test_coco_instances_and_unknown_files_have_no_other_name(tmp_path):
    data = make_data()
    data["images"][0] |= {"caption": "a cat", "regions": [], "shape_attributes": {}, "samples": []}
    data["annotations"][0]["score"] = 0.5
    assert name_format(write(tmp_path / "a.json", data)) is None
    for name, text in {"b.json": "{}", "c.json": "", "d.txt": "cat\ndog\n", "f.txt": "0 1\n", "e.md": "names: x"}.items():
        (tmp_path / name).write_text(text)
        assert name_format(tmp_path / name) is None
    assert describe_folder(tmp_path) is None


def test_panoptic_files_have_the_same_tables_and_another_name(tmp_path):
    data = make_data() | {"annotations": [{"image_id": 10, "file_name": "0.png", "segments_info": []}]}
    assert name_format(write(tmp_path / "a.json", data))[0] == "COCO panoptic"


def test_utf16_and_files_that_are_not_there_are_looked_at_too(tmp_path):
    (tmp_path / "a.json").write_bytes(json.dumps({"shapes": [], "imagePath": "a"}).encode("utf-16"))
    assert name_format(tmp_path / "a.json")[0] == "LabelMe's format"
    assert name_format(tmp_path / "gone.json") is None


def test_files_are_counted_by_kind(tmp_path):
    assert count_files(tmp_path) == "the folder is empty"
    for name in ("a.bin", "b.bin", "c.png", "Makefile", ".hidden"):
        (tmp_path / name).touch()
    assert count_files(tmp_path) == "found 2 files (.bin), 1 file (.png), 1 file (without an ending)"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("VOC/SegmentationObject/a.png", "VOC/SegmentationObject is Pascal VOC's masks; convert it first"),
        ("train/masks/a.png", "train/masks is a folder of masks; convert it first"),
        ("images/a.png", None),
    ],
)
def test_folders_of_masks_have_a_name_too(tmp_path, name, said):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    described = describe_folder(tmp_path)
    assert described is None if said is None else described.startswith(said)
