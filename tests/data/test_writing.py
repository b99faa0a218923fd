"""A data set written is the data set read, and a file is whole or not there."""

import json

import numpy as np
import pytest

from coco_files import make_data
from maskzoo.data.coco import pack_annotations, read_annotations
from maskzoo.data.writing import find_common_folder, write_coco
from maskzoo.errors import MaskzooError, SourceError


def test_a_data_set_survives_writing_and_reading(tmp_path):
    data = make_data(images=4, objects=5)
    data["annotations"][0]["ignore"] = 1
    before = pack_annotations(data, "made")
    write_coco(tmp_path / "new" / "set.json", before)
    after = read_annotations(tmp_path / "new" / "set.json")
    assert after.classes == before.classes
    for name in ("image_ids", "sizes", "first", "ids", "labels", "crowd", "ignore", "area", "bbox", "polygon_first"):
        assert np.array_equal(getattr(after, name), getattr(before, name)), name
    for name in ("file_names", "polygons", "runs"):
        assert np.array_equal(getattr(after, name).values, getattr(before, name).values), name
        assert np.array_equal(getattr(after, name).first, getattr(before, name).first), name


def test_a_file_that_is_there_stays_unless_forced(tmp_path):
    path = tmp_path / "set.json"
    path.write_text("mine")
    with pytest.raises(MaskzooError, match="exists already"):
        write_coco(path, make_data())
    assert path.read_text() == "mine"
    write_coco(path, make_data(), force=True)
    assert json.loads(path.read_text()) == make_data()


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "set.json").mkdir()
    with pytest.raises(MaskzooError, match="cannot be written"):
        write_coco(tmp_path / "set.json", make_data(), force=True)
    with pytest.raises(MaskzooError, match=r"other\.json: .*\['images'\]\[1\]\['area'\] is nan, which JSON"):
        write_coco(tmp_path / "other.json", {"images": [{"area": 1.5}, {"area": float("nan")}]})
    assert [path.name for path in tmp_path.iterdir()] == ["set.json"]


def test_file_names_start_from_the_files_folder_or_the_one_above_or_what_pictures_share(tmp_path):
    pictures = [tmp_path / "photos" / "a" / "1.png", tmp_path / "photos" / "b" / "2.png"]
    assert find_common_folder(pictures, tmp_path / "set.json") == tmp_path
    assert find_common_folder(pictures, tmp_path / "annotations" / "set.json") == tmp_path
    assert find_common_folder(pictures, tmp_path / "x" / "y" / "set.json") == tmp_path / "photos"
    with pytest.raises(SourceError, match=r"set\.json: its pictures have no folder in common"):
        find_common_folder([], tmp_path / "set.json")
