"""Lines as SVG: round ticks, points where they belong, gaps, and text that cannot break out."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from maskzoo.html.plots import Axis, Line, Mark, find_ticks, format_number, plot_lines, smooth, thin_out


def read(svg):
    return ElementTree.fromstring(svg)


def texts(svg, style):
    return [node.text for node in read(svg).iter("text") if node.get("class") == style]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 9000, [0, 2000, 4000, 6000, 8000]),
        (0.3, 0.42, [0.3, 0.32, 0.34, 0.36, 0.38, 0.4, 0.42]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    np.testing.assert_allclose(find_ticks(low, high), expected, atol=1e-12)


@pytest.mark.parametrize("high", [1e-7, 0.013, 1, 7, 12345, 9.9e8])
def test_ticks_are_about_as_many_as_asked(high):
    ticks = find_ticks(0, high)
    assert 4 <= len(ticks) <= 9 and ticks[0] >= 0 and ticks[-1] <= high * (1 + 1e-9)


def test_numbers_are_written_as_a_person_does():
    assert [format_number(value) for value in (0, 0.25, 12000.0, 0.00005, 3)] == ["0", "0.25", "12,000", "5e-05", "3"]


def test_a_mean_keeps_a_constant_and_a_slope_and_dampens_noise():
    np.testing.assert_allclose(smooth(np.full(9, 2.0), 4), 2)
    slope = np.arange(50.0)
    np.testing.assert_allclose(smooth(slope, 10)[5:45], slope[5:45])
    noise = np.random.default_rng(0).normal(size=1000)
    assert smooth(noise, 100).std() < 0.2 and smooth(np.zeros(0), 3).size == 0


def test_a_long_line_is_thinned_out_to_means():
    x, y = thin_out(np.arange(10_000.0), np.tile([0.0, 1.0], 5000), 100)
    assert len(x) == 100 and (y == 0.5).all() and (np.diff(x) > 0).all()
    x = np.arange(3.0)
    assert thin_out(x, x) == (x, x)


def test_points_stand_where_the_axes_say():
    line = Line("a", np.array([0.0, 5.0, 10.0]), np.array([0.0, 1.0, 0.5]))
    svg = plot_lines([line], Axis("steps", 0, 10), Axis("AP", 0, 1, percent=True), title="t", width=400, height=200)
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in read(svg).iter("circle")]
    assert dots[1][0] == pytest.approx((dots[0][0] + dots[2][0]) / 2, abs=0.1)
    assert dots[0][1] > dots[2][1] > dots[1][1]
    assert dots[2][1] == pytest.approx((dots[0][1] + dots[1][1]) / 2, abs=0.1)
    assert texts(svg, "label") == ["steps", "AP"]
    assert {"0", "100"} < set(texts(svg, "tick"))


def test_what_is_no_number_leaves_a_gap():
    y = np.array([1.0, 2.0, np.nan, 3.0, 1.0])
    svg = plot_lines([Line("a", np.arange(5.0), y)], Axis("x"), Axis("y"), title="t")
    assert re.sub("[^ML]", "", next(read(svg).iter("path")).get("d")) == "MLML"
    assert len(list(read(svg).iter("circle"))) == 4


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0], [np.nan], [-2.0, -2.0]])
def test_little_or_nothing_to_draw_is_drawn(values):
    svg = plot_lines([Line("a", np.arange(len(values), dtype=float), np.array(values))], Axis("x"), Axis("y"), title="t")
    assert "nan" not in svg and read(svg).tag == "svg"


def test_texts_are_escaped_and_said_to_a_screen_reader():
    svg = plot_lines(
        [Line("<b>&", np.arange(2.0), np.arange(2.0), "series-1 faint")],
        Axis("a<b"), Axis('"y"'), title='loss "x" <i>', marks=[Mark(1, "<best>")],
    )  # fmt: skip
    root = read(svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", 'loss "x" <i>')
    assert next(root.iter("title")).text == "<b>&" and texts(svg, "mark-text") == ["<best>"]
    assert not list(root.iter("circle"))  # a faint line has no dots
