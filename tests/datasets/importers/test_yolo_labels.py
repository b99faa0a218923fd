"""Labels are found under names and in folders that tools and people changed, and told."""

import unicodedata

import pytest

from five_objects import write_pictures
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.yolo import read_yolo
from maskzoo.datasets.importers.yolo_labels import LabelFiles

ROW = "0 0.1 0.1 0.9 0.1 0.9 0.9\n"


@pytest.mark.parametrize(
    ("picture", "label"),
    [
        ("images/a.jpg", "labels/a.TXT"),
        ("images/a.jpg", "Labels/a.txt"),
        ("Images/a.jpg", "labels/a.txt"),
        ("images/A1.JPG", "labels/a1.txt"),
        ("images/a.jpg", "labels/1a2b3c4d-a.txt"),
        ("images/1a2b3c4d-a.jpg", "labels/a.txt"),
        (unicodedata.normalize("NFC", "images/caf\u00e9.jpg"), unicodedata.normalize("NFD", "labels/caf\u00e9.txt")),
    ],
)
def test_a_label_file_is_found_by_what_its_name_has_in_common(tmp_path, picture, label):
    folder = write_pictures(tmp_path / picture.split("/")[0], [picture.split("/")[1]])
    (tmp_path / label).parent.mkdir()
    (tmp_path / label).write_text(ROW)
    (tmp_path / "classes.txt").write_text("cat\n")
    (draft,) = read_yolo(tmp_path, ImportOptions()).values()
    assert len(draft.annotations) == 1 and draft.skipped == []
    labels = LabelFiles()
    assert labels.find(folder / picture.split("/")[1]).samefile(tmp_path / label)
    assert not labels.told or "another name" in " ".join(draft.notes)


def test_labels_of_another_picture_and_two_that_fit_are_not_taken(tmp_path):
    write_pictures(tmp_path / "images", ["a.jpg", "A.jpg", "b.jpg"])
    (tmp_path / "labels").mkdir()
    for name in ("a.txt", "1a2b3c4d-b.txt", "5e6f7a8b-b.txt"):
        (tmp_path / "labels" / name).write_text(ROW)
    (tmp_path / "classes.txt").write_text("cat\n")
    (draft,) = read_yolo(tmp_path, ImportOptions()).values()
    assert [row["image_id"] for row in draft.annotations] == [draft.pictures.index(tmp_path / "images" / "a.jpg") + 1]
    assert [row.file.rpartition("/")[2] for row in draft.skipped] == ["1a2b3c4d-b.txt", "5e6f7a8b-b.txt"]
