"""A table beside mask pictures says what each number is."""

import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.mask_pngs import read_mask_pngs
from maskzoo.datasets.importers.object_table import read_object_table
from maskzoo.errors import SourceError

HEAD = "mask,number,class,iscrowd,score,attributes\n"


def make(folder, table):
    numbers = np.zeros((9, 12), np.uint16)
    numbers[1:4, 1:4], numbers[1:3, 8:11], numbers[6:8, 1:9] = 1, 2, 300
    for name, array in (("images/a.png", np.zeros((9, 12, 3), np.uint8)), ("masks/a.png", numbers)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(folder / name)
    (folder / "objects.csv").write_text(table)


def test_classes_flags_scores_and_attributes_are_those_of_the_table(tmp_path):
    make(tmp_path, HEAD + 'a.png,1,dog,,,"{""old"": true}"\na.png,2,cat,1,,\na.png,300,dog,0,0.25,\n')
    draft = read_mask_pngs(tmp_path, ImportOptions())[""]
    assert draft.names == ["cat", "dog"] and draft.skipped == []
    dog, cat, other = draft.annotations
    assert (dog["category_id"], dog["attributes"], dog["area"]) == (2, {"old": True}, 9)
    assert (cat["category_id"], cat["iscrowd"]) == (1, 1) and "attributes" not in cat
    assert (other["area"], other["attributes"]) == (16, {"score": 0.25})


def test_a_list_of_classes_gives_their_order_and_objects_that_no_row_names_are_skipped(tmp_path):
    make(tmp_path, HEAD + "a.png,1,dog,,,\na.png,2,cat,,,\n")
    (tmp_path / "classes.txt").write_text("horse\ndog\ncat\n")
    draft = read_mask_pngs(tmp_path, ImportOptions())[""]
    assert draft.names == ["horse", "dog", "cat"]
    assert [row.reason for row in draft.skipped] == ["objects.csv does not name it"]
    draft = read_mask_pngs(tmp_path, ImportOptions(["cat"]))[""]
    assert "says it is 'dog'" in draft.skipped[0].reason and len(draft.annotations) == 1


@pytest.mark.parametrize(
    "row",
    ["a.png,x,dog,,,", "a.png,1,,,,", ",1,dog,,,", "a.png,1,dog,?,,", 'a.png,1,dog,,,"[1]"', "a.png,1,dog,,,\na.png,1,cat,,,"],
)
def test_a_row_that_makes_no_sense_is_named(tmp_path, row):
    make(tmp_path, HEAD + row + "\n")
    with pytest.raises(SourceError, match=r"objects.csv: line \d is .*; expected a mask, a number"):
        read_object_table(tmp_path)


def test_another_table_is_refused_and_none_is_none(tmp_path):
    assert read_object_table(tmp_path) is None
    (tmp_path / "objects.csv").write_text("name,size\n")
    assert read_object_table(tmp_path) is None
    (tmp_path / "objects.csv").write_text("mask,size\n")
    with pytest.raises(SourceError, match=r"found the columns .* expected mask, number, class"):
        read_object_table(tmp_path)
