import itertools

import numpy as np
import pytest
from PIL import Image

from maskzoo.drawing.colours import pick_color
from maskzoo.drawing.objects import draw_objects
from maskzoo.errors import ConfigError
from maskzoo.inference.prediction import make_prediction


def predict(boxes, size, *, names=None, maps=None, scores=None):
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    count = len(boxes)
    names = names or ["person"] * max(count, 1)
    return make_prediction(
        boxes,
        np.linspace(0.9, 0.5, count, dtype=np.float32) if scores is None else np.float32(scores),
        np.arange(count),
        np.ones((count, 28, 28), np.float32) if maps is None else maps,
        size=size,
        scale=(1.0, 1.0),
        classes=dict(enumerate(names)),
    )


def gray(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def changed(picture, photo):
    return (np.asarray(picture) != photo).any(axis=2)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (150, 200), (480, 640), (3000, 4000)])
def test_a_picture_has_the_size_of_the_photo_and_the_photo_is_not_touched(size):
    photo = gray(*size)
    picture = draw_objects(photo, predict([[0, 0, size[1], size[0]], [0, 0, 0.6, 0.6]], size))
    assert picture.mode == "RGB"
    assert picture.size == (size[1], size[0])
    assert (photo == 128).all()
    assert changed(picture, photo).any()


def test_nothing_found_leaves_the_photo_as_it_is():
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(draw_objects(photo, predict([], (40, 50)))), photo)


def test_a_mask_is_light_inside_full_along_its_edge_and_nothing_beyond_it():
    photo = gray(300, 400)
    prediction = predict([[100, 80, 300, 220]], (300, 400))
    picture = np.asarray(draw_objects(photo, prediction, boxes=False, labels=False, alpha=0.4, width=3))
    mask = prediction.masks.dense()[0]
    assert np.array_equal(changed(picture, photo), mask)
    color = np.array(pick_color(0))
    assert np.array_equal(picture[150, 100], color)
    assert np.array_equal(picture[150, 102], color)
    assert np.abs(picture[150, 200] - (0.6 * 128 + 0.4 * color)).max() <= 1
    assert np.abs(picture[150, 103] - (0.6 * 128 + 0.4 * color)).max() <= 1


def test_each_part_of_a_picture_can_be_left_out():
    photo, prediction = gray(300, 400), predict([[100, 80, 300, 220]], (300, 400))
    off = {"masks": False, "boxes": False, "labels": False}
    assert not changed(draw_objects(photo, prediction, **off), photo).any()
    box = changed(draw_objects(photo, prediction, **{**off, "boxes": True}), photo)
    assert box[80, 100:300].all()
    assert box[80:220, 299].all()
    assert not box[90:210, 110:290].any()
    label = changed(draw_objects(photo, prediction, **{**off, "labels": True}), photo)
    assert label[:80].any()
    assert not label[80:].any(), "there is room above the box"


def test_without_scores_labels_are_names_alone():
    photo = gray(200, 300)
    pictures = [
        np.asarray(draw_objects(photo, predict([[60, 60, 200, 160]], (200, 300), scores=[score]), scores=False))
        for score in (0.9, 0.5)
    ]
    assert np.array_equal(*pictures)
    labelled = draw_objects(photo, predict([[60, 60, 200, 160]], (200, 300), scores=[0.9]))
    assert changed(pictures[0], photo).sum() < changed(labelled, photo).sum()


def test_small_objects_lie_above_large_ones_in_whatever_order_they_come():
    photo = gray(200, 200)
    small, large = [80, 80, 120, 120], [0, 0, 200, 200]
    for order in ([small, large], [large, small]):
        prediction = predict(order, (200, 200))
        picture = draw_objects(photo, prediction, boxes=False, labels=False, alpha=1)
        assert picture.getpixel((100, 100)) == pick_color(order.index(small))


def test_objects_of_a_pixel_and_at_every_border_are_drawn():
    size = (100, 120)
    boxes = [[0, 0, 1, 1], [119, 99, 120, 100], [119, 0, 120, 1], [50, 50, 51, 51], [0, 99, 120, 100]]
    boxes += [[60.2, 3, 60.4, 9], [119.6, 50, 120, 51], [50, 99.7, 51, 100]]
    photo = gray(*size)
    for box in boxes:
        marks = changed(draw_objects(photo, predict([box], size), labels=False), photo)
        assert marks[int(box[1]), int(box[0])]


def read_labels(prediction, size):
    """The rectangles of the labels, by their colours, on a photo of another colour."""
    picture = np.asarray(draw_objects(gray(*size), prediction, masks=False, boxes=False))
    rectangles = []
    for i in range(len(prediction)):
        rows, columns = (picture == pick_color(i)).all(axis=2).nonzero()
        assert len(rows), f"label {i} is hidden"
        rectangles.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return rectangles


def test_labels_do_not_cover_each_other_where_there_is_room():
    size = (480, 640)
    corners = [(200, 200), (205, 200), (200, 205), (210, 210), (0, 0), (600, 0), (600, 440), (0, 440), (3, 437)]
    boxes = [[x, y, x + 40, y + 40] for x, y in corners]
    rectangles = read_labels(predict(boxes, size, scores=[0.5] * len(boxes)), size)
    assert len({(x2 - x1, y2 - y1) for x1, y1, x2, y2 in rectangles}) == 1, "a label lies partly below another"
    for one, other in itertools.combinations(rectangles, 2):
        across = min(one[2], other[2]) - max(one[0], other[0])
        down = min(one[3], other[3]) - max(one[1], other[1])
        assert across <= 0 or down <= 0, (one, other)


@pytest.mark.parametrize("size", [(150, 200), (480, 640), (1200, 1600)])
def test_labels_are_whole_and_inside_the_photo_wherever_the_object_is(size):
    height, width = size
    middle = read_labels(predict([[width / 2, height / 2, width / 2 + 9, height / 2 + 9]], size), size)[0]
    for x, y in itertools.product((0, width - 9), (0, height - 9)):
        x1, y1, x2, y2 = read_labels(predict([[x, y, x + 9, y + 9]], size), size)[0]
        assert (x2 - x1, y2 - y1) == (middle[2] - middle[0], middle[3] - middle[1])


def test_letters_grow_with_the_photo():
    heights = []
    for scale in (1, 4):
        size = (480 * scale, 640 * scale)
        box = np.array([100, 100, 400, 300]) * scale
        _, y1, _, y2 = read_labels(predict([box], size), size)[0]
        heights.append(y2 - y1)
    assert 3.5 < heights[1] / heights[0] < 4.5


@pytest.mark.parametrize("name", ["größe", "自行車", "\u0645\u0631\u062d", "🚲", "two\nlines\ttab", "", "x" * 300])
def test_any_name_can_be_written(name):
    photo = gray(120, 160)
    assert changed(draw_objects(photo, predict([[20, 40, 90, 100]], (120, 160), names=[name])), photo).any()


def test_a_hundred_objects_keep_their_labels_in_sight():
    random = np.random.default_rng(1)
    size = (960, 1280)
    low = random.uniform(0, 0.85, (100, 2)) * [size[1], size[0]]
    boxes = np.concatenate([low, low + random.uniform(20, 120, (100, 2))], axis=1)
    assert len(read_labels(predict(boxes, size), size)) == 100


def test_colors_are_distinct_and_the_same_every_time():
    colors = [pick_color(i) for i in range(100)]
    assert colors == [pick_color(i) for i in range(100)]
    assert len(set(colors)) == 100
    for i in range(97):
        for one, other in itertools.combinations(colors[i : i + 4], 2):
            assert np.abs(np.subtract(one, other)).sum() > 60, (i, one, other)


def test_a_picture_is_the_same_every_time():
    photo, prediction = gray(100, 150), predict([[10, 10, 90, 90], [40, 30, 140, 70]], (100, 150))
    assert draw_objects(photo, prediction).tobytes() == draw_objects(photo, prediction).tobytes()


@pytest.mark.parametrize("setting", [{"alpha": 1.5}, {"alpha": -0.1}, {"width": 0}, {"font_size": 0}])
def test_a_setting_out_of_range_is_refused_by_name(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        draw_objects(gray(9, 9), predict([[1, 1, 5, 5]], (9, 9)), **setting)


def test_a_picture_can_be_saved(tmp_path):
    draw_objects(gray(60, 80), predict([[10, 10, 50, 50]], (60, 80))).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as picture:
        assert picture.size == (80, 60)


def test_a_crowd_is_striped_in_grey_and_lies_below_the_others():
    photo = gray(200, 200)
    prediction = predict([[0, 0, 200, 200], [60, 60, 140, 140]], (200, 200))
    for crowd in ([True, False], [False, True]):
        picture = draw_objects(photo, prediction, boxes=False, labels=False, alpha=1, width=2, crowd=np.array(crowd))
        whole = picture.getpixel((100, 100)) == pick_color(crowd.index(False))
        assert whole, "the object covers the crowd, though it may be the larger one"
    striped = draw_objects(photo, predict([[0, 0, 200, 200]], (200, 200)), boxes=False, labels=False, crowd=np.array([True]))
    inside = np.asarray(striped)[50:150, 50:150]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) == 2 and np.ptp(inside.astype(int), axis=2).max() <= 7


def test_colors_can_be_given():
    picture = draw_objects(gray(90, 90), predict([[0, 0, 90, 90]], (90, 90)), labels=False, alpha=1, colors=[(1, 2, 3)])
    assert picture.getpixel((45, 45)) == (1, 2, 3)


def test_sparse_labels_never_hide_another_and_small_objects_get_none():
    size, same = (300, 300), [100, 100, 200, 200]
    photo, options = gray(*size), {"masks": False, "boxes": False, "font_size": 20, "sparse": True}
    few, many = (draw_objects(photo, predict([same] * count, size), **options) for count in (3, 60))
    assert changed(few, photo).any()
    found = [(np.asarray(many) == pick_color(i)).all(axis=2).sum() for i in range(60)]
    whole = [count for count in found if count]
    assert 0 < len(whole) < 60 and min(whole) > 0.9 * max(whole), "a label lies partly below another"
    assert not changed(draw_objects(photo, predict([[100, 100, 125, 200]], size), **options), photo).any()
