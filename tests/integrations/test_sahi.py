"""A predictor inside SAHI, by SAHI itself where it is installed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from found_objects import CLASSES, make_found
from labelled_sets import measure_iou
from maskzoo.errors import MissingPackageError
from maskzoo.inference.prediction import make_prediction
from maskzoo.integrations.sahi import make_model


class Bright:
    """Finds the one bright rectangle of a photo, if it has one, as a car; it keeps the scores that it was asked for."""

    config = SimpleNamespace(classes=CLASSES)

    def __init__(self):
        self.asked = []

    def predict(self, source, *, score=0.5):
        self.asked.append((source.shape, score))
        y, x = np.nonzero(source[..., 0] > 128)
        boxes = np.float32([[x.min(), y.min(), x.max() + 1, y.max() + 1]] if len(x) else np.zeros((0, 4)))
        count = len(boxes)
        return make_prediction(
            boxes, np.full(count, 0.9, np.float32), np.ones(count, int), np.ones((count, 28, 28), np.float32),
            size=source.shape[:2], scale=(1.0, 1.0), classes=CLASSES,
        )  # fmt: skip


def make_photo():
    photo = np.zeros((200, 300, 3), np.uint8)
    photo[60:130, 100:190] = 255
    return photo


def test_a_whole_photo_gives_the_predictors_objects():
    pytest.importorskip("sahi", reason="SAHI is not installed")
    from sahi.predict import get_prediction

    bright = Bright()
    (found,) = get_prediction(make_photo(), make_model(bright, 0.3)).object_prediction_list
    assert bright.asked == [((200, 300, 3), 0.3)] and found.score.value == pytest.approx(0.9)
    assert (found.category.id, found.category.name) == (3, "car") and measure_iou(
        found.mask.bool_mask > 0, make_photo()[..., 0] > 0
    ) > 0.99


def test_what_slices_find_lies_where_it_is_on_the_whole_photo():
    pytest.importorskip("sahi", reason="SAHI is not installed")
    from sahi.predict import get_sliced_prediction

    bright = Bright()
    slices = {"slice_height": 120, "slice_width": 150, "overlap_height_ratio": 0.2, "overlap_width_ratio": 0.2}
    result = get_sliced_prediction(make_photo(), make_model(bright), verbose=0, **slices)
    assert {shape for shape, _ in bright.asked} > {(120, 150, 3)}
    masks = [one.mask.bool_mask > 0 for one in result.object_prediction_list]
    assert measure_iou(np.any(masks, axis=0), make_photo()[..., 0] > 0) > 0.99


def test_holes_are_the_only_thing_that_sahis_polygons_lose():
    pytest.importorskip("sahi", reason="SAHI is not installed")
    prediction = make_found()
    model = make_model(SimpleNamespace(config=SimpleNamespace(classes=CLASSES), predict=lambda image, score: prediction))
    model.perform_inference(np.zeros((60, 90, 3), np.uint8))
    model.convert_original_predictions()
    assert len(model.object_prediction_list) == len(prediction) and model.num_categories == 3
    for one, parts, mask in zip(model.object_prediction_list, prediction.to_polygons(0), prediction.masks.dense(), strict=True):
        if not any(part.holes for part in parts):
            assert measure_iou(one.mask.bool_mask.astype(bool), mask) > 0.9


def test_without_it_the_error_says_what_to_install(monkeypatch):
    for name in ("sahi", "sahi.models.base"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"sahi is not installed.*: pip install 'sahi'"):
        make_model(Bright())
