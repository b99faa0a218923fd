from itertools import combinations
from math import dist

from maskzoo.drawing.colours import choose_ink, pick_color


def test_any_six_colours_in_a_row_are_told_apart():
    colors = [pick_color(index) for index in range(100)]
    assert all(0 <= part <= 255 for color in colors for part in color)
    for start in range(95):
        assert min(dist(a, b) for a, b in combinations(colors[start : start + 6], 2)) > 40


def test_ink_is_black_on_light_colours_and_white_on_dark_ones():
    assert choose_ink((255, 255, 255)) == choose_ink((255, 220, 0)) == (0, 0, 0)
    assert choose_ink((0, 0, 0)) == choose_ink((0, 0, 160)) == (255, 255, 255)
