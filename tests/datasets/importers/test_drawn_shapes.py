"""What tools draw becomes points: turned as one sees it, round enough, and refused in words."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.importers.drawn_shapes import (
    cut_holes,
    draw_ellipse,
    draw_mask,
    draw_rectangle,
    read_base64,
    read_numbers,
    read_points,
)
from maskzoo.datasets.rle import rasterize_polygons


def area(flat):
    x, y = flat.reshape(-1, 2).T
    return abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def test_a_rectangle_turns_clockwise_about_its_first_corner():
    assert draw_rectangle(10, 20, 30, 5).tolist() == [10, 20, 40, 20, 40, 25, 10, 25]
    assert draw_rectangle(10, 20, 30, 5, 90) == pytest.approx([10, 20, 10, 50, 5, 50, 5, 20])


def test_an_ellipse_has_its_radii_its_area_and_turns_clockwise():
    flat = draw_ellipse(50, 40, 30, 10)
    x, y = flat.reshape(-1, 2).T
    assert (x.min(), x.max()) == pytest.approx((20, 80), abs=0.3) and (y.min(), y.max()) == pytest.approx((30, 50), abs=0.3)
    assert area(flat) == pytest.approx(np.pi * 300, rel=0.02)
    turned = draw_ellipse(50, 40, 30, 10, 90).reshape(-1, 2)
    assert turned[0] == pytest.approx([50, 70]) and np.ptp(turned[:, 1]) == pytest.approx(60, abs=0.3)


@pytest.mark.parametrize(
    ("radii", "said"), [((0, 0), "radius 0"), ((5, 1e9), "radii 5 and 1e"), ((float("nan"), 3), "radii nan")]
)
def test_an_ellipse_that_is_none_is_refused(radii, said):
    with pytest.raises(ValueError, match=said):
        draw_ellipse(5, 5, *radii)


def test_points_and_numbers_have_to_be_finite():
    assert read_points([[1, 2], [3.5, 4]]).tolist() == [[1, 2], [3.5, 4]]
    assert read_numbers({"x": 1, "y": 2.5}, "y", "x") == [2.5, 1]
    for bad in (None, [[1]], [[1, True]], [[1, float("inf")]], [["1", 2]], [[1, 10**400]], [(1, 2)]):
        with pytest.raises(ValueError, match="list of finite"):
            read_points(bad)
    for row in (None, {}, {"x": "1"}, {"x": float("nan")}):
        with pytest.raises(ValueError, match="expected finite numbers"):
            read_numbers(row, "x")


def test_a_mask_is_a_picture_in_text_at_its_place():
    stream = io.BytesIO()
    Image.fromarray(np.uint8([[0, 255], [255, 255]])).save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    for written in (text, f"data:image/png;base64,{text}"):
        (flat,) = draw_mask(written, np.array([10.0, 20]), (40, 60))
        assert area(flat) == 3 and flat.reshape(-1, 2).min(axis=0).tolist() == [10, 20]
    assert read_base64(text) == stream.getvalue()
    with pytest.raises(ValueError, match="mask cannot be read"):
        draw_mask(text, np.zeros(2), (1, 1))
    for bad in (None, "no base64!", "data:image/png"):
        with pytest.raises(ValueError, match="base64 text"):
            read_base64(bad)


def test_an_empty_mask_is_called_so():
    stream = io.BytesIO()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(stream, "PNG")
    with pytest.raises(ValueError, match="its mask is empty"):
        draw_mask(base64.b64encode(stream.getvalue()).decode(), np.zeros(2), (9, 9))


def test_holes_are_cut_out_whichever_way_they_are_walked():
    outline = np.array([[0, 0], [20, 0], [20, 20], [0, 20]], np.float64)
    holes = [np.array([[4, 4], [8, 4], [8, 8], [4, 8]], np.float64), np.array([[12, 12], [16, 16], [12, 16]], np.float64)]
    expected = np.zeros((20, 20), np.uint8) + 1
    for hole in holes:
        expected &= 1 - rasterize_polygons([hole.ravel()], (20, 20))
    for turned in (holes, [hole[::-1] for hole in holes], holes[::-1]):
        assert (rasterize_polygons([cut_holes(outline, turned)], (20, 20)) == expected).all()
    assert cut_holes(outline, []).tolist() == outline.ravel().tolist()
    assert cut_holes(outline, [holes[0] + 30]).tolist() == outline.ravel().tolist()  # it takes nothing away
    with pytest.raises(ValueError, match="a hole of 2 points"):
        cut_holes(outline, [holes[0][:2]])
