"""Test-time augmentation: several views of a photo, averaged; what it does to AP stands in docs/large-images.md."""

import numpy as np
import pytest

import maskzoo
from maskzoo.errors import ArgumentError
from networks import C4, FPN, make_photo, small_predictor

PHOTO = make_photo(60, 90)


def test_nothing_to_augment_gives_the_predictor_itself():
    assert maskzoo.augment(small_predictor()) is small_predictor()


@pytest.mark.parametrize("row", [FPN, C4])
def test_a_mirror_image_gives_the_mirrored_prediction(row):
    """Both views of a photo are those of its mirror image, in another order."""
    predictor = maskzoo.augment(small_predictor(row), flip=True)
    found, mirrored = (predictor.predict(photo, score=0) for photo in (PHOTO, PHOTO[:, ::-1]))
    assert len(found) == len(mirrored) > 0
    np.testing.assert_allclose(np.sort(found.scores), np.sort(mirrored.scores), atol=1e-5)
    turned = np.stack(
        [90 - mirrored.boxes[:, 2], mirrored.boxes[:, 1], 90 - mirrored.boxes[:, 0], mirrored.boxes[:, 3]], axis=1
    )
    for box, label in zip(found.boxes, found.labels, strict=True):
        assert np.abs(turned[mirrored.labels == label] - box).max(axis=1).min() < 0.01
    assert found.masks.area().sum() == pytest.approx(mirrored.masks.area().sum(), rel=0.02)


def test_views_that_see_the_same_change_nothing():
    whole = small_predictor().predict(PHOTO, score=0)
    again = maskzoo.augment(small_predictor(), scales=[1.0]).predict(PHOTO, score=0)
    surest = again[: len(whole) // 2]
    for box, score in zip(surest.boxes, surest.scores, strict=True):
        assert np.abs(whole.boxes - box).max(axis=1).min() < 1e-3 and np.abs(whole.scores - score).min() < 1e-6


def test_what_one_view_alone_sees_is_doubtful():
    class Half(type(small_predictor())):
        """Sees objects in every second view."""

        def predict_prepared(self, photos):
            self.calls = getattr(self, "calls", 0) + 1
            found = super().predict_prepared(photos)
            return found if self.calls % 2 else [one[[]] for one in found]

    single = small_predictor()
    half = maskzoo.augment(Half(single.backend, single.config), flip=True)
    whole, doubtful = single.predict(PHOTO, score=0), half.predict(PHOTO, score=0)
    np.testing.assert_allclose(doubtful.scores, whole.scores * 0.75, rtol=1e-6)


def test_no_more_objects_come_than_the_model_file_allows():
    total = small_predictor().config.limits.detections.total
    assert 0 < len(maskzoo.augment(small_predictor(), flip=True, scales=[0.5, 2]).predict(PHOTO, score=0)) <= total


def test_a_batch_and_tiles_are_augmented_too():
    predictor = maskzoo.augment(small_predictor(), flip=True, scales=[1.2])
    one, two = predictor.predict([PHOTO, PHOTO], score=0, batch_size=2)
    np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-4)
    assert len(predictor.predict(make_photo(90, 150), tile=64, score=0.2)) > 0
    assert predictor.describe_views() == "flip, scale 1.2"


def test_a_photo_without_objects_stays_without():
    predictor = maskzoo.augment(small_predictor(FPN, "limits.detections.score=1.0"), flip=True)
    assert len(predictor.predict(PHOTO, score=0)) == 0


def test_a_scale_that_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match="found 0"):
        maskzoo.augment(small_predictor(), scales=[0])
