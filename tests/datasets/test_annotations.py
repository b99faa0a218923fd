"""What of a data set trains, subsets of it, sharing its arrays, and where its images lie."""

import gc
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from coco_files import make_data, write
from maskzoo.datasets.annotations import Ragged, find_trainable, select_for_training
from maskzoo.datasets.coco_reader import pack_annotations, read_annotations
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.errors import ConfigError, SourceError


def rows_of(annotations):
    """Return annotation id -> all that is known of it, in words that do not depend on places."""
    return {
        number: (
            int(annotations.image_ids[annotations.image_index[place]]),
            annotations.file_name(int(annotations.image_index[place])),
            annotations.labels[place].item(),
            annotations.boxes[place].tolist(),
            annotations.segmentation(place),
        )
        for place, number in enumerate(annotations.ids.tolist())
    }


def spoiled():
    """A data set with one annotation for each reason to leave it out, and an image with nothing else."""
    data = make_data(images=4, objects=4)
    rows = data["annotations"]
    rows[0]["ignore"] = 1
    rows[1]["area"] = 0
    rows[2]["bbox"] = [5, 5, 1e-5, 8]
    rows[3]["bbox"] = [0, 0, 0, 0]
    rows[4]["bbox"] = [5, 5, 1.1e-5, 8]  # just large enough
    return data


def test_the_published_rules_drop_and_count():
    annotations = pack_annotations(spoiled(), "a.json")
    kept, dropped = select_for_training(annotations)
    assert (dropped.crowd, dropped.ignored, dropped.without_area, dropped.degenerate) == (1, 1, 1, 2)
    assert dropped.empty_images == 1
    assert kept.image_ids.tolist() == [10, 20, 30]  # image 40 had only what is left out
    assert sorted(kept.ids.tolist()) == list(range(104, 116))
    words = "1 annotations crowd, 1 annotations marked ignore, 1 annotations with area 0 or less, 2 annotations with a box"
    assert words in str(dropped)


def test_empty_images_stay_if_asked():
    kept, dropped = select_for_training(pack_annotations(spoiled(), "a.json"), empty_images=True)
    assert kept.image_ids.tolist() == [10, 20, 30, 40] and dropped.empty_images == 0
    assert np.diff(kept.first).tolist() == [4, 4, 4, 0]


def test_a_sound_data_set_loses_nothing():
    annotations = pack_annotations(make_data(crowd=False), "a.json")
    kept, dropped = select_for_training(annotations)
    assert str(dropped) == "nothing left out"
    assert find_trainable(annotations).all()
    assert rows_of(kept) == rows_of(annotations)


def test_a_subset_keeps_every_object_whole():
    annotations = pack_annotations(make_data(images=5, seed=3), "a.json")
    images = np.array([True, False, True, False, True])
    some = annotations.select(images)
    assert some.image_ids.tolist() == annotations.image_ids[images].tolist()
    expected = {n: row for n, row in rows_of(annotations).items() if row[0] in some.image_ids}
    assert rows_of(some) == expected
    for image in range(3):
        assert (some.image_index[some.first[image] : some.first[image + 1]] == image).all()
    assert len(annotations.select(np.zeros(5, bool)).ids) == 0


def test_ragged_rows_are_taken_in_order():
    ragged = Ragged(np.arange(10), np.array([0, 3, 3, 7, 10]))
    taken = ragged.take(np.array([3, 1, 0]))
    assert [taken[row].tolist() for row in range(3)] == [[7, 8, 9], [], [0, 1, 2]]


def test_objects_of_python_do_not_grow_with_the_data_set():
    gc.collect()
    small, large = (pack_annotations(make_data(images=count, objects=20), "a.json") for count in (2, 200))
    sizes = [len(pickle.dumps(annotations, protocol=5, buffer_callback=lambda _: None)) for annotations in (small, large)]
    assert len(large.ids) > 90 * len(small.ids)
    assert abs(sizes[1] - sizes[0]) < 200  # all that grows is in the arrays' buffers


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_forked_process_reads_everything_without_copying_it():
    annotations = pack_annotations(make_data(images=1500, objects=20), "a.json")
    size = sum(getattr(annotations, name).nbytes for name in ("ids", "bbox", "boxes", "area", "polygon_first"))
    size += annotations.polygons.values.nbytes
    read, sent = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            gc.disable()  # a collection writes into every object of the process
            _read_all(annotations, range(50))  # what Python itself needs for it is not the data's
            before = _private_memory()
            _read_all(annotations, range(len(annotations.ids)))
            os.write(sent, str(_private_memory() - before).encode())
        finally:
            os._exit(0)
    os.close(sent)
    os.waitpid(child, 0)
    grown = int(os.read(read, 100))
    os.close(read)
    assert size > 3_000_000
    assert grown < size / 8


def _read_all(annotations, places):
    for place in places:
        annotations.outline(place)
        annotations.boxes[place].sum()


def _private_memory():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) * 1024


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations/instances_val2017.json", "val2017"),
        ("annotations/instances_val2017.json", "images/val2017"),
        ("annotations/instances_val2017.json", "images"),
        ("val.json", "val"),
        ("val.json", "images"),
        ("val.json", "."),
        ("labels/val.json", "."),
        ("annotations/instance_val.json", "val"),  # PaddleDetection's x2coco
        ("annotations/instance_val.json", "valid"),
        ("annotations/person_keypoints_val2017.json", "val2017"),
        ("annotations/instances_my_set.json", "images/my_set"),
        ("labels.json", "data"),  # FiftyOne
        ("val/labels.json", "val/data"),
        ("val/annotation_coco.json", "val"),  # mmdetection's balloons
        ("annotations/my_set_validation.json", "images/validation"),
        ("annotations/val.json", "val/images"),
        ("annotations/all.json", "JPEGImages"),
    ],
)
def test_images_are_found_in_the_usual_places(tmp_path, file, folder):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "1.png").touch()
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    found = find_image_folder(read_annotations(write(tmp_path / file, make_data())))
    assert found.resolve() == (tmp_path / folder).resolve()


@pytest.mark.parametrize(
    ("file", "split", "folder"),
    [
        ("val.json", None, "."),
        ("val.json", None, "images"),
        ("val.json", None, "val2017"),
        ("val.json", None, "images/valid"),
        ("val/_annotations.coco.json", None, "val"),
        ("held-out.json", "val", "val2017"),
        ("held-out.json", None, "train2017"),
        ("val.json", None, "data"),
        ("val/annotations/all.json", None, "valid"),
    ],
)
def test_a_given_folder_has_the_images_itself_or_those_of_the_split_in_it(tmp_path, file, split, folder):
    for place in {"train2017", "test", folder}:
        (tmp_path / "photos" / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "photos" / folder / "1.png").touch()
    (tmp_path / "photos" / "test" / "1.png").touch()
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    annotations = read_annotations(write(tmp_path / file, make_data()))
    assert find_image_folder(annotations, tmp_path / "photos", split) == tmp_path / "photos" / folder


def test_a_given_folder_without_one_of_the_images_or_that_is_none_is_an_error(tmp_path):
    annotations = read_annotations(write(tmp_path / "val.json", make_data()))
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "1.png").touch()
    with pytest.raises(SourceError, match=r"val.json: its images were not found"):
        find_image_folder(annotations, tmp_path)
    with pytest.raises(ConfigError, match=r"away: no such folder.*--images"):
        find_image_folder(annotations, tmp_path / "away")


def test_images_that_are_nowhere_are_an_error_that_lists_the_places(tmp_path):
    annotations = read_annotations(write(tmp_path / "val.json", make_data()))
    with pytest.raises(SourceError, match=r"first is '2.png', looked in .*images.*--images"):
        find_image_folder(annotations)


@pytest.mark.parametrize(
    ("given", "name", "found"),
    [
        ("data/标注 数据", "标注 数据/照片 1.png", "data"),
        ("data/photos/", "photos/one/1.png", "data"),
        ("data/photos/one", "photos/one/1.png", "data"),
        ("data/photos/one", "one/1.png", "data/photos"),
        ("data/./photos/", "photos/1.png", "data"),
        ("a/a", "a/a/1.png", "."),
        ("a/a", "a/1.png", "a"),
    ],
)
def test_names_that_begin_with_the_given_folders_own_are_found_from_above(given, name, found, tmp_path, monkeypatch):
    data = make_data()
    for image in data["images"]:
        image["file_name"] = name.replace("1", str(image["id"]))
    (tmp_path / given).mkdir(parents=True)
    path = tmp_path / found / data["images"][-1]["file_name"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (tmp_path / "elsewhere").mkdir()
    annotations = read_annotations(write(tmp_path / "elsewhere" / "all.json", data))
    assert find_image_folder(annotations, tmp_path / given) == tmp_path / found
    monkeypatch.chdir(tmp_path / given)
    assert find_image_folder(annotations, Path()) == tmp_path / found
