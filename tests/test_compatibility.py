"""What docs/compatibility.md promises, held against files that are never written anew."""

import hashlib
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save

import maskzoo
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.errors import SnapshotError
from maskzoo.evaluation.results import read_results
from maskzoo.model_file import parse_config
from maskzoo.training.snapshot import FORMAT_VERSION as SNAPSHOT_VERSION
from maskzoo.training.snapshot import read_newest_snapshot
from maskzoo.weights.checkpoint import FORMAT_VERSION
from networks import make_photo
from shared_data import ROOT

FORMATS = ROOT / "tests" / "formats"


def test_the_command_line_takes_what_was_promised():
    """A change that is meant is written down by `python tools/reference.py > tests/public_options.txt`."""
    done = subprocess.run([sys.executable, ROOT / "tools" / "reference.py"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == (ROOT / "tests" / "public_options.txt").read_text().splitlines()


def test_there_is_a_file_of_every_version_of_the_checkpoint():
    assert [(FORMATS / f"checkpoint-{number}.safetensors").is_file() for number in range(1, FORMAT_VERSION + 1)] == [True]
    assert SNAPSHOT_VERSION == "1"  # a new one needs a line in the changelog: runs under way cannot be continued


@pytest.mark.parametrize("path", sorted(FORMATS.glob("checkpoint-*.safetensors")), ids=lambda path: path.stem)
def test_a_checkpoint_of_an_older_version_finds_what_it_found(path):
    found = maskzoo.load(str(path), backend="eager", dtype="float32").predict(make_photo(64, 96))
    expected = json.loads(path.with_suffix(".json").read_text())
    assert found.labels.tolist() == expected["labels"]
    np.testing.assert_allclose(found.scores, expected["scores"], atol=1e-3)
    np.testing.assert_allclose(found.boxes, expected["boxes"], atol=0.05)


@pytest.mark.parametrize("path", sorted(FORMATS.glob("model-*.yml")), ids=lambda path: path.stem)
def test_a_model_file_of_an_older_version_is_read(path):
    config = parse_config(path.read_text(), path)
    assert config.network.channels == 8 and next(iter(config.classes.values())) == "person"


@pytest.mark.parametrize("folder", sorted(FORMATS.glob("results-*")), ids=lambda path: path.stem)
def test_results_of_an_older_version_are_matched_by_the_names_of_their_images(folder, tmp_path):
    index = json.loads((folder / "images.json").read_text())
    found = json.loads((folder / "predictions.json").read_text())
    truth = {
        "images": [row | {"id": 77} for row in index["images"]],  # other ids than when it was predicted
        "categories": [row | {"id": row["id"] + 100} for row in index["categories"]],
        "annotations": [
            row | {"id": number, "image_id": 77, "category_id": row["category_id"] + 100, "area": 9, "iscrowd": 0}
            for number, row in enumerate(found)
            if row["bbox"][2] > 1 and row["bbox"][3] > 1
        ],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    annotations = read_annotations(tmp_path / "truth.json")
    results = read_results(folder / "predictions.json", annotations)
    assert len(results) == len(found) > 5 and results.has_masks
    assert [annotations.classes.ids[label] - 100 for label in results.labels] == [row["category_id"] for row in found]


@pytest.mark.parametrize("version", ["0", "2"])
def test_a_snapshot_of_another_version_says_what_to_do(tmp_path, version):
    metadata = {"format": "maskzoo-snapshot", "format_version": version, "state": "{}"}
    content = save({"a": torch.ones(2)}, metadata)
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / f"snapshot-00000001-{digest[:8]}.safetensors").write_bytes(content)
    with pytest.raises(
        SnapshotError, match=f"{digest[:8]}.*found format maskzoo-snapshot {version}, .* the maskzoo that wrote it"
    ):
        read_newest_snapshot(tmp_path)


def test_the_changelog_has_the_version_or_what_will_be_in_the_next():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)[0] == "Unreleased"
    kinds = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
