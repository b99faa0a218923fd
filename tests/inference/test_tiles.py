"""Large images predicted by tiles: every object once, with the mask that it has as a whole."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskzoo
from maskzoo.config import Input
from maskzoo.errors import ArgumentError, SourceError
from maskzoo.inference.tiles import TiledPrediction, Tiling
from networks import make_photo, small_config, small_predictor
from oracle import Oracle, Scene

INPUT = small_config().input


@pytest.fixture(scope="module")
def scene():
    return Scene((900, 1200), 160)


@pytest.mark.parametrize(("tile", "overlap"), [(160, 0.2), (160, 0.5), (250, 0.1)])
def test_each_object_is_found_once_with_its_whole_mask(scene, tile, overlap):
    found = Oracle().predict(scene.pixels, tile=tile, overlap=overlap)
    best, surplus = scene.match(found)
    assert len(best) > 40 and best.min() == 1 and surplus == 0
    untiled = Oracle().predict(scene.pixels)
    order, whole = np.lexsort(found.boxes.T), np.lexsort(untiled.boxes.T)
    np.testing.assert_array_equal(found.boxes[order], untiled.boxes[whole])
    assert [found.names[i] for i in order] == [untiled.names[i] for i in whole]


def test_tiles_without_overlap_leave_what_they_cut_in_pieces(scene):
    _, surplus = scene.match(Oracle().predict(scene.pixels, tile=150, overlap=0))
    assert surplus > 0


def test_one_tile_gives_what_the_image_as_a_whole_gives():
    photo = make_photo(90, 120)
    whole = small_predictor().predict(photo, score=0.2)
    tiled = small_predictor().predict(photo, score=0.2, tile=200)
    assert isinstance(tiled, TiledPrediction)
    assert [row | {"box": None} for row in tiled.to_dict()["detections"]] == [
        row | {"box": None} for row in whole.to_dict()["detections"]
    ]
    np.testing.assert_array_equal(tiled.boxes, whole.boxes)
    assert tiled.scale == whole.scale


def test_tiles_are_evenly_spread_and_share_what_was_asked():
    tiles = Tiling(100, 0.2).lay_out((250, 640), INPUT)
    lefts, tops = sorted({tile[0] for tile in tiles}), sorted({tile[1] for tile in tiles})
    assert lefts[0] == tops[0] == 0 and max(tile[2] for tile in tiles) == 640 and max(tile[3] for tile in tiles) == 250
    assert max(np.diff(lefts)) <= 80 and max(np.diff(tops)) <= 80
    assert all(tile[2] - tile[0] == tile[3] - tile[1] == 100 for tile in tiles)


def test_auto_takes_the_inputs_height_and_leaves_an_image_whole_that_the_network_sees_well():
    settings = Input(short_side=800, long_side=1333, mean=(0, 0, 0), std=(1, 1, 1), canvas_multiple=32)
    assert Tiling("auto").lay_out((1500, 2000), settings) == [(0, 0, 2000, 1500)]
    tiles = Tiling("auto").lay_out((3000, 4000), settings)
    assert len(tiles) > 1 and all(tile[2] - tile[0] == 800 for tile in tiles)


def test_a_thin_image_is_tiled_along_its_long_side_only():
    assert Tiling(64).lay_out((10, 200), INPUT)[0] == (0, 0, 64, 10)


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0.2), (31, 0.2), ("half", 0.2), (64, -0.1), (64, 0.9)])
def test_a_tiling_that_cannot_be_is_refused(tile, overlap):
    with pytest.raises(ArgumentError, match="found"):
        Oracle().predict(np.zeros((64, 64, 3), np.uint8), tile=tile, overlap=overlap)


def test_a_list_of_images_gives_a_list_and_chosen_classes_hold_for_tiles_too(scene):
    first, second = Oracle().predict([scene.pixels, scene.pixels[:200, :200]], tile=160, classes="person")
    assert set(first.names) == set(second.names) == {"person"} and len(first) > len(second)
    assert isinstance(first[:2], TiledPrediction) and len(first[:2].masks) == 2


def test_masks_stay_run_lengths_and_the_picture_is_limited(scene, tmp_path):
    path = tmp_path / "large.png"
    Image.fromarray(scene.pixels).save(path)
    found = Oracle().predict(path, tile=160)
    assert found.image is None and found.source == str(path)
    assert found.draw().size == (1200, 900)
    small = found.shrink(400)
    assert small.size == (300, 400) and small.draw().size == (400, 300)
    largest = int(found.masks.area().argmax())
    assert small.masks.area()[largest] == pytest.approx(found.masks.area()[largest] / 9, rel=0.02)
    np.testing.assert_allclose(small.boxes, found.boxes / 3)


def test_a_stopped_call_goes_on_within_an_image_and_ends_with_the_same_files(scene, tmp_path):
    Image.fromarray(scene.pixels).save(tmp_path / "large.png")
    notes = []

    def predict(oracle, out, stop_at=None):
        def watch(event):
            notes.append(event.note)
            if event.unit == "tiles" and event.done == stop_at:
                raise KeyboardInterrupt

        return maskzoo.predict_folder(oracle, tmp_path / "large.png", tmp_path / out, tile=160, on_progress=watch)

    whole = predict(first := Oracle(), "whole")
    assert whole.objects == len(scene.truth)
    with pytest.raises(KeyboardInterrupt):
        predict(Oracle(), "stopped", stop_at=20)
    (journal,) = (tmp_path / "stopped" / ".predict.tiles-0").iterdir()
    with journal.open("ab") as stream:
        stream.write(b'{"n": 21, "torn')
    predict(second := Oracle(), "stopped")
    assert second.seen == first.seen - 20 and f"Going on after 20 of {first.seen} tiles" in notes
    files = {path.name: path.read_bytes() for path in (tmp_path / "stopped").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert set(files) == {"predictions.json", "images.json", "large.jpg"}
    with pytest.raises(KeyboardInterrupt):
        predict(Oracle(), "stopped", stop_at=3)
    with pytest.raises(SourceError, match="unfinished run"):
        maskzoo.predict_folder(Oracle(), tmp_path / "large.png", tmp_path / "stopped", tile=200)


@pytest.mark.slow
def test_a_mosaic_of_108_megapixels_is_found_whole_in_less_than_2_gb(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    scene = Scene((9_000, 12_000), 1024)
    form = {"tile": (512, 512), "compression": "zlib", "bigtiff": True, "photometric": "rgb"}
    tifffile.imwrite(tmp_path / "mosaic.tif", scene.pixels, **form)
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from oracle import Oracle; import json\n"
        "from maskzoo.system.machine import read_peak_memory\n"
        "from maskzoo.inference.folder_run import predict_folder\n"
        "found = Oracle().predict(sys.argv[1], tile=1024)\n"
        "json.dump([found.to_dict(), read_peak_memory()], sys.stdout)"
    )
    tests = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "mosaic.tif"), tests], capture_output=True, text=True, check=True
    )
    found, peak = json.loads(done.stdout)
    print(f"{len(scene.truth)} objects, {peak / 1e9:.2f} GB")
    assert len(found["detections"]) == len(scene.truth) and peak < 2e9
