"""What ids of a result file mean: the images that an images.json beside it names, or those of the data set."""

import json

import numpy as np
import pytest

from coco_files import disturb, make_data, write
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.errors import AnnotationsError, ConfigError
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.numbering import number_by_names
from maskzoo.evaluation.results import read_results


def name_images(data, names):
    """Give a data set's images these file names."""
    for image, name in zip(data["images"], names, strict=True):
        image["file_name"] = name
    return data


def make_index(data, names=None, numbers=None):
    """Return an images.json of the images under other names and numbers, those of `maskzoo predict photos` if left out."""
    names = names or [f"photos/{image['file_name']}" for image in data["images"]]
    numbers = numbers or range(1, len(names) + 1)
    rows = zip(data["images"], names, numbers, strict=True)
    images = [image | {"file_name": name, "id": number} for image, name, number in rows]
    return {"info": {}, "images": images, "annotations": [], "categories": data["categories"]}


def renumber(rows, data, numbers):
    number = {image["id"]: other for image, other in zip(data["images"], numbers, strict=True)}
    return [row | {"image_id": number[row["image_id"]]} for row in rows]


def match(data, names, tmp_path, data_names=None):
    """Return the file name that each id 1, 2 ... of an index with these names means."""
    data = name_images(data, data_names) if data_names else data
    annotations = pack_annotations(data, "val.json")
    numbering = number_by_names(write(tmp_path / "images.json", make_index(data, names)), annotations)
    return [annotations.file_name(numbering.images[number]) for number in sorted(numbering.images)], numbering


def test_permuted_ids_have_the_numbers_of_the_right_ones(tmp_path):
    data = make_data(images=6)
    data["images"] = [image | {"height": 65} for image in data["images"]]  # equal sizes: only names tell them apart
    for row in data["annotations"]:
        if isinstance(row["segmentation"], dict):
            row["segmentation"] = [[1, 1, 9, 1, 9, 9]]
    annotations, rows = pack_annotations(data, "val.json"), disturb(data)
    right = read_results(write(tmp_path / "rows.json", rows), annotations)
    numbers = [image["id"] for image in data["images"]][::-1]
    (tmp_path / "found").mkdir()
    write(tmp_path / "found" / "images.json", make_index(data, numbers=numbers))
    found = read_results(write(tmp_path / "found" / "rows.json", renumber(rows, data, numbers)), annotations)
    assert list(found.to_rows(annotations)) == list(right.to_rows(annotations))
    assert compute_metrics(annotations, found).box.values == compute_metrics(annotations, right).box.values
    assert compute_metrics(annotations, found).box.ap > 0.2
    assert (right.provenance.index, found.provenance.index) == (None, str(tmp_path / "found" / "images.json"))
    assert found.provenance.doubts == ()


def test_classes_are_matched_by_the_names_of_the_index(tmp_path):
    data = make_data()
    annotations, rows = pack_annotations(data, "val.json"), disturb(data)
    other = {row["id"]: place for place, row in enumerate(data["categories"])}
    index = make_index(data, numbers=[image["id"] for image in data["images"]])
    index["categories"] = [row | {"id": other[row["id"]]} for row in data["categories"]]
    write(tmp_path / "images.json", index)
    moved = [row | {"category_id": other[row["category_id"]]} for row in rows]
    results = read_results(write(tmp_path / "rows.json", moved), annotations)
    assert list(results.to_rows(annotations)) == rows
    assert "matched by name" in results.provenance.doubts[0]

    for row in index["categories"]:
        row["name"] = f"zebra {row['id']}"
    write(tmp_path / "images.json", index)
    with pytest.raises(ConfigError, match=r"images\.json.*zebra"):
        read_results(tmp_path / "rows.json", annotations)


def test_equal_last_parts_are_told_apart_by_the_parts_before(tmp_path):
    names = ["b/x.png", "a/x.png", "x.png"]
    found, numbering = match(make_data(), ["p\\b\\x.png", "./p/a/x.png", "p/x.png"], tmp_path, names)
    assert (found, numbering.notes) == (["b/x.png", "a/x.png", "x.png"], ())


def test_a_folder_that_was_predicted_from_inside_has_shorter_names(tmp_path):
    found, numbering = match(make_data(), ["0.png", "2.png", "1.png"], tmp_path, ["v/0.png", "v/2.png", "v/1.png"])
    assert (found, numbering.notes) == (["v/0.png", "v/2.png", "v/1.png"], ())


def test_names_that_agree_in_the_last_part_alone_are_said(tmp_path):
    found, numbering = match(make_data(), ["w/0.png", "v/1.png", "v/2.png"], tmp_path, ["v/0.png", "v/1.png", "v/2.png"])
    assert found == ["v/0.png", "v/1.png", "v/2.png"]
    assert numbering.notes == (
        "1 images were told by the last part of their names alone, the first is 'w/0.png' for 'v/0.png'",
    )


def test_a_file_that_stands_twice_in_the_data_set_is_told_by_its_id(tmp_path):
    data = name_images(make_data(), ["x.png", "x.png", "y.png"])
    data["images"] = [image | {"height": 60} for image in data["images"]]
    data["annotations"] = []
    index = make_index(data, numbers=[image["id"] for image in data["images"]])
    annotations = pack_annotations(data, "val.json")
    numbering = number_by_names(write(tmp_path / "images.json", index), annotations)
    assert numbering.images == {10: 0, 20: 1, 30: 2}
    index["images"][0]["id"] = 7
    with pytest.raises(AnnotationsError, match=r"image 7: file_name"):
        number_by_names(write(tmp_path / "images.json", index), annotations)


@pytest.mark.parametrize(
    ("known", "names", "said"),
    [
        (None, ["photos/other.png", "1.png", "2.png"], r"image 1: file_name: found 'photos/other.png'.*no such file"),
        (["a/x.png", "b/x.png", "2.png"], ["x.png", "p/b/x.png", "2.png"], r"'x.png'.*'a/x.png' and 'b/x.png' fit alike|"
         r"'x.png'.*'b/x.png' and 'a/x.png' fit alike"),
        (["a/x.png", "b/x.png", "2.png"], ["c/x.png", "b/x.png", "2.png"], "image 1: file_name: found 'c/x.png'"),
        (["a/x.png", "y.png", "2.png"], ["a/x.png", "b/x.png", "2.png"], r"'b/x.png'.*which 'a/x.png' is already"),
        (None, ["1.png", "0.png", "2.png"], r"width x height: found 80 x 60 pixels for '1.png'; expected 80 x 61"),
    ],
    ids=["unknown", "ambiguous", "of a third folder", "twice", "size"],
)  # fmt: skip
def test_names_that_do_not_fit_are_refused(known, names, said, tmp_path):
    with pytest.raises(AnnotationsError, match=said) as error:
        match(make_data(), names, tmp_path, known)
    assert "maskzoo predict MODEL val.json" in str(error.value) and "images.json: image" in str(error.value)


@pytest.mark.parametrize("content", ["{", "[]", '{"images": [], "annotations": []}'])
def test_a_damaged_index_is_refused(content, tmp_path):
    data = make_data()
    (tmp_path / "images.json").write_text(content)
    with pytest.raises(AnnotationsError, match=r"images\.json: .*(?s:.)*what the ids of the results beside it mean"):
        read_results(write(tmp_path / "rows.json", disturb(data)), pack_annotations(data, "val.json"))


def test_an_index_that_lacks_a_rows_image_is_refused(tmp_path):
    data = make_data()
    index = make_index(data, numbers=[image["id"] for image in data["images"]])
    del index["images"][1]
    write(tmp_path / "images.json", index)
    with pytest.raises(AnnotationsError, match=r"image_id: found 20; expected the id of an image of .*images\.json"):
        read_results(write(tmp_path / "rows.json", disturb(data)), pack_annotations(data, "val.json"))


def test_images_that_were_not_predicted_are_said_unless_they_are_left_out(tmp_path):
    data = make_data()
    index = make_index(data, numbers=[image["id"] for image in data["images"]])
    del index["images"][1]
    write(tmp_path / "images.json", index)
    write(tmp_path / "rows.json", [row for row in disturb(data) if row["image_id"] != 20])
    annotations = pack_annotations(data, "val.json")
    doubts = read_results(tmp_path / "rows.json", annotations).provenance.doubts
    assert doubts == ("1 of 3 images with objects are not among the results and count as without detections",)
    keep = annotations.image_ids != 20
    some = read_results(tmp_path / "rows.json", annotations, keep)
    assert some.provenance.doubts == () and set(some.images.tolist()) == {0, 1}


def test_the_provenance_is_plain_values(tmp_path):
    data = make_data()
    results = read_results(write(tmp_path / "rows.json", disturb(data)), pack_annotations(data, "val.json"))
    said = json.loads(json.dumps(results.provenance.to_dict(), allow_nan=False))
    assert (said["matched_by"], said["index"], said["judged"], said["meeting"]) == ("id", None, 3, 3)
    assert np.isin(["rows", "agreeing", "outside", "elsewhere", "nowhere", "doubts"], list(said)).all()
