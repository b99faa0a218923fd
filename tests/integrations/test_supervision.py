"""Predictions as supervision's own objects, by supervision itself where it is installed."""

import sys

import numpy as np
import pytest

from found_objects import make_found
from maskzoo.errors import MissingPackageError


def test_boxes_masks_scores_and_names_arrive():
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    prediction = make_found()
    found = prediction.to_supervision()
    assert isinstance(found, supervision.Detections) and len(found) == len(prediction) == 5
    assert np.array_equal(found.xyxy, prediction.boxes) and np.array_equal(found.confidence, prediction.scores)
    assert np.array_equal(found.mask, prediction.masks.dense()) and found.area.tolist() == prediction.masks.area().tolist()
    assert found.class_id.tolist() == prediction.labels.tolist() and tuple(found["class_name"]) == prediction.names
    assert len(found[found.confidence > 0.5]) == (prediction.scores > 0.5).sum()
    picture = supervision.MaskAnnotator().annotate(np.zeros((60, 90, 3), np.uint8), found)
    assert np.array_equal(picture.any(axis=2), prediction.masks.dense().any(axis=0))


def test_nothing_found_is_empty_there_too():
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    found = make_found(0).to_supervision()
    assert len(found) == 0 and found == found and len(supervision.Detections.merge([found, make_found().to_supervision()])) == 5


def test_without_it_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingPackageError, match=r"supervision is not installed.*: pip install 'supervision'"):
        make_found().to_supervision()
