"""One rule for the files of every tool: pictures, classes, splits and groups, and what is told or left out."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from five_objects import OUTLINES, TRUTH, list_objects, write_pictures
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.labelled import Labels
from maskzoo.datasets.importers.labelled_pictures import LabelledPicture, LabelledShape
from maskzoo.errors import SourceError


def draw(points, size):
    return [np.array(points, np.float64).ravel()]


def make(folder, names=OUTLINES, **more):
    labels = Labels(folder, "Tool")
    for name in names:
        shapes = [
            LabelledShape(label, f"shape {at}", partial(draw, points)) for at, (label, points) in enumerate(OUTLINES[name])
        ]
        labels.pictures.append(LabelledPicture(folder / f"{name}.json", "", name, (120, 160), shapes, **more))
    return labels


def test_pictures_and_their_shapes_become_one_set(tmp_path):
    draft = make(write_pictures(tmp_path)).to_drafts(ImportOptions())[""]
    assert list_objects(draft) == TRUTH and draft.skipped == [] and draft.notes == []


def test_folders_of_splits_give_splits_unless_some_labels_lie_elsewhere(tmp_path):
    labels = make(tmp_path)
    for picture, split in zip(labels.pictures, ("train", "Valid", "train"), strict=True):
        write_pictures(tmp_path / "set" / split, [picture.named])
        picture.file = tmp_path / "set" / split / "labels" / picture.file.name
    drafts = labels.to_drafts(ImportOptions())
    assert {split: len(draft.pictures) for split, draft in drafts.items()} == {"train": 2, "val": 1}
    assert drafts["train"].names == drafts["val"].names == ["dent", "scratch"]
    labels.pictures[0].file = tmp_path / "set" / "a.json"
    (draft,) = labels.to_drafts(ImportOptions()).values()
    assert len(draft.pictures) == 3 and any("Taken as one set" in note for note in draft.notes)


def test_words_for_what_is_no_object_are_left_out_by_name(tmp_path):
    labels = make(write_pictures(tmp_path))
    ignored = ["__ignore__", "_background_", "__Background__"]
    labels.pictures[0].shapes += [LabelledShape(word, f"shape {word}", partial(draw, [])) for word in ignored]
    draft = labels.to_drafts(ImportOptions())[""]
    assert draft.names == ["dent", "scratch"] and list_objects(draft) == TRUTH
    assert [row.row for row in draft.skipped] == [f"shape {word}" for word in ignored]
    assert labels.to_drafts(ImportOptions(["__ignore__", "_background_", "scratch", "dent"]))[""].names == ["scratch", "dent"]


def test_boxes_of_a_group_with_an_outline_are_part_of_it_and_others_are_asked_about(tmp_path):
    labels = make(write_pictures(tmp_path, ["a3.jpg"]), ["a3.jpg"])
    box = partial(draw, [[1, 1], [9, 1], [9, 9], [1, 9]])
    shapes = labels.pictures[0].shapes
    shapes[0].group = 1
    shapes += [
        LabelledShape("scratch", "shape 1", box, is_box=True, group=1),
        LabelledShape("dent", "shape 2", box, is_box=True),
    ]
    draft = labels.to_drafts(ImportOptions())[""]
    assert [row["bbox"] for row in draft.annotations] == [[1, 1, 109, 94]] and draft.refused == [
        f"{tmp_path}/a3.jpg.json: shape 2"
    ]
    assert len(labels.to_drafts(ImportOptions(boxes="masks"))[""].annotations) == 2


def test_coordinates_in_parts_allow_another_size_of_the_same_form(tmp_path):
    labels = make(write_pictures(tmp_path, ["a3.jpg"], size=(320, 240)), ["a3.jpg"])
    assert "found 320 x 240" in labels.to_drafts(ImportOptions())[""].skipped[0].reason
    labels.pictures[0].relative = True
    assert len(labels.to_drafts(ImportOptions())[""].pictures) == 1
    labels.pictures[0].size = (320, 240)
    assert "EXIF" in labels.to_drafts(ImportOptions())[""].skipped[0].reason


def test_a_picture_inside_its_labels_is_measured_and_named_by_its_kind(tmp_path):
    (tmp_path / "photo").mkdir()
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(tmp_path / "photo" / "x.png")
    content = (tmp_path / "photo" / "x.png").read_bytes()
    labels = make(tmp_path, ["a3.jpg"], embedded=lambda: content)
    out = tmp_path / "out"
    draft = labels.to_drafts(ImportOptions(pictures=out))[""]
    assert draft.pictures == [out / "a3.png"] and draft.embedded[out / "a3.png"]() == content
    assert any("inside the labels" in note for note in draft.notes)
    assert "no folder to write it to" in labels.to_drafts(ImportOptions())[""].skipped[0].reason
    labels.pictures[0].stem = "other"
    assert labels.to_drafts(ImportOptions(pictures=out))[""].pictures == [out / "other.png"]
    labels.pictures[0].embedded = lambda: b"no picture"
    assert "cannot be read" in labels.to_drafts(ImportOptions(pictures=out))[""].skipped[0].reason


def test_without_a_class_all_reasons_are_given(tmp_path):
    labels = make(tmp_path, ["a3.jpg"])
    labels.skip(tmp_path / "bad.json", "row 3", f"{tmp_path / 'bad.json'}: is torn")
    labels.pictures[0].shapes = [LabelledShape(None, "shape 4", partial(draw, []), fault="has two labels")]
    with pytest.raises(SourceError, match=r"no Tool file .*\n.*bad\.json: row 3: is torn\n.*shape 4: has two labels"):
        labels.to_drafts(ImportOptions())
    with pytest.raises(SourceError, match="expected shapes, each with a label"):
        Labels(tmp_path, "Tool").to_drafts(ImportOptions())


def test_an_error_in_a_file_leaves_out_that_file_alone(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "good.json").write_text("[1]")
    (tmp_path / ".hidden.json").write_text("[2]")
    labels = Labels(tmp_path, "Tool")
    assert [content for _, content in labels.read_files()] == [[1]]
    assert [path.name for path, _, _ in labels.skipped] == ["bad.json"]
    assert [content for _, content in Labels(tmp_path / "good.json", "Tool").read_files()] == [[1]]
