"""Pipes in the places of a data set's files: to read one would wait for ever, so none is opened."""

import json
import os

import pytest
from PIL import Image

import maskzoo
from coco_files import make_data
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.evaluation.results import read_results
from maskzoo.training.snapshot import read_newest_snapshot, tidy_snapshots
from watched import is_alone, watch

NAMES = [
    *(
        "train.json",
        "a.json",
        "annotations/instances_train2017.json",
        "train/_annotations.coco.json",
        "images.json",
        "meta.json",
    ),
    *("predictions.json", "a.ndjson", "a.csv", "via_export.csv", "a.xml", "Annotations/a.xml", "annotations.xml", "data.yaml"),
    *(
        "labels/a.txt",
        "a.txt",
        "classes.txt",
        "obj.names",
        "labelmap.txt",
        "ImageSets/Main/train.txt",
        "masks/a.png",
        "masks/a.npy",
    ),
    *("SegmentationObject/a.png", "a_gtFine_polygons.json", "images/b.png", "b.tif", "a.pgw"),
]

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes pipes")


def put_pipe(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


def try_name(folder, number):
    place = folder / str(number)
    put_pipe(place / NAMES[number])
    for path in (place / "a.png", place / "images/a.png"):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    refused = 0
    for use in (
        maskzoo.check_dataset,
        maskzoo.dataset_statistics,
        lambda source: maskzoo.convert_dataset(source, place / "out.json"),
    ):
        for source in (place, place / NAMES[number]):
            try:
                use(source)
            except maskzoo.MaskzooError:
                refused += 1
    return refused


def test_no_pipe_in_a_data_set_is_waited_for(request, tmp_path):
    if not is_alone(request):
        return
    assert sum(watch(lambda number: try_name(tmp_path, number), len(NAMES), tmp_path)) > 5 * len(NAMES)


def test_no_pipe_is_waited_for_by_name(request, tmp_path):
    if not is_alone(request):
        return
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps(make_data()))
    results = tmp_path / "results.json"
    results.write_text("[]")
    pipe = put_pipe(tmp_path / "pipe.json")
    put_pipe(tmp_path / "images.json")
    (tmp_path / "run").mkdir()
    put_pipe(tmp_path / "run" / "snapshots.json")
    put_pipe(tmp_path / "other" / "snapshot-00000001-aaaaaaaa.safetensors")
    works = [
        lambda: read_annotations(pipe),
        lambda: read_results(pipe, read_annotations(truth)),
        lambda: read_results(results, read_annotations(truth)),
        lambda: read_newest_snapshot(tmp_path / "run"),
        lambda: tidy_snapshots(tmp_path / "other") or read_newest_snapshot(tmp_path / "other"),
        lambda: maskzoo.load(str(pipe)),
    ]

    def work(number):
        with pytest.raises(maskzoo.MaskzooError, match=r"pipe|expected"):
            works[number]()

    watch(work, len(works), tmp_path)
