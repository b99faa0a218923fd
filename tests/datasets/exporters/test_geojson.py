"""Objects of georeferenced pictures as GeoJSON: where they lie on the map, and how their rings run."""

import json

import numpy as np

from geotiffs import DEGREES, UTM, write_geotiff
from labelled_sets import make_masks, measure_iou, write_set
from maskzoo.datasets.importers.convert import convert_dataset
from maskzoo.datasets.polygons import Polygon, rasterize

PIXELS = np.zeros((40, 60, 3), np.uint8)


def write_tiles(folder, tiles):
    masks = make_masks()
    file = write_set(folder, {name: [(masks["ring"], 0, {}), (masks["parts"], 1, {"score": 0.5})] for name in tiles})
    for name, keys in tiles.items():
        if keys:
            write_geotiff(folder / name, PIXELS, keys=keys)
    return file


def measure_area(ring):
    x, y = np.array(ring).T
    return (x[:-1] @ y[1:] - y[:-1] @ x[1:]) / 2


def test_features_lie_where_the_tile_does_and_come_back_to_its_pixels(tmp_path):
    file = write_tiles(tmp_path / "set", {"a.tif": UTM})
    made = convert_dataset(file, tmp_path / "out", to="geojson")
    content = json.loads((tmp_path / "out/objects.geojson").read_text())
    assert content["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633" and made.lost == {}
    ring, parts = content["features"]
    assert ring["properties"] == {
        "class": "cat", "picture": "a.tif", "split": "train", "pixels": 215, "image_id": 7, "score": None,
    }  # fmt: skip
    assert parts["properties"]["score"] == 0.5 and len(parts["geometry"]["coordinates"]) == 3
    for feature, name in ((ring, "ring"), (parts, "parts")):
        mask, polygons = make_masks()[name] > 0, []
        for exterior, *holes in feature["geometry"]["coordinates"]:
            assert exterior[0] == exterior[-1] and measure_area(exterior) > 0 and all(measure_area(hole) < 0 for hole in holes)
            back = [(np.array(one[:-1]) - [400000, 5800000]) / [0.5, -0.5] for one in (exterior, *holes)]
            polygons.append(Polygon(back[0], tuple(back[1:])))
        assert measure_iou(rasterize(polygons, mask.shape), mask) >= 0.99
    assert len(ring["geometry"]["coordinates"][0]) == 3


def test_longitude_and_latitude_need_no_name_and_other_systems_have_files_of_their_own(tmp_path):
    convert_dataset(write_tiles(tmp_path / "one", {"a.tif": DEGREES}), tmp_path / "one.geojson", to="geojson")
    assert "crs" not in json.loads((tmp_path / "one.geojson").read_text())
    file = write_tiles(tmp_path / "set", {"a.tif": DEGREES, "b.tif": UTM, "c.png": ()})
    (tmp_path / "set/c.pgw").write_text("1\n0\n0\n-1\n0\n0\n")
    made = convert_dataset(file, tmp_path / "out.geojson", to="geojson")
    files = {path.name: json.loads(path.read_text()) for path in tmp_path.glob("out*.geojson")}
    assert sorted(files) == ["out-32633.geojson", "out-4326.geojson", "out-unknown.geojson"]
    assert all(len(content["features"]) == 2 for content in files.values()) and "crs" not in files["out-unknown.geojson"]
    assert any("no coordinate system" in note for note in made.notes)


def test_objects_of_pictures_without_a_place_are_counted(tmp_path):
    made = convert_dataset(write_tiles(tmp_path / "set", {"a.tif": UTM, "b.png": ()}), tmp_path / "out", to="geojson")
    assert made.lost["unplaced"] == 2 and any("1 picture, such as b.png" in note for note in made.notes)
    made = convert_dataset(write_tiles(tmp_path / "none", {"b.png": ()}), tmp_path / "none.geojson", to="geojson")
    assert json.loads((tmp_path / "none.geojson").read_text())["features"] == [] and made.lost["unplaced"] == 2
