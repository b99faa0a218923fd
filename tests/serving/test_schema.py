import numpy as np
import pytest

from maskzoo.serving.schema import MaskKind, PredictionAnswer, make_answer, trace_polygons
from networks import make_photo, small_predictor


def fill(polygons, height, width):
    """Fill rings by the even-odd rule at the middles of pixels."""
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.zeros((height, width), bool)
    for ring in (np.array(ring).reshape(-1, 2) for polygon in polygons for ring in polygon):
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y1 != y2:
                inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


@pytest.mark.parametrize("seed", range(8))
def test_polygons_give_back_the_mask_exactly_with_its_holes(seed):
    random = np.random.default_rng(seed)
    mask = random.random((20, 30)) < 0.6  # touching corners, islands in holes
    mask[5:15, 5:25] = True
    mask[8:12, 10:20] = False
    assert np.array_equal(fill(trace_polygons(mask, (0, 0)), 20, 30), mask)


def test_polygons_lie_where_the_mask_lies_and_hold_their_holes():
    mask = np.ones((5, 6), bool)
    mask[2:3, 2:4] = False
    ((outline, hole),) = trace_polygons(mask, (10, 100))
    assert sorted(zip(outline[::2], outline[1::2], strict=True)) == [(10, 100), (10, 105), (16, 100), (16, 105)]
    assert sorted(zip(hole[::2], hole[1::2], strict=True)) == [(12, 102), (12, 103), (14, 102), (14, 103)]


@pytest.mark.parametrize("mask", [np.zeros((0, 0), bool), np.zeros((3, 3), bool)])
def test_an_empty_mask_has_no_polygon(mask):
    assert trace_polygons(mask, (0, 0)) == []


@pytest.mark.parametrize("kind", list(MaskKind))
def test_every_form_of_an_answer_is_that_of_its_schema(kind):
    prediction = small_predictor().predict(make_photo(60, 80))
    answer = make_answer(prediction, kind, "an-id", "small")
    assert len(PredictionAnswer.model_validate(answer, strict=True).detections) == len(prediction) > 0
    assert make_answer(prediction[:0], kind, "an-id", "small")["detections"] == []
