"""What tiles see is one object where their masks agree, and only there."""

import numpy as np

from maskzoo.datasets.rle import encode_mask, read_placed
from maskzoo.inference.merging import Piece, group_pieces

HEIGHT, WIDTH = 60, 160
LEFT, RIGHT = (0, 0, 100, HEIGHT), (60, 0, WIDTH, HEIGHT)  # both see 60..100
VIEWS = [LEFT, RIGHT]


def make_piece(view, box, *, label=0, score=0.9, cut=None, holes=()):
    """A rectangle as a view sees it, without `holes`; cut where it reaches the view's inner border, unless said otherwise."""
    x1, y1, x2, y2 = box
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y1:y2, x1:x2] = True
    for a, b, c, d in holes:
        mask[b:d, a:c] = False
    runs = read_placed(encode_mask(mask).decode(), mask.shape, (0, 0), HEIGHT)
    at_border = x2 == LEFT[2] if view == 0 else x1 == RIGHT[0]
    return Piece(view, label, score, np.array(box, np.float32), runs, at_border if cut is None else cut)


def group(*pieces, views=VIEWS):
    return sorted(sorted(places) for places in group_pieces(pieces, views, HEIGHT))


def test_two_halves_of_an_object_are_one():
    assert group(make_piece(0, (20, 10, 100, 30)), make_piece(1, (60, 10, 150, 30))) == [[0, 1]]


def test_touching_objects_of_one_class_stay_apart_though_their_boxes_overlap():
    upper = [(20, 10, 100, 30), (60, 10, 150, 30)]
    lower = [(20, 30, 100, 50), (60, 30, 150, 50)]
    assert group(*(make_piece(view, box) for pair in (upper, lower) for view, box in enumerate(pair))) == [[0, 1], [2, 3]]
    ring = make_piece(0, (62, 5, 98, 55), holes=[(67, 10, 93, 50)])
    assert group(ring, make_piece(1, (67, 10, 93, 50))) == [[0], [1]]


def test_objects_of_two_classes_are_two():
    assert group(make_piece(0, (20, 10, 100, 30)), make_piece(1, (60, 10, 150, 30), label=1)) == [[0], [1]]


def test_a_sliver_at_the_border_joins_its_object_and_a_small_neighbour_does_not():
    whole = make_piece(0, (20, 10, 66, 30))
    sliver = make_piece(1, (60, 10, 70, 28), score=0.6)
    assert group(whole, sliver) == [[0, 1]]
    inside = make_piece(1, (61, 12, 65, 20), score=0.6, cut=False)
    assert group(whole, inside) == [[0], [1]]


def test_arms_of_one_object_join_by_way_of_the_view_that_sees_it_whole():
    body = make_piece(0, (20, 10, 100, 50), holes=[(60, 20, 100, 40)])
    arms = [make_piece(1, (60, 10, 130, 20)), make_piece(1, (60, 40, 130, 50))]
    assert group(body, *arms) == [[0, 1, 2]]


def test_two_of_one_view_that_overlap_are_not_joined():
    best, second = make_piece(0, (62, 10, 90, 30)), make_piece(0, (63, 10, 91, 30), score=0.7)
    seen = make_piece(1, (62, 10, 91, 30), score=0.8)
    assert group(best, second, seen) == [[0, 2], [1]]


def test_an_object_over_many_views_is_one_and_the_best_comes_first():
    views = [(x, 0, x + 40, HEIGHT) for x in range(0, 121, 30)]
    pieces = [make_piece(view, (box[0], 10, box[2], 40), score=0.5 + view / 10, cut=True) for view, box in enumerate(views)]
    groups = group_pieces([*pieces, make_piece(0, (0, 45, 20, 55), score=0.55)], views, HEIGHT)
    assert groups[0] == [4, 3, 2, 1, 0] and groups[1] == [5]


def test_nothing_gives_nothing():
    assert group_pieces([], VIEWS, HEIGHT) == []
