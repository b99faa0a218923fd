"""The same number for the same thing: moving, unsure for a while, hidden for a while, beside things of other classes."""

from dataclasses import replace

import numpy as np

from maskzoo.drawing.colours import pick_color
from maskzoo.inference.identities import IdentityTracker
from maskzoo.inference.prediction import make_prediction

CLASSES = {1: "cat", 2: "dog"}


def see(time, *objects):
    """Return the prediction of a frame: objects are left, top, score and label, and 40 pixels wide."""
    boxes = np.array([(x, y, x + 40, y + 40) for x, y, _, _ in objects], np.float32).reshape(-1, 4)
    found = make_prediction(
        boxes,
        np.array([score for *_, score, _ in objects], np.float32),
        np.array([label for *_, label in objects], np.int64),
        np.ones((len(objects), 4, 4), np.float32),
        size=(300, 500),
        scale=(1.0, 1.0),
        classes=CLASSES,
    )
    return replace(found, time=time)


def test_things_that_move_keep_their_numbers_in_the_order_in_which_they_were_first_seen():
    tracker = IdentityTracker(0.5, 0.04)
    for number in range(30):
        found = tracker.follow(see(number / 25, (10 + 8 * number, 20, 0.9, 0), (400 - 8 * number, 120, 0.8, 0)))
        assert found.identities.tolist() == [1, 2]


def test_classes_are_followed_apart_so_that_one_thing_before_another_keeps_its_number():
    tracker, seen = IdentityTracker(0.5, 0.04), set()
    for number in range(40):
        found = tracker.follow(see(number / 25, (10 + 8 * number, 20, 0.9, 0), (330 - 8 * number, 24, 0.8, 1)))
        assert found.names == ("cat", "dog")
        seen.add(tuple(found.identities.tolist()))
    assert seen == {(1, 2)}


def test_what_is_unsure_for_a_while_or_hidden_for_less_than_a_second_keeps_its_number_and_later_it_is_new():
    tracker = IdentityTracker(0.5, 0.04)
    at = lambda number, score: tracker.follow(see(number / 25, (10 + 2 * number, 20, score, 0))).identities.tolist()  # noqa: E731
    assert at(0, 0.3) == []  # an identity begins with the score that is asked for
    assert [at(number, 0.9) for number in range(1, 5)] == [[1]] * 4
    assert [at(number, 0.2) for number in range(5, 10)] == [[1]] * 5
    for number in range(10, 20):
        assert len(tracker.follow(see(number / 25))) == 0
    assert at(20, 0.9) == [1]
    for number in range(21, 60):
        tracker.follow(see(number / 25))
    assert at(60, 0.9) == [2]


def test_seconds_count_and_not_frames():
    slow = IdentityTracker(0.5, 2.0)
    assert [slow.follow(see(2.0 * number, (10, 20, 0.9, 0))).identities.tolist() for number in range(4)] == [[1]] * 4


def test_what_is_kept_of_gone_things_does_not_grow():
    tracker = IdentityTracker(0.5, 0.04)
    for number in range(40):
        found = tracker.follow(see(2.0 * number, (10 + 200 * (number % 2), 20, 0.9, 0)))
    assert found.identities.tolist()[0] >= 2 and len(tracker._numbers) <= 2


def test_some_of_the_objects_keep_their_numbers_and_they_stand_in_the_plain_values_and_on_the_picture():
    tracker = IdentityTracker(0.5, 0.04)
    found = tracker.follow(see(0.0, (10, 20, 0.9, 0), (200, 20, 0.8, 1), (300, 20, 0.7, 1)))
    assert found[[0, 2]].identities.tolist() == found.identities[[0, 2]].tolist()
    assert [row["identity"] for row in found.to_dict()["detections"]] == found.identities.tolist()
    photo = np.full((300, 500, 3), 128, np.uint8)
    for some in (found, found[found.identities == 2]):  # whatever else is on the picture
        at = some.identities.tolist().index(2)
        left, _, _, bottom = some.boxes[at].astype(int).tolist()
        assert tuple(np.asarray(some.draw(photo))[bottom - 1, left + 20]) == pick_color(2)
