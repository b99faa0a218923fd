"""`maskzoo.check_dataset`: a data set by its path, a report as data, cleaned files and a page if asked for."""

import inspect
import json

import pytest

import maskzoo
from faulty_data import make_faulty, make_sound


@pytest.fixture
def faulty(tmp_path):
    """A data set of two splits, one of them faulty."""
    (tmp_path / "set").mkdir()
    make_faulty(tmp_path / "set")
    make_sound(tmp_path / "set", "val", first=50)
    return tmp_path / "set"


def test_a_data_set_is_checked_cleaned_and_shown_by_one_call(faulty, tmp_path):
    events = []
    out, page = tmp_path / "out", tmp_path / "page.html"
    report = maskzoo.check_dataset(str(faulty), fix=str(out), page=page, on_progress=events.append)
    assert isinstance(report, maskzoo.DatasetReport) and all(isinstance(one, maskzoo.Fault) for one in report.problems)
    assert list(report.splits) == ["train", "val"] and report.errors > 20 and report.data == faulty
    assert {split: fixed.file for split, fixed in report.fixed.items()} == {
        "train": out / "train.json",
        "val": out / "val.json",
    }
    assert report.page == page and page.read_text().startswith("<!DOCTYPE html>")
    assert {event.stage for event in events} == {"Reading annotations", "Reading images", "Comparing splits"}
    again = maskzoo.check_dataset(out, images=faulty)
    assert again.errors == 0 and (again.fixed, again.page) == ({}, None)


def test_the_report_is_json_with_what_was_changed_and_left(faulty, tmp_path):
    printed = maskzoo.check_dataset(faulty / "train.json", fix=tmp_path / "cleaned.json").to_dict()
    assert json.loads(json.dumps(printed, allow_nan=False)) == printed
    fixed = printed["fixed"]["train"]
    assert fixed["file"] == str(tmp_path / "cleaned.json") and fixed["left"] == []
    new_id = {"table": "annotations", "why": "duplicate-annotation-id", "action": "new id", "count": 1}
    assert new_id in fixed["changes"]


def test_nothing_is_written_or_printed_unless_asked_for(faulty, capsys):
    before = sorted(faulty.rglob("*"))
    maskzoo.check_dataset(faulty, duplicates=False)
    assert sorted(faulty.rglob("*")) == before
    assert capsys.readouterr() == ("", "")


def test_the_signature_is_the_promise():
    signature = inspect.signature(maskzoo.check_dataset)
    assert list(signature.parameters) == ["data", "images", "duplicates", "fix", "crowds_as_objects", "page", "on_progress"]
    kinds = {name: parameter.kind.name for name, parameter in signature.parameters.items() if name != "data"}
    assert set(kinds.values()) == {"KEYWORD_ONLY"}
