"""What docs/compatibility.md promises, held against files that are never written anew."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

import maskzoo
from maskzoo.model_file import parse_config
from maskzoo.training.snapshot import FORMAT_VERSION as SNAPSHOT_VERSION
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


def test_the_changelog_has_the_version_or_what_will_be_in_the_next():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)[0] == "Unreleased"
    kinds = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
