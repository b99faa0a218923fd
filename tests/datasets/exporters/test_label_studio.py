"""Label Studio's tasks: points in percent, brushes packed by bits, predictions for a person to correct."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelled_sets import make_masks, make_pictures, measure_iou, write_set
from maskzoo.datasets.exporters.label_studio_regions import encode_brush
from maskzoo.datasets.importers.convert import convert_dataset
from maskzoo.datasets.predictions import INDEX, RESULTS
from maskzoo.datasets.rle import rasterize_polygons


def unpack(data, size):
    """Read a brush the plain way, bit by bit, as its description says."""
    bits = "".join(f"{byte:08b}" for byte in data)
    place = 0

    def take(count):
        nonlocal place
        place += count
        assert place <= len(bits)
        return int(bits[place - count : place], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values = []
    while len(values) < total:
        repeated, count = take(1), take(sizes[take(2)]) + 1
        values += [take(word)] * count if repeated else [take(word) for _ in range(count)]
    assert len(values) == total and len(bits) - place < 8
    alpha = np.array(values, np.uint8).reshape(*size, 4)
    assert set(np.unique(alpha)) <= {0, 255}
    return (alpha[:, :, 3] > 0).astype(np.uint8)


@settings(deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1)))
def test_a_brush_unpacks_to_its_mask(mask):
    assert np.array_equal(unpack(encode_brush(mask), mask.shape), mask)


def test_a_brush_of_a_large_picture_has_runs_longer_than_one_count():
    mask = np.zeros((300, 400), np.uint8)
    mask[290:, 390:] = 1
    data = encode_brush(mask)
    assert np.array_equal(unpack(data, mask.shape), mask) and len(data) < 200


def read(tasks):
    """Return the mask, class and meta of each result by picture."""
    found = {}
    for task in tasks:
        key = "predictions" if "predictions" in task else "annotations"
        rows = found.setdefault(task["data"]["file_name"], [])
        for row in task[key][0]["result"]:
            size, value = (row["original_height"], row["original_width"]), row["value"]
            if row["type"] == "polygonlabels":
                points = np.array(value["points"]) * size[::-1] / 100
                mask, label = rasterize_polygons([points.ravel()], size), value["polygonlabels"]
            else:
                mask, label = unpack(value["rle"], size), value["brushlabels"]
            rows.append((mask, label[0], row.get("meta", {}), row["id"]))
    return found


def test_tasks_have_all_objects_and_fit_the_interface(tmp_path):
    pictures = make_pictures()
    file = write_set(tmp_path / "set", pictures)
    made = convert_dataset(file, tmp_path / "out", to="labelstudio")
    tasks = json.loads((tmp_path / "out/tasks.json").read_text())
    found = read(tasks)
    assert list(found) == list(pictures) and found["empty.png"] == []
    for name in ("a.png", "c.png"):
        for (mask, label, more), (other, said, meta, _) in zip(pictures[name], found[name], strict=True):
            assert measure_iou(mask, other) >= 0.99 and said == made.classes[label]
            assert meta == ({"iscrowd": True} if more else {})
    assert found["in/b.jpg"][0][2] == {"colour": "red & <blue>", "age": 3} and found["in/b.jpg"][0][3] == "106"
    assert tasks[1]["data"]["image"] == "/data/local-files/?d=in/b.jpg"
    interface = ElementTree.parse(tmp_path / "out/labelling_interface.xml").getroot()
    names = {tag.get("name"): [label.get("value") for label in tag] for tag in interface if tag.get("toName") == "image"}
    assert names == {"polygon": list(made.classes), "brush": list(made.classes)}
    used = {(row["from_name"], row["to_name"]) for task in tasks for row in task["annotations"][0]["result"]}
    assert used == {("polygon", "image"), ("brush", "image")}
    assert f"local storage for {tmp_path}/set" in made.notes[0]


def test_predictions_have_a_version_and_scores(tmp_path):
    file = write_set(tmp_path / "set", {"a.png": [(make_masks()["blob"], 0, {})], "b.png": []})
    data = json.loads(file.read_text())
    (tmp_path / "set" / RESULTS).write_text(json.dumps([data["annotations"][0] | {"score": 0.5}]))
    (tmp_path / "set" / INDEX).write_text(json.dumps(data | {"annotations": []}))
    convert_dataset(tmp_path / "set", tmp_path / "out", to="labelstudio", format="predictions")
    first, second = json.loads((tmp_path / "out/tasks.json").read_text())
    (prediction,) = first["predictions"]
    assert prediction["model_version"] == "set" and prediction["score"] == 0.5 == prediction["result"][0]["score"]
    assert "annotations" not in first and second["predictions"][0]["result"] == []
