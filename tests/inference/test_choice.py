"""Which objects a person gets, from Python as on the command line."""

import numpy as np
import pytest

from maskzoo.errors import ArgumentError
from networks import FPN, make_photo, small_config, small_predictor


@pytest.fixture(scope="module")
def predictor():
    return small_predictor(FPN, "limits.detections.score=0.0")


@pytest.fixture(scope="module")
def every(predictor):
    found = predictor.predict(make_photo(60, 90), score=0)
    assert len(found) > 3 and len(set(found.labels.tolist())) > 1
    return found


def test_the_best_objects_come_first_and_those_below_the_score_not_at_all(predictor, every):
    assert (np.diff(every.scores) <= 0).all()
    least = float(every.scores[2])
    some = predictor.predict(make_photo(60, 90), score=least)
    assert some.scores.tolist() == every.scores[every.scores >= least].tolist()
    assert some.masks.rle() == every.masks.rle()[: len(some)]
    assert (predictor.predict(make_photo(60, 90)).scores >= 0.5).all()
    ((_, each),) = predictor.predict_each([make_photo(60, 90)], score=least)
    assert each.boxes.tolist() == some.boxes.tolist()


def test_only_the_named_classes_are_given_whatever_their_case(predictor, every):
    name = every.names[-1]
    expected = every.scores[np.array(every.names) == name].tolist()
    for classes in ([name], name, f" {name.upper()}", (name,)):
        found = predictor.predict(make_photo(60, 90), score=0, classes=classes)
        assert set(found.names) == {name} and found.scores.tolist() == expected
    assert len(predictor.predict(make_photo(60, 90), score=0, classes=[])) == 0
    both = predictor.predict(make_photo(60, 90), score=0, classes=",".join(set(every.names)))
    assert len(both) == len(every)


def test_numbers_of_classes_are_refused_with_their_names(predictor):
    with pytest.raises(ArgumentError, match=r"classes .*found 3; expected names of person, car"):
        predictor.predict(make_photo(60, 90), classes=[3])


@pytest.mark.parametrize("wrong", [{"classes": ["persn"]}, {"classes": "dog,persn"}])
def test_a_class_that_the_model_does_not_have_is_refused_with_the_nearest(predictor, wrong):
    assert "person" in small_config().classes.values()
    with pytest.raises(ArgumentError, match=r"no class 'persn'; did you mean .*person"):
        predictor.predict(make_photo(60, 90), **wrong)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_out_of_range_is_refused(predictor, score):
    with pytest.raises(ArgumentError, match="expected 0 to 1"):
        predictor.predict(make_photo(60, 90), score=score)
