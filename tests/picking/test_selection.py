"""The rule of picking, on numbers."""

import numpy as np
import pytest

from maskzoo.picking.selection import measure_doubt, select, to_directions


@pytest.mark.parametrize(
    ("scores", "doubt"),
    [([], 0), ([1.0], 0), ([0.5], 0.2), ([0.5] * 5, 1), ([0.5] * 9, 1), ([0.75, 0.25], 0.2), ([1, 1, 1, 1, 1, 0.5], 0.2)],
)
def test_doubt_is_the_mean_of_the_five_most_doubtful_objects(scores, doubt):
    found, most = measure_doubt(np.array(scores, np.float32))
    assert found == pytest.approx(doubt) and len(most) == min(len(scores), 5)


def test_the_most_doubtful_object_is_named_first():
    assert measure_doubt(np.float32([0.9, 0.45, 0.1, 0.6]))[1].tolist() == [1, 3, 0, 2]


def test_the_first_is_the_most_doubtful_and_copies_come_last():
    directions = to_directions(np.float32([[1, 0], [1, 0], [0, 1], [-1, 0]]))
    steps = select([0.9, 0.8, 0.3, 0.3], directions, 4)
    assert steps[0].place == 0 and steps[-1].place == 1
    assert steps[0].nearest is None and steps[-1].nearest == 0 and steps[-1].distance == pytest.approx(0, abs=1e-6)


def test_of_photos_equally_far_the_doubtful_comes_first_and_without_doubt_it_is_k_center():
    directions = np.eye(4, dtype=np.float32)
    assert [step.place for step in select([0.1, 0.9, 0.5, 0.3], directions, 4)] == [1, 2, 3, 0]
    angles = np.radians([0, 10, 90, 180])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert [step.place for step in select([0, 0, 0, 0], circle, 3)] == [0, 3, 2]


def test_no_more_than_there_are_and_no_more_than_wanted():
    assert len(select([0.5] * 3, np.eye(3, dtype=np.float32), 9)) == 3
    assert len(select([0.5] * 3, np.eye(3, dtype=np.float32), 2)) == 2
    assert not np.isnan(to_directions(np.ones((3, 4), np.float32))).any()
