"""Where a run finds its data."""

import pytest

from maskzoo.config import RunSettings
from maskzoo.errors import SourceError
from maskzoo.training.plan import make_plan
from maskzoo.zoo.rows import read_row
from small_runs import write_data


def test_annotations_written_elsewhere_find_both_splits_in_one_given_folder(tmp_path):
    write_data(tmp_path / "photos")
    (tmp_path / "cleaned").mkdir()
    for split in ("train", "val"):
        (tmp_path / "photos" / f"{split}.json").rename(tmp_path / "cleaned" / f"{split}.json")
    config = read_row("mask_rcnn_r50_fpn_1x_coco")
    plan = make_plan(config, RunSettings(), tmp_path / "cleaned", images=tmp_path / "photos")
    assert [plan.data[f"{split}_images"] for split in ("train", "val")] == [
        str(tmp_path / "photos" / split) for split in ("train", "val")
    ]
    with pytest.raises(SourceError, match=r"train\.json: its images were not found.*--images"):
        make_plan(config, RunSettings(), tmp_path / "cleaned", images=tmp_path / "cleaned")
