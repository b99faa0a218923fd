"""Which image a position of an epoch gets, how it is read with its objects, and what is drawn for it."""

import json
from dataclasses import replace

import cv2
import hotcoco.mask
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.config import RunSettings
from maskzoo.datasets.annotations import select_for_training
from maskzoo.datasets.coco_reader import pack_annotations, read_annotations
from maskzoo.errors import ConfigError, ImageError
from maskzoo.training.augment import flip, resize
from maskzoo.training.samples import SampleMaker, count_positions, order_images, read_annotated
from shared_data import GOLDEN_SETS, need_golden
from training_data import make_config, write_set

MOSAIC = "training.augmentation=[{kind: mosaic, probability: 1}]"


@pytest.mark.parametrize("folder", GOLDEN_SETS, ids=lambda folder: folder.name)
def test_the_golden_pictures_have_the_references_ground_truth(folder):
    """Decoded, dropped, labelled, resized and flipped by the loader's own way, from picture and annotation file on."""
    need_golden(folder)
    inputs = np.load(folder / "inputs.npz")
    annotations, _ = select_for_training(read_annotations(folder / "annotations.json"))
    compared = 0
    for file in sorted(folder.glob("train_*.npz")):
        golden, case = dict(np.load(file)), file.stem.rpartition("_")[2]
        for j in range(2 if case == "pair" else 1):
            number = int(inputs[f"train.{'one' if case == 'perm' else case}.im{j}.image_id"].item())
            place = annotations.image_ids.tolist().index(number)
            rule = "rounded" if (golden["im_shape"] % 1 == 0).all() else "one_factor"
            image = resize(read_annotated(annotations, folder / "images", place), 320, 533, rule)
            assert image.extent == tuple(golden["im_shape"][j])
            stored = inputs[f"train.{'one' if case == 'perm' else case}.im{j}.resized"].astype(np.int16)
            assert image.pixels.shape == stored.shape and np.abs(image.pixels - stored).max() <= 1  # OpenCV's version
            image = flip(image) if case == "flip" else image
            assert np.array_equal(image.boxes, golden[f"im{j}.gt_bbox"])
            assert np.array_equal(image.labels, golden[f"im{j}.gt_class"][:, 0])
            assert [len(outline) for outline in image.outlines] == golden[f"im{j}.gt_poly.parts"].tolist()
            polygons = [polygon for outline in image.outlines for polygon in outline]
            assert [len(polygon) for polygon in polygons] == golden[f"im{j}.gt_poly.lengths"].tolist()
            assert np.array_equal(np.concatenate(polygons), golden[f"im{j}.gt_poly.xy"])
            compared += 1
    assert compared >= 3


def test_run_lengths_become_an_outline_of_the_same_pixels(tmp_path):
    annotations = write_set(tmp_path)
    image = read_annotated(annotations, tmp_path, 2)
    size, found = image.size, 0
    for row, outline in zip(range(*annotations.first[2:4].tolist()), image.outlines, strict=True):
        runs = annotations.outline(row)
        if isinstance(runs, bytes):
            polygons = hotcoco.mask.frPyObjects([polygon.tolist() for polygon in outline], *size)
            ours = hotcoco.mask.decode(hotcoco.mask.merge(polygons))
            assert np.array_equal(ours, hotcoco.mask.decode({"size": list(size), "counts": runs}))
            found += 1
    assert found == 1


def test_an_image_of_another_size_than_the_data_set_says_is_refused(tmp_path):
    annotations = write_set(tmp_path)
    name = annotations.file_name(1)
    height, width = annotations.sizes[1].tolist()
    cv2.imwrite(str(tmp_path / name), np.zeros((width, height, 3), np.uint8))
    words = rf"{name}: found {height} x {width} pixels.*says {width} x {height}.*maskzoo data check"
    with pytest.raises(ImageError, match=words):
        read_annotated(annotations, tmp_path, 1)


def test_an_object_whose_mask_is_empty_is_refused(tmp_path):
    annotations = write_set(tmp_path, objects=1)
    data = json.loads((tmp_path / "train.json").read_text())
    row, image = data["annotations"][0], data["images"][0]
    row["segmentation"] = {"size": [image["height"], image["width"]], "counts": [image["height"] * image["width"]]}
    annotations = pack_annotations(data, "train.json")
    place = annotations.image_ids.tolist().index(image["id"])
    with pytest.raises(ImageError, match=f"annotation {row['id']} in train.json has no pixel"):
        read_annotated(annotations, tmp_path, place)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return write_set(folder, images=23, tall=8), folder


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**63 - 2), st.integers(0, 1000), st.booleans(), st.integers(1, 9))
def test_an_epochs_order_is_a_permutation_of_its_own(data, seed, epoch, group, block):
    run = RunSettings(seed=seed, group_by_aspect=group)
    order = order_images(data[0], run, epoch, block)
    assert sorted(order.tolist()) == list(range(23))
    assert np.array_equal(order, order_images(data[0], run, epoch, block))
    assert not np.array_equal(order, order_images(data[0], run, epoch + 1, block))
    assert not np.array_equal(order, order_images(data[0], RunSettings(seed=seed + 1, group_by_aspect=group), epoch, block))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_grouped_blocks_hold_one_orientation_but_for_what_is_left_of_both(data, seed, block):
    annotations, _ = data
    wide = annotations.sizes[:, 1] >= annotations.sizes[:, 0]
    order = order_images(annotations, RunSettings(seed=seed, group_by_aspect=True), 0, block)
    grouped = int(wide.sum()) // block + int((~wide).sum()) // block
    kinds = wide[order[: grouped * block]].reshape(-1, block)
    assert (kinds == kinds[:, :1]).all()
    if block <= 2:
        assert kinds[:, 0].any() and not kinds[:, 0].all()


def test_sides_and_flips_are_drawn_as_often_as_the_recipe_says(data):
    annotations, folder = data
    maker = SampleMaker(annotations, folder, make_config("training.long_side=1000"), RunSettings())
    upright = read_annotated(annotations, folder, 0)
    sides, flips = [], 0
    for position in range(300):
        sample = maker.make(0, position, 0).image
        sides.append(min(sample.size))
        flips += np.array_equal(sample.pixels, flip(resize(upright, sides[-1], 1000, "one_factor")).pixels)
    assert {side: sides.count(side) > 70 for side in set(sides)} == {40: True, 48: True, 56: True}
    assert 120 < flips < 180
    small = resize(upright, 40, 72, "one_factor")
    never = SampleMaker(annotations, folder, make_config("training.flip=0.0", "training.short_sides=[40]"), RunSettings())
    assert all(np.array_equal(never.make(0, p, 0).image.pixels, small.pixels) for p in range(10))


def test_a_sample_depends_on_seed_epoch_and_position_and_on_no_global_state(data):
    annotations, folder = data
    run = RunSettings(jitter=(0.3, 1.5), copy_paste=0.5)
    maker = SampleMaker(annotations, folder, make_config(), run)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = maker.make(3, 7, 4)
    assert (np.random.get_state()[1] == before[0]).all() and torch.equal(torch.get_rng_state(), before[1])
    maker.make(0, 1, 2)
    again = maker.make(3, 7, 4)
    assert again.seed == first.seed and np.array_equal(again.image.pixels, first.image.pixels)
    assert np.array_equal(again.image.boxes, first.image.boxes)
    others = [maker.make(3, 8, 4), maker.make(4, 7, 4)]
    others.append(SampleMaker(annotations, folder, make_config(), run.model_copy(update={"seed": 1})).make(3, 7, 4))
    seeds = {first.seed, *(other.seed for other in others)}
    assert len(seeds) == 4 and all(0 <= seed < 2**63 for seed in seeds)
    assert not any(np.array_equal(other.image.pixels, first.image.pixels) for other in others)


def test_jitter_gives_one_canvas_and_pasting_more_objects_than_the_image_has(data):
    annotations, folder = data
    run = RunSettings(jitter=(0.5, 1.0), copy_paste=1.0)
    maker = SampleMaker(annotations, folder, make_config(), run)
    plain = SampleMaker(annotations, folder, make_config(), run.model_copy(update={"copy_paste": 0.0}))
    more = 0
    for position in range(20):
        image = position % len(annotations)
        sample = maker.make(0, position, image).image
        height, width = annotations.sizes[image].tolist()
        assert sample.size == ((56, 72) if width >= height else (72, 56))
        more += len(sample.labels) > len(plain.make(0, position, image).image.labels)
    assert more > 10


def test_a_list_of_augmentations_draws_from_a_stream_of_its_own(data):
    """A list whose entries never happen changes no sample, nor does one of colours change where objects are."""
    plain, run = make_config(), RunSettings(copy_paste=0.5)
    never = make_config("training.augmentation=[{kind: rotate, probability: 0, degrees: [5, 10]}]")
    dark = make_config("training.augmentation=[{kind: brightness, probability: 1, factor: [0.5, 0.5]}]")
    for position in range(8):
        first, second, third = (SampleMaker(*data, config, run).make(1, position, position) for config in (plain, never, dark))
        assert first.seed == second.seed == third.seed
        assert np.array_equal(first.image.pixels, second.image.pixels)
        assert np.array_equal(first.image.boxes, second.image.boxes) and np.array_equal(first.image.boxes, third.image.boxes)
        assert third.image.pixels.mean() < 0.6 * first.image.pixels.mean()


def test_an_augmented_sample_depends_on_seed_epoch_and_position_alone(data):
    config = make_config("training.augmentation=aerial")
    maker, run = SampleMaker(*data, config, RunSettings()), RunSettings(seed=1)
    first = [maker.make(2, position, position % 4).image for position in range(8)]
    again = [maker.make(2, position, position % 4).image for position in reversed(range(8))][::-1]
    other = [SampleMaker(*data, config, run).make(2, position, position % 4).image for position in range(8)]
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.pixels, two.pixels) and np.array_equal(one.boxes, two.boxes)
    assert not any(np.array_equal(one.pixels, two.pixels) for one, two in zip(first, other, strict=True))


def test_a_mosaic_takes_three_other_images_and_what_is_lost_on_the_way_is_counted(tmp_path):
    annotations = write_set(tmp_path, images=6)
    for place in range(6):
        size = annotations.sizes[place].tolist()
        cv2.imwrite(str(tmp_path / annotations.file_name(place)), np.full((*size, 3), 40 * place, np.uint8))
    maker = SampleMaker(annotations, tmp_path, make_config(MOSAIC), RunSettings())
    objects, lost = np.diff(annotations.first), 0
    for position in range(10):
        sample = maker.make(0, position, 2).image
        shades = {shade for shade in range(6) if (sample.pixels == 40 * shade).mean() > 0.02}  # not those of edges
        assert 2 in shades and 2 <= len(shades) <= 4
        assert len(sample.labels) + sample.lost <= objects.max() * 4
        lost += sample.lost
    assert lost > 0


def test_of_a_single_image_a_mosaic_is_made_of_it_alone(tmp_path):
    annotations = write_set(tmp_path, images=1)
    maker = SampleMaker(annotations, tmp_path, make_config(MOSAIC), RunSettings())
    assert len(maker.make(0, 0, 0).image.labels) > 0


def test_a_damaged_image_is_replaced_by_the_same_one_each_time_and_named(tmp_path):
    annotations = write_set(tmp_path)
    for place in (1, 2, 3):
        (tmp_path / annotations.file_name(place)).write_bytes(b"\x89PNG\r\n\x1a\nno more")
    maker = SampleMaker(annotations, tmp_path, make_config(), RunSettings())
    ids = annotations.image_ids.tolist()
    stand_ins = set()
    for position in range(30):
        sample = maker.make(0, position, 1)
        assert sample.image_id in set(ids) - set(ids[1:4])
        first, *more = sample.replaced
        assert (first.position, first.image_id, first.file) == (position, ids[1], annotations.file_name(1))
        assert first.replacement == sample.image_id and "damaged" in first.error
        assert {one.image_id for one in more} <= set(ids[2:4])  # replacements that were damaged themselves
        assert maker.make(0, position, 1).replaced == sample.replaced
        stand_ins.add(sample.image_id)
    assert len(stand_ins) > 3
    assert f"image {ids[1]} was replaced by image {first.replacement}" in str(first)
    assert maker.make(0, 0, 5).replaced == ()


def test_a_damaged_image_stops_the_run_if_asked(tmp_path):
    annotations = write_set(tmp_path)
    name = annotations.file_name(0)
    (tmp_path / name).unlink()
    maker = SampleMaker(annotations, tmp_path, make_config(), RunSettings(damaged_images="stop"))
    with pytest.raises(ImageError, match=f"{name}: no such file"):
        maker.make(0, 0, 0)


def test_a_damaged_image_to_paste_from_is_replaced_and_named_too(tmp_path):
    annotations = write_set(tmp_path, images=3)
    (tmp_path / annotations.file_name(1)).unlink()
    maker = SampleMaker(annotations, tmp_path, make_config(), RunSettings(copy_paste=1.0))
    replaced = [maker.make(0, position, 0).replaced for position in range(12)]
    number = int(annotations.image_ids[1])
    assert all([one.image_id for one in found] in ([], [number]) for found in replaced)
    assert any(replaced) and not all(replaced)


def test_a_folder_of_nothing_but_damaged_images_says_so(tmp_path):
    annotations = write_set(tmp_path, images=4)
    maker = SampleMaker(annotations, tmp_path / "elsewhere", make_config(), RunSettings())
    with pytest.raises(ImageError, match=r"elsewhere: none of 4 images could be read, of 4 in .*--images.*no such file"):
        maker.make(0, 0, 0)


@pytest.mark.parametrize("jitter", [(2.0, 0.1), (0.1, 50.0)])
def test_a_jitter_that_makes_no_sense_is_refused(data, jitter):
    with pytest.raises(ConfigError, match=r"run\.jitter: found"):
        SampleMaker(*data, make_config(), RunSettings(jitter=jitter))


def test_a_recipe_without_a_short_side_is_refused(data):
    with pytest.raises(ConfigError, match=r"training\.short_sides is empty"):
        SampleMaker(*data, make_config("training.short_sides=[]"), RunSettings())


def test_images_with_rare_classes_come_more_often_and_the_rest_as_before(tmp_path):
    annotations = write_set(tmp_path, images=40)
    rare = np.zeros(40, bool)
    rare[[4, 17]] = True
    labels = np.where(rare[annotations.image_index], 1, 0).astype(np.int32)
    annotations = replace(annotations, labels=labels)
    chosen = RunSettings(repeat_rare=0.8)  # class 1 is in a twentieth: four times as often
    assert count_positions(annotations, chosen) == 46 and count_positions(annotations, RunSettings()) == 40
    for epoch in range(3):
        order = order_images(annotations, chosen, epoch, 1)
        assert len(order) == 46 and set(np.bincount(order, minlength=40)[rare]) == {4}
        assert np.bincount(order, minlength=40)[~rare].tolist() == [1] * 38
        assert not np.array_equal(order, order_images(annotations, chosen, epoch + 1, 1))
