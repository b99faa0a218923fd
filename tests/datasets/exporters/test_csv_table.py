"""The table: a row for each object, one for each picture without any."""

import csv
import json

import numpy as np

from labelled_sets import list_objects, make_pictures, measure_iou, write_set
from maskzoo.datasets.exporters.csv_table import COLUMNS
from maskzoo.datasets.importers.convert import convert_dataset
from maskzoo.datasets.rle import decode_runs, encode_polygons


def test_outlines_classes_ids_flags_and_attributes_can_be_read_from_the_table(tmp_path):
    pictures = make_pictures()
    pictures["a.png"][0][2]["score"] = 0.25
    file = write_set(tmp_path / "set", pictures)
    made = convert_dataset(file, tmp_path / "out/table.csv", to="csv")
    assert made.splits["train"].file == tmp_path / "out/table.csv" and made.lost == {}
    with (tmp_path / "out/table.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 12
    data = json.loads(file.read_text())
    (empty,) = [row for row in rows if not row["id"]]
    assert (empty["file_name"], empty["width"], empty["class"]) == ("empty.png", "60", "")
    known = {row["id"]: (row, one) for row, one in zip(data["annotations"], list_objects(file), strict=True)}
    for row in rows:
        if row["id"]:
            entry, one = known[int(row["id"])]
            counts = encode_polygons(json.loads(row["polygons"]), (40, 60)) if row["polygons"] else row["runs"].encode()
            assert measure_iou(decode_runs(counts, (40, 60)), one[-1]) == 1
            assert (row["class"], int(row["iscrowd"]), int(row["image_id"])) == (one[1], one[2], entry["image_id"])
            assert json.loads(row["attributes"] or "{}") == one[3] and float(row["area"]) == entry["area"]
            box = [float(row[name]) for name in ("x", "y", "box_width", "box_height")]
            assert np.allclose(box, entry["bbox"], atol=1)
    assert rows[0]["score"] == "0.25" and rows[0]["split"] == "train"
