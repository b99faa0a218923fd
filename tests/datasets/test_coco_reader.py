"""Reading COCO instances: packed as the file has it, or every fault named."""

import copy
import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from coco_files import make_data, write
from maskzoo.datasets.coco_reader import pack_annotations, read_annotations, read_json
from maskzoo.errors import AnnotationsError, MaskzooError
from shared_data import need_shared


def faults_of(data):
    with pytest.raises(AnnotationsError) as error:
        pack_annotations(data, "a.json")
    return [(fault.name_row(), fault.name_field()) for fault in error.value.faults]


def spoil(**values):
    """Return a data set whose first annotation has other values."""
    data = make_data()
    data["annotations"][0].update(values)
    return data


def test_runs_of_an_image_of_a_size_that_is_refused_are_not_counted():
    data = make_data()
    image = data["images"][0]
    image.update(height=20_000, width=20_000)
    runs = {"size": [20_000, 20_000], "counts": [4]}  # too few, which would be told as well
    data["annotations"] = [{**data["annotations"][0], "image_id": image["id"], "iscrowd": 1, "segmentation": runs}]
    assert faults_of(data) == [(f"image {image['id']}", "width x height")]


def test_everything_in_the_file_is_packed_as_it_stands(tmp_path):
    data = make_data()
    packed = read_annotations(write(tmp_path / "a.json", data))
    rows = {row["id"]: row for row in data["annotations"]}
    assert packed.image_ids.tolist() == sorted(image["id"] for image in data["images"])
    assert [packed.file_name(place) for place in range(3)] == ["2.png", "1.png", "0.png"]
    assert packed.sizes.tolist() == [[62, 80], [61, 80], [60, 80]]
    assert sorted(packed.ids.tolist()) == sorted(rows)
    for place, number in enumerate(packed.ids.tolist()):
        row = rows[number]
        image = packed.image_index[place]
        assert packed.first[image] <= place < packed.first[image + 1]
        assert packed.image_ids[image] == row["image_id"]
        assert packed.classes.ids[packed.labels[place]] == row["category_id"]
        assert packed.bbox[place].tolist() == row["bbox"]
        x, y, width, height = row["bbox"]
        corners = [round(value, 3) for value in (x, y, x + width, y + height)]
        assert packed.boxes[place].tolist() == np.array(corners, np.float32).tolist()
        assert (packed.area[place], packed.crowd[place]) == (row["area"], row["iscrowd"])
        if row["iscrowd"]:  # was a list of counts
            assert isinstance(packed.segmentation(place)["counts"], str)
        else:
            assert packed.segmentation(place) == row["segmentation"]


def test_a_data_set_without_annotations_or_images_is_a_data_set():
    data = make_data() | {"annotations": []}
    packed = pack_annotations(data, "a.json")
    assert (len(packed), len(packed.ids)) == (3, 0)
    packed = pack_annotations(data | {"images": []}, "a.json")
    assert (len(packed), packed.sizes.shape, packed.boxes.shape) == (0, (0, 2), (0, 4))


NAN, INFINITY = float("nan"), float("inf")
SQUARE = [1, 1, 9, 1, 9, 9]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"image_id": 12345}, "image_id"),
        ({"image_id": "10"}, "image_id"),
        ({"image_id": True}, "image_id"),
        ({"category_id": 3}, "category_id"),
        ({"category_id": None}, "category_id"),
        ({"iscrowd": 2}, "iscrowd"),
        ({"ignore": "no"}, "ignore"),
        ({"area": NAN}, "area"),
        ({"area": None}, "area"),
        ({"area": 10**400}, "area"),
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox": [1, 2, NAN, 4]}, "bbox"),
        ({"bbox": [1, 2, "3", 4]}, "bbox"),
        ({"bbox": [1, 2, 1e9, 4]}, "bbox"),
        ({"bbox": [-500, 2, 5, 4]}, "bbox"),
        ({"segmentation": []}, "segmentation"),
        ({"segmentation": None}, "segmentation"),
        ({"segmentation": "text"}, "segmentation"),
        ({"segmentation": [[1, 2, 3, 4]]}, "segmentation[0]"),
        ({"segmentation": [SQUARE, [1, 2, 3, 4, 5, 6, 7]]}, "segmentation[1]"),
        ({"segmentation": [SQUARE, 5]}, "segmentation[1]"),
        ({"segmentation": [[1, 2, 3, 4, 5, None]]}, "segmentation[0]"),
        ({"segmentation": [[1, 2, 3, 4, 5, 10**400]]}, "segmentation[0]"),
        ({"segmentation": [SQUARE, [1, 2, 3, NAN, 5, 6]]}, "segmentation[1]"),
        ({"segmentation": [[1, 2, 3, INFINITY, 5, 6]]}, "segmentation[0]"),
        ({"segmentation": [[1, 2, 3, 1e7, 5, 6]]}, "segmentation[0]"),
        ({"segmentation": [[0, 0, 80, 60] * 20_000]}, "segmentation[0]"),
        ({"segmentation": {"size": [60, 81], "counts": [60 * 81]}}, "segmentation.size"),
        ({"segmentation": {"counts": [4800]}}, "segmentation.size"),
        ({"segmentation": {"size": [60, 80], "counts": [4799]}}, "segmentation.counts"),
        ({"segmentation": {"size": [60, 80], "counts": [5000, -200]}}, "segmentation.counts"),
        ({"segmentation": {"size": [60, 80], "counts": []}}, "segmentation.counts"),
        ({"segmentation": {"size": [60, 80], "counts": "ooooooooooooooo0"}}, "segmentation.counts"),
        ({"segmentation": {"size": [60, 80], "counts": "\u00e9"}}, "segmentation.counts"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_fault_of_an_annotation_is_found_with_its_id_and_field(values, field):
    assert faults_of(spoil(**values)) == [("annotation 100", field)]


@pytest.mark.parametrize(
    ("table", "values", "fault"),
    [
        ("images", {"height": 0}, ("image 30", "height")),
        ("images", {"width": 8.5}, ("image 30", "width")),
        ("images", {"height": 10**6, "width": 10**6}, ("image 30", "width x height")),
        ("images", {"file_name": ""}, ("image 30", "file_name")),
        ("images", {"file_name": "\ud800"}, ("image 30", "file_name")),
        ("images", {"id": "30"}, ("image at place 0", "id")),
        ("images", {"id": 20}, ("image at place 1", "id")),
        ("categories", {"name": 5}, ("category 1", "name")),
        ("categories", {"id": -1}, ("category at place 0", "id")),
        ("categories", {"id": 2}, ("category at place 1", "id")),
        ("annotations", {"id": 101}, ("annotation at place 1", "id")),
        ("annotations", {"id": 2**63}, ("annotation at place 0", "id")),
    ],
)
def test_a_fault_of_another_row_is_found(table, values, fault):
    data = make_data()
    data[table][0].update(values)
    assert fault in faults_of(data)


def test_all_faults_are_found_at_once_and_the_message_is_short():
    data = make_data(images=5, objects=10)
    for row in data["annotations"][:30]:
        row["area"] = "large"
    data["annotations"][31]["bbox"] = [0, 0, 1e6, 1]
    data["annotations"][32]["segmentation"] = [[1, 1, NAN, 2, 3, 3]]
    data["annotations"][33]["category_id"] = -5
    data["images"][4]["height"] = None
    with pytest.raises(AnnotationsError) as error:
        pack_annotations(data, "folder/a.json")
    assert len(error.value.faults) == 34
    lines = str(error.value).splitlines()
    assert len(lines) == 22 and lines[-2] == "and 14 more"
    assert "`maskzoo data check folder/a.json`" in lines[-1] and "--fix" in lines[-1]
    assert "folder/a.json: annotation 100: area: found 'large'; expected a number of pixels" in lines


def test_a_fault_does_not_disturb_the_neighbours():
    data = make_data()
    good = pack_annotations(copy.deepcopy(data), "a.json")
    # A half-read polygon must not shift those that follow: only this annotation is at fault.
    data["annotations"][1]["segmentation"] = [SQUARE, [1, 2, 3, 4, None, 6]]
    assert faults_of(data) == [("annotation 101", "segmentation[1]")]
    assert len(good.ids) == 13


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '{"images": []}', "[" * 100_000, "\xff"])
def test_a_file_that_is_no_data_set_is_refused_with_its_name(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(MaskzooError, match=r"broken\.json: .*expected"):
        read_annotations(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty, 0 bytes"),
        (b" \n", "Expecting value: line 2 column 1"),
        (b'{"images": []} more', "Extra data: line 1 column 16"),
        (b'{"images": [],\n "images": [1]}', 'the key "images" stands twice in one object: line 2 column 2'),
        (b'[{"id": 1, "a": "{\\"id\\": 2}", "b": {"id": 3}, "i\\u0064": 4}]', r'the key "i\u0064" stands twice'),
        (b"\xff\xfe{\0}", "truncated data"),
        (b'{"a": "\xff"}', "can't decode byte 0xff in position 7"),
        (b"[" * 100_000, "nested too deep"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_json_is_told_with_file_and_place(content, says, tmp_path):
    (tmp_path / "odd.json").write_bytes(content)
    with pytest.raises(AnnotationsError) as caught:
        read_json(tmp_path / "odd.json")
    assert str(caught.value).startswith(f"{tmp_path / 'odd.json'}: file: found no JSON: ")
    assert says in str(caught.value.faults[0].found) and "expected a whole JSON file" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_any_unicode_is_read_with_or_without_a_mark(encoding, tmp_path):
    (tmp_path / "a.json").write_bytes('{"näme": [1.5, "水"]}'.encode(encoding))
    assert read_json(tmp_path / "a.json") == {"näme": [1.5, "水"]}


def test_one_key_in_many_objects_and_values_that_look_like_keys_are_no_fault(tmp_path):
    value = {"a": {"a": [{"a": "a"}, {"a": '"a": 1, "a": 2'}]}, "b": "a"}
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert read_json(tmp_path / "a.json") == value


def test_a_number_that_is_not_finite_is_told_with_its_row(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(spoil(area=INFINITY)))
    with pytest.raises(AnnotationsError, match=r"a\.json: annotation 100: area: found inf; expected a number of pixels"):
        read_annotations(tmp_path / "a.json")


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(AnnotationsError, match=r"none\.json: file: found no such file"):
        read_annotations(tmp_path / "none.json")


def test_no_categories_at_all_is_a_fault():
    assert faults_of(make_data(images=0, crowd=False) | {"categories": []}) == [("", "categories")]


@pytest.mark.parametrize("name", ["train2017", "val2017"])
def test_real_annotations_are_packed_as_pycocotools_has_them(name, capsys):
    file = need_shared("data", "coco", "annotations", f"instances_{name}.json")
    packed, judge = read_annotations(file), COCO(str(file))
    capsys.readouterr()
    assert packed.image_ids.tolist() == sorted(judge.imgs)
    assert packed.classes.to_classes() == {row["id"]: row["name"] for row in judge.dataset["categories"]}
    for place, number in enumerate(packed.ids.tolist()):
        row, ours = judge.anns[number], packed.segmentation(place)
        if isinstance(ours, list):
            assert ours == row["segmentation"]
        else:
            assert ours["counts"] == judge.annToRLE(row)["counts"].decode()
    assert json.dumps(packed.bbox[:3].tolist()) == json.dumps([judge.anns[n]["bbox"] for n in packed.ids[:3].tolist()])


def test_images_of_lvis_are_named_by_the_end_of_their_address(tmp_path):
    data = make_data()
    for row in data["images"]:
        row["coco_url"] = f"http://images.cocodataset.org/val2017/{row.pop('file_name')}"
    for row in data["annotations"]:
        del row["iscrowd"]
    annotations = read_annotations(write(tmp_path / "lvis_v1_val.json", data))
    assert [annotations.file_name(image) for image in range(3)] == ["val2017/2.png", "val2017/1.png", "val2017/0.png"]
