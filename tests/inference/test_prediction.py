import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as judge
from pycocotools.coco import COCO

from labelled_sets import measure_iou
from maskzoo.datasets.polygons import rasterize
from maskzoo.errors import ArgumentError, ConfigError, ImageError
from maskzoo.inference.prediction import Masks, Prediction, make_prediction

CLASSES = {1: "person", 3: "car", 90: "toothbrush"}


def make_some(count=5, size=(60, 90), **more) -> Prediction:
    random = np.random.default_rng(count)
    corners = np.sort(random.uniform(0, 1, (count, 2, 2)), axis=1) * [size[1], size[0]]
    boxes = np.concatenate([corners[:, 0], corners[:, 1] + 1], axis=1).astype(np.float32)
    return make_prediction(
        boxes * np.float32([1.5, 2, 1.5, 2]),
        random.uniform(0.1, 1, count).astype(np.float32),
        random.integers(0, 3, count),
        random.uniform(0, 1, (count, 14, 14)).astype(np.float32),
        size=size,
        scale=(2.0, 1.5),
        classes=CLASSES,
        **more,
    )


def test_boxes_are_divided_and_clipped_in_float32_and_empty_ones_dropped():
    scale = (0.6666667, 0.6671875)
    boxes = np.float32([[202.12813, -3, 208.6433, 44.589077], [342.5, 226.9, 342.5, 278.5], [328.1, 281.7, 430, 330]])
    labels = np.array([2, 1, 0])
    prediction = make_prediction(
        boxes, np.float32([0.9, 0.8, 0.7]), labels, np.ones((3, 28, 28), np.float32),
        size=(480, 640), scale=scale, classes=CLASSES,
    )  # fmt: skip
    across, down = np.float32(scale[1]), np.float32(scale[0])
    expected = np.float32(
        [
            [boxes[0, 0] / across, 0, boxes[0, 2] / across, boxes[0, 3] / down],
            [boxes[2, 0] / across, boxes[2, 1] / down, 640, 480],
        ]
    )
    assert np.array_equal(prediction.boxes, expected)
    assert prediction.boxes.dtype == prediction.scores.dtype == np.float32
    assert prediction.names == ("toothbrush", "person")
    assert prediction.category_ids.tolist() == [90, 1]
    assert prediction.labels.tolist() == [2, 0]
    assert prediction.scores.tolist() == np.float32([0.9, 0.7]).tolist()
    assert len(prediction.masks) == 2


def test_rows_are_cocos_to_the_last_bit():
    prediction = make_some()
    rows = prediction.to_coco(42)
    dense = prediction.masks.dense()
    assert len(rows) == len(prediction) == 5
    for i, row in enumerate(rows):
        x1, y1, x2, y2 = (float(side) for side in prediction.boxes[i])
        assert row["bbox"] == [x1, y1, x2 - x1, y2 - y1]
        assert row["score"] == float(prediction.scores[i])
        assert (row["image_id"], row["category_id"]) == (42, int(prediction.category_ids[i]))
        expected = judge.encode(np.asfortranarray(dense[i].astype(np.uint8)))
        assert row["segmentation"] == {"size": [60, 90], "counts": expected["counts"].decode()}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_cocos_own_reader_takes_the_rows():
    truth = COCO()
    truth.dataset = {
        "info": {}, "images": [{"id": 7, "height": 60, "width": 90}], "annotations": [],
        "categories": [{"id": key, "name": name} for key, name in CLASSES.items()],
    }  # fmt: skip
    truth.createIndex()
    prediction = make_some()
    results = truth.loadRes(json.loads(json.dumps(prediction.to_coco(7))))
    found = [results.annToMask(row) for row in results.loadAnns(results.getAnnIds(7))]
    assert np.array_equal(np.array(found, bool), prediction.masks.dense())


def test_nothing_found_gives_no_rows_or_the_published_placeholder():
    empty = make_prediction(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, 28, 28), np.float32),
        size=(427, 640), scale=(float(np.float32(320 / 427)), 0.75), classes=CLASSES,
    )  # fmt: skip
    assert empty.to_coco(161799) == []
    assert empty.to_coco(161799, placeholder=1) == [
        {
            "image_id": 161799,
            "category_id": 1,
            "bbox": [0.0, 0.0, 1.3333333730697632, 1.334375023841858],
            "score": 0.0,
            "segmentation": {"size": [427, 640], "counts": "PlZ8"},
        }
    ]
    assert empty.to_dict()["detections"] == []
    assert empty.masks.dense().shape == (0, 427, 640)
    assert empty.masks.area().tolist() == empty.masks.rle() == []
    assert repr(empty) == "Prediction(nothing found)"


def test_a_prediction_is_plain_json():
    prediction = make_some(source="street.jpg")
    data = json.loads(json.dumps(prediction.to_dict(), allow_nan=False))
    assert (data["source"], data["height"], data["width"]) == ("street.jpg", 60, 90)
    for i, found in enumerate(data["detections"]):
        assert found["box"] == prediction.boxes[i].tolist()
        assert found["name"] == CLASSES[found["category_id"]] == prediction.names[i]
        assert found["area"] == prediction.masks.dense()[i].sum()
        assert found["label"] == prediction.labels[i]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(1, 4), [1, 2, 3]),
        (np.array([True, False, False, True, False]), [0, 3]),
        ([False, True, False, False, False], [1]),
        (np.array([4, 0]), [4, 0]),
        ([2, 2], [2, 2]),
        (-1, [4]),
        ([], []),
        (np.zeros(5, bool), []),
    ],
)
@pytest.mark.parametrize("encoded", [True, False])
def test_an_index_takes_the_same_objects_from_every_field(index, expected, encoded):
    prediction = make_some()
    if encoded:
        prediction.masks.rle()
    rows = make_some().to_coco(1)
    some = prediction[index]
    assert some.to_coco(1) == [rows[i] for i in expected]
    assert np.array_equal(some.boxes, prediction.boxes[expected].reshape(-1, 4))
    assert some.names == tuple(prediction.names[i] for i in expected)
    assert some.labels.tolist() == prediction.labels[expected].tolist()
    assert np.array_equal(some.masks.dense(), prediction.masks.dense()[expected])


def test_an_index_beyond_the_end_is_refused():
    with pytest.raises(IndexError):
        make_some()[5]


def test_crop_area_and_dense_agree():
    masks = make_some(12).masks
    dense = masks.dense()
    assert dense.any(axis=(1, 2)).all()
    assert masks.area().tolist() == dense.sum(axis=(1, 2)).tolist()
    for i in range(12):
        crop, (x, y) = masks.crop(i)
        assert np.array_equal(dense[i, y : y + crop.shape[0], x : x + crop.shape[1]], crop)
        assert crop.sum() == dense[i].sum()


def test_what_a_caller_does_to_run_lengths_stays_with_the_caller():
    masks = make_some().masks
    first = masks.rle()
    first[0]["size"].append("x")
    first[1]["counts"] = "broken"
    assert masks.rle() == make_some().masks.rle()


@pytest.mark.parametrize("threshold", [0, -0.5, 1.5, float("nan")])
def test_a_mask_threshold_that_means_nothing_is_refused_with_the_key_to_set(threshold):
    with pytest.raises(ConfigError, match=r"expected above 0 and at most 1.*mask_threshold"):
        Masks(np.zeros((0, 28, 28), np.float32), np.zeros((0, 4), np.float32), (5, 5), threshold)


def test_drawing_takes_the_given_photo_or_the_kept_one_or_the_file(tmp_path):
    photo = np.full((60, 90, 3), 90, np.uint8)
    Image.fromarray(photo).save(tmp_path / "a.png")
    kept = make_some(image=photo).draw()
    assert kept.size == (90, 60)
    assert make_some().draw(photo).tobytes() == kept.tobytes()
    assert make_some(source=str(tmp_path / "a.png")).draw().tobytes() == kept.tobytes()


def test_a_notebook_shows_a_bounded_picture_or_the_text_where_the_photo_is_gone(tmp_path):
    large = make_some(3, size=(1500, 2400), image=np.full((1500, 2400, 3), 90, np.uint8))
    picture = Image.open(io.BytesIO(large._repr_png_()))
    assert (picture.format, picture.size) == ("PNG", (1024, 640))
    assert len(np.unique(np.asarray(picture))) > 1  # objects are drawn
    Image.new("RGB", (90, 60)).save(tmp_path / "photo.png")
    filed = make_some(source=str(tmp_path / "photo.png"))
    assert Image.open(io.BytesIO(filed._repr_png_())).size == (90, 60)
    (tmp_path / "photo.png").unlink()
    assert filed._repr_png_() is None and make_some()._repr_png_() is None and "Prediction(" in repr(filed)


def test_drawing_without_a_photo_or_on_another_one_is_refused():
    with pytest.raises(ImageError, match=r"pass the photo"):
        make_some().draw()
    with pytest.raises(ImageError, match=r"b\.jpg.*\[60, 91, 3\].*\[60, 90, 3\]"):
        make_some(source="b.jpg").draw(np.zeros((60, 91, 3), np.uint8))
    with pytest.raises(ImageError, match=r"float32"):
        make_some().draw(np.zeros((60, 90, 3), np.float32))


MEASURE = """
import resource, numpy as np
from maskzoo.inference.prediction import make_prediction
def predict(size):
    random = np.random.default_rng(0)
    low = random.uniform(0, 0.4, (100, 2)); high = low + random.uniform(0.1, 0.55, (100, 2))
    boxes = (np.concatenate([low, high], 1) * np.tile(size[::-1], 2)).astype(np.float32)
    cells = (np.mgrid[:28, :28] - 13.5) ** 2
    maps = np.repeat((cells.sum(0) < 150).astype(np.float32)[None], 100, 0)
    return make_prediction(boxes, np.ones(100, np.float32), np.zeros(100, int), maps, size=size,
                           scale=(1.0, 1.0), classes={1: "person"})
predict((30, 40)).masks.rle()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = predict((3000, 4000)).masks.rle()
assert len(rows) == 100 and all(len(row["counts"]) > 100 for row in rows)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_a_hundred_masks_on_a_large_photo_are_encoded_in_little_memory():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150_000, "kilobytes; the dense masks would be 1,200,000"


def test_detections_come_by_falling_score_where_the_model_file_says_so():
    plain, ordered = make_some(7), make_some(7, order="score")
    order = np.argsort(-plain.scores, kind="stable")
    assert (np.diff(plain.scores) > 0).any() and (np.diff(ordered.scores) <= 0).all()
    assert ordered.to_coco(1) == plain[order].to_coco(1)


def test_masks_that_are_stretched_to_whole_pixels_leave_the_boxes_alone():
    plain, stretched = make_some(7), make_some(7, paste="whole_pixels")
    assert np.array_equal(plain.boxes, stretched.boxes) and not np.array_equal(plain.masks.boxes, stretched.masks.boxes)
    areas = plain.masks.area(), stretched.masks.area()
    assert (areas[0] != areas[1]).any() and np.abs(areas[0] - areas[1]).max() <= 0.3 * areas[0].max()


@pytest.mark.parametrize("tolerance", [0, 0.5, 1.0])
def test_polygons_have_the_masks_of_their_objects(tolerance):
    prediction = make_some(12)
    outlines, masks = prediction.to_polygons(tolerance), prediction.masks.dense()
    assert len(outlines) == len(prediction) and any(part.holes for parts in outlines for part in parts)
    for parts, mask in zip(outlines, masks, strict=True):
        assert measure_iou(rasterize(parts, prediction.size), mask) >= (0.99 if mask.any() else 0)
    if tolerance == 0:
        assert all(np.array_equal(rasterize(parts, prediction.size), mask) for parts, mask in zip(outlines, masks, strict=True))


def test_a_tolerance_below_zero_is_refused():
    with pytest.raises(ArgumentError, match="tolerance: found -1; expected pixels, from 0 on"):
        make_some().to_polygons(-1)
