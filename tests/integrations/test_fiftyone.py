"""Predictions as FiftyOne's labels, by FiftyOne itself where it is installed."""

import sys

import numpy as np
import pytest

from found_objects import make_found
from maskzoo.errors import MissingPackageError
from maskzoo.integrations.fiftyone import to_detections


@pytest.mark.parametrize("count", [0, 5, 60])
def test_each_mask_lies_inside_its_box_at_its_place(count):
    pytest.importorskip("fiftyone", reason="FiftyOne is not installed")
    prediction = make_found(count)
    found = to_detections(prediction).detections
    assert [one.label for one in found] == list(prediction.names)
    assert [one.confidence for one in found] == prediction.scores.tolist()
    height, width = prediction.size
    for one, mask in zip(found, prediction.masks.dense(), strict=True):
        assert np.array_equal(one.to_segmentation(frame_size=(width, height)).mask > 0, mask)


def test_without_it_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(MissingPackageError, match=r"fiftyone is not installed.*: pip install 'fiftyone'"):
        to_detections(make_found())
