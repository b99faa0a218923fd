"""Pictures lie on the map where the tags or the lines of their world file say."""

import numpy as np
import pytest

from geotiffs import DEGREES, UTM, write_geotiff
from maskzoo.images.georeference import read_georeference

PIXELS = np.zeros((20, 30, 3), np.uint8)
CORNERS = np.array([[0.0, 0], [30, 20]])


def test_the_first_pixels_corner_lies_at_the_tiepoint_and_y_goes_down(tmp_path):
    write_geotiff(tmp_path / "a.tif", PIXELS, keys=UTM)
    place = read_georeference(tmp_path / "a.tif")
    assert place.epsg == 32633 and place.to_map(CORNERS).tolist() == [[400000, 5800000], [400015, 5799990]]


def test_a_tiepoint_elsewhere_in_the_picture_counts_from_there(tmp_path):
    write_geotiff(tmp_path / "a.tif", PIXELS, tiepoint=(30, 20, 0, 7, 50, 0), scale=(0.1, 0.2, 0), keys=DEGREES)
    place = read_georeference(tmp_path / "a.tif")
    assert place.epsg == 4326 and np.allclose(place.to_map(CORNERS), [[4, 54], [7, 50]])


def test_where_pixels_are_points_the_tiepoint_is_the_first_ones_centre(tmp_path):
    write_geotiff(tmp_path / "a.tif", PIXELS, keys=((1024, 1), (1025, 2), (3072, 32633)))
    assert read_georeference(tmp_path / "a.tif").to_map(CORNERS[:1]).tolist() == [[399999.75, 5800000.25]]


def test_a_whole_transformation_turns_the_picture(tmp_path):
    matrix = (0.0, 2, 0, 100, 3, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 1)
    write_geotiff(tmp_path / "a.tif", PIXELS, scale=(), tiepoint=(), more=((34264, 12, matrix),))
    place = read_georeference(tmp_path / "a.tif")
    assert place.epsg is None and place.to_map(CORNERS).tolist() == [[100, 200], [140, 290]]


@pytest.mark.parametrize("name", ["a.jgw", "a.jpgw", "a.wld", "a.JGW"])
def test_a_world_file_says_where_the_first_pixels_centre_is(tmp_path, name):
    (tmp_path / name).write_text("0.5\n0\n0\n-0.5\n1000.25\n1999.75\n")
    place = read_georeference(tmp_path / "a.jpg")
    assert place.epsg is None and place.to_map(CORNERS).tolist() == [[1000, 2000], [1015, 1990]]


@pytest.mark.parametrize("text", ["", "1 2 3", "0.5\n0\n0\nx\n1\n1\n", "0\n0\n0\n0\n1\n1\n", "nan\n0\n0\n1\n1\n1\n"])
def test_a_world_file_without_sense_counts_as_none(tmp_path, text):
    (tmp_path / "a.jgw").write_text(text)
    assert read_georeference(tmp_path / "a.jpg") is None


def test_pictures_without_a_place_damaged_ones_and_turned_ones_have_none(tmp_path):
    write_geotiff(tmp_path / "plain.tif", PIXELS, scale=(), tiepoint=())
    write_geotiff(tmp_path / "points.tif", PIXELS, scale=(), keys=UTM)
    write_geotiff(tmp_path / "turned.tif", PIXELS, more=((274, 3, 6),))
    (tmp_path / "damaged.tif").write_bytes((tmp_path / "plain.tif").read_bytes()[:60])
    assert [read_georeference(tmp_path / f"{name}.tif") for name in ("plain", "points", "turned", "damaged")] == [None] * 4
