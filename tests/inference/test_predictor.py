import copy
import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo.errors import ArgumentError, ImageError
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from networks import C4, EDGE_SIZES, FPN, VD, make_photo, small_config, small_network, small_predictor


def assert_same(first, second):
    assert len(first) == len(second)
    assert first.labels.tolist() == second.labels.tolist()
    assert np.abs(first.scores - second.scores).max(initial=0) <= 1e-5
    assert np.abs(first.boxes - second.boxes).max(initial=0) <= 1e-2
    assert np.abs(first.masks.area() - second.masks.area()).max(initial=0) <= 2


@pytest.fixture
def png(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(make_photo(60, 90)).save(path)
    return path


def test_every_kind_of_source_gives_the_same_prediction(png):
    predictor = small_predictor()
    first = predictor.predict(png, score=0)
    assert len(first) > 0
    with Image.open(io.BytesIO(png.read_bytes())) as image:
        for source in (str(png), png.read_bytes(), image, make_photo(60, 90)):
            assert_same(predictor.predict(source, score=0), first)


def test_a_prediction_from_a_file_holds_no_photo_and_draws_it_all_the_same(png):
    prediction = small_predictor().predict(png, score=0)
    assert prediction.image is None and prediction.source == str(png)
    assert prediction.draw().size == (90, 60)


@pytest.mark.parametrize("row", [FPN, C4, VD])
def test_the_batch_size_never_changes_a_result_nor_the_order(row):
    predictor = small_predictor(row)
    photos = [make_photo(60, 90, seed) for seed in range(3)] + [make_photo(90, 60, 4), make_photo(61, 90, 5)]
    alone = [predictor.predict(photo, score=0) for photo in photos]
    assert sum(map(len, alone)) > 0
    for batch_size in (3, 8):
        together = predictor.predict(photos, batch_size=batch_size, score=0)
        for first, second in zip(alone, together, strict=True):
            assert first.size == second.size
            assert_same(first, second)


def test_an_unreadable_image_is_yielded_as_its_error_and_the_others_go_on(png, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    sources = [png, bad, png]
    results = list(small_predictor().predict_each(sources, batch_size=3, score=0))
    assert [source for source, _ in results] == sources
    assert isinstance(results[1][1], ImageError) and "bad.jpg" in str(results[1][1])
    assert_same(results[0][1], results[2][1])
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        small_predictor().predict(sources, score=0)


def test_sources_are_read_no_further_than_needed():
    taken = []

    def sources():
        for number in range(100):
            taken.append(number)
            yield make_photo(60, 90, number)

    stream = small_predictor().predict_each(sources(), score=0)
    next(stream)
    assert len(taken) == 1


@pytest.mark.parametrize("options", [{}, {"batch_size": 4}, {"workers": 2}], ids=str)
@pytest.mark.parametrize("kind", ["array", "grey", "PIL image"])
def test_a_buffer_that_is_filled_anew_changes_no_prediction(kind, options):
    photos = [make_photo(60, 90, seed) for seed in range(5)]
    photos = [photo[:, :, 0] for photo in photos] if kind == "grey" else photos
    buffer = Image.new("RGB", (90, 60)) if kind == "PIL image" else np.empty_like(photos[0])

    def film():
        for photo in photos:
            if isinstance(buffer, Image.Image):
                buffer.paste(Image.fromarray(photo))
            else:
                buffer[:] = photo
            yield buffer

    predictor = small_predictor()
    found = list(predictor.predict_each(film(), **options, score=0))
    for photo, (source, prediction) in zip(photos, found, strict=True):
        assert source is buffer
        assert_same(prediction, predictor.predict(photo.copy(), score=0))
        assert np.array_equal(prediction.image, photo if photo.ndim == 3 else np.repeat(photo[:, :, None], 3, 2))


@pytest.mark.parametrize(("row", "dtype"), [(FPN, torch.float32), (FPN, torch.bfloat16), (C4, torch.float32)])
def test_a_used_predictor_is_pickled_and_copied_as_a_new_one_and_gives_the_same_bits(row, dtype):
    config, photos = small_config(row), [make_photo(60, 90), make_photo(90, 61)]
    predictor = Predictor(Eager(small_network(config), torch.device("cpu"), dtype), config)
    new = pickle.dumps(predictor)
    expected, digest = predictor.predict(photos, score=0), pickle.loads(new).backend.hash_weights()
    used = pickle.dumps(predictor)
    assert abs(len(used) - len(new)) < 10_000  # no packed weights beside the others
    for other in (pickle.loads(used), copy.deepcopy(predictor), pickle.loads(new)):
        assert other.backend.hash_weights() == digest
        for first, second in zip(expected, other.predict(photos, score=0), strict=True):
            assert len(first) > 0
            for name in ("boxes", "scores", "labels"):
                assert np.array_equal(getattr(first, name), getattr(second, name))
            assert np.array_equal(first.masks.probabilities, second.masks.probabilities)


def test_an_empty_list_gives_an_empty_list():
    assert small_predictor().predict([], score=0) == []


def test_a_batch_size_of_zero_is_refused():
    with pytest.raises(ArgumentError, match="batch_size is 0"):
        small_predictor().predict([make_photo(60, 90)], batch_size=0, score=0)


@pytest.mark.parametrize("row", [FPN, C4, VD])
@pytest.mark.parametrize("size", EDGE_SIZES)
def test_photos_of_odd_sizes_are_predicted(row, size):
    prediction = small_predictor(row).predict(make_photo(*size), score=0)
    assert prediction.size == size
    assert (prediction.boxes >= 0).all()
    assert (prediction.boxes[:, [0, 2]] <= size[1]).all() and (prediction.boxes[:, [1, 3]] <= size[0]).all()
    assert prediction.masks.dense().shape == (len(prediction), *size)


@pytest.mark.parametrize("row", [FPN, C4])
def test_a_photo_on_which_nothing_is_found_gives_an_empty_prediction(row):
    prediction = small_predictor(row, "limits.detections.score=1").predict(make_photo(60, 90), score=0)
    assert len(prediction) == 0
    assert prediction.boxes.shape == (0, 4) and prediction.names == ()
    assert prediction.masks.rle() == [] and prediction.to_coco(image_id=1) == []
    assert prediction.draw().size == (90, 60)


def test_class_names_and_ids_are_the_model_files():
    predictor = small_predictor()
    prediction = predictor.predict(make_photo(60, 90), score=0)
    ids, names = list(predictor.config.classes), list(predictor.config.classes.values())
    assert prediction.category_ids.tolist() == [ids[label] for label in prediction.labels]
    assert list(prediction.names) == [names[label] for label in prediction.labels]


def test_a_packed_network_has_no_gradients():
    assert not any(parameter.requires_grad for parameter in small_predictor().backend.model.parameters())
