"""The generator of the golden files, as far as it goes without its reference, and that its README tells the truth."""

import importlib
import json
import re
import sys

import numpy as np
import pytest
import torch

from golden import storage
from golden.draws import Draw
from golden.reference import Edit, open_edited
from golden.roi_align_gradient import interpolate
from golden.sets import SETS
from maskzoo.ops.roi_align import make_table, roi_align
from shared_data import PORTABLE, ROOT

PARTS = {"infer": "infer_r50_fpn_small_a", "train": "train_r50_fpn_pair", "units": "units", "inputs": "inputs"}


def test_the_portable_set_is_what_the_table_says():
    golden = SETS["portable"]
    assert json.loads((PORTABLE / "set.json").read_text())["weight_seed"] == golden.weight_seed
    assert {path.name.split(".")[0] for path in PORTABLE.glob("*.npz")} == {*golden.names} - {"empty"}
    inputs = np.load(PORTABLE / "inputs.npz")
    photos = {f"infer.{case}": photo for case, photo in golden.infer.items()}
    photos |= {f"train.{case}.im{j}": photo for case, all_of in golden.train.items() for j, photo in enumerate(all_of)}
    assert {key.removesuffix(".image_id"): int(inputs[key]) for key in inputs.files if "image_id" in key} == photos
    drawn = Draw(golden.unit_seed)
    assert [*drawn.polygon(12), *drawn.polygon(8)] == np.load(PORTABLE / "units.npz")["aug.poly_in"][:20].tolist()


@pytest.mark.parametrize("kind", PARTS)
def test_the_readme_explains_every_key(kind):
    text = (ROOT / "tests" / "golden" / "README.md").read_text(encoding="utf-8")
    section = text.split(f"\n`{kind}")[1].split("\n`")[0]
    told = [re.sub(r"<\w+>", r"[\\w.]+", re.escape(key)) for key in re.findall(r"`([\w.<>]+)`", section)]
    patterns = re.compile(rf"({'|'.join(told)})(\.shape|\.sample|\.stats)?")
    keys = np.load(PORTABLE / f"{PARTS[kind]}.npz").files
    assert len(told) > 5 and [key for key in keys if not patterns.fullmatch(key)] == []


def test_a_file_equals_what_was_written_and_differs_from_anything_else(tmp_path):
    recording = storage.Recording("train")
    recording.summarize("grad.weight", np.arange(5000, dtype=np.float32))
    recording["names"] = np.array(["a", "b"])
    rows = {"bbox": [{"score": 0.5}]}
    storage.write(tmp_path / "file", storage.Content(recording, rows))
    assert storage.compare(tmp_path / "file", storage.Content(recording, rows)) == {}
    assert len(recording["grad.weight.sample"]) == 556  # every ninth

    moved = {**recording, "grad.weight.stats": recording["grad.weight.stats"] + 1, "names": np.array(["a", "c"])}
    del moved["grad.weight.shape"]
    differences = storage.compare(tmp_path / "file", storage.Content(moved, {"bbox": []}))
    assert 0 < differences.pop("grad.weight.stats") < 1
    assert differences == {"grad.weight.shape": np.inf, "names": np.inf, "COCO rows": 1.0}


def test_a_module_is_imported_with_its_edits_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("edited_once", "edited_twice"):
        (tmp_path / f"{name}.py").write_text("value = 1\nother = 1\n")
        monkeypatch.delitem(sys.modules, name, raising=False)
    open_edited(tmp_path, (Edit("edited_once", "value = 1", "value = 2", "a test"), Edit("edited_twice", "= 1", "= 2", "")))
    assert importlib.import_module("edited_once").value == 2
    with pytest.raises(ImportError, match=r"edited_twice.py has '= 1' 2 times, expected 1: check out"):
        importlib.import_module("edited_twice")


@pytest.mark.parametrize("box", [(8.0, 12.0, 13.5, 40.0), (-30.0, 60.0, 20.0, 66.0), (100.0, 90.0, 140.0, 91.0)])
def test_thin_rois_are_pooled_by_products_as_by_the_operator(box):
    feature = np.random.default_rng(0).normal(size=(1, 2, 13, 17)).astype(np.float32)
    left, top, right, bottom = np.array(box) / 8 - 0.5
    rows, columns = interpolate(top, bottom, 7, 13), interpolate(left, right, 7, 17)
    zero = torch.zeros(1, dtype=torch.int64)
    expected = roi_align(make_table([torch.from_numpy(feature)], [8]), torch.tensor([box]), zero, zero, 7, True)
    assert np.abs(rows @ feature[0] @ columns.T - expected[0].numpy()).max() < 1e-5
