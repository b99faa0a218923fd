"""The schema of a recipe's augmentations, and the presets that stand for lists."""

import pytest

from maskzoo.augmentations import PRESETS
from maskzoo.errors import ConfigError
from maskzoo.model_file import dump_config, parse_config
from maskzoo.zoo.rows import names, read_row

ROW = "mask_rcnn_r50_fpn_1x_coco"


def read(value):
    return read_row(ROW, [f"training.augmentation={value}"]).training.augmentation


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_name_is_the_list_and_written_out_as_that(preset):
    assert read(preset) == PRESETS[preset]
    config = read_row(ROW, [f"training.augmentation={preset}"])
    text = dump_config(config)
    assert f"kind: {PRESETS[preset][0].kind}" in text and preset not in text
    assert parse_config(text, "again.yml") == config


def test_published_rows_have_no_augmentation():
    assert all(read_row(name).training.augmentation == () for name in names())


def test_a_list_says_only_what_is_not_the_default():
    first, second = read("[{kind: vertical_flip}, {kind: blur, probability: 0.1, sigma: [1, 2]}]")
    assert (first.kind, first.probability) == ("vertical_flip", 0.5)
    assert second.sigma == (1.0, 2.0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("aerail", r"training\.augmentation: .*did you mean aerial\? known are photo, aerial"),
        ("[{kind: blurr}]", r"training\.augmentation\.0: .*'blurr'.*'blur'"),
        ("[{kind: blur, sigm: [1, 2]}]", r"blur\.sigma' is missing"),
        ("[{kind: blur, sigma: [2, 1]}]", r"blur\.sigma: .*begins with the larger one; expected \[lowest, highest\]"),
        ("[{kind: rotate, degrees: [-200, 0]}]", r"rotate\.degrees\.0: .*greater than or equal to -180"),
        ("[{kind: jpeg, quality: [0, 50]}]", r"jpeg\.quality\.0"),
        ("[{kind: jpeg, quality: [10.5, 50]}]", r"jpeg\.quality\.0"),
        ("[{kind: noise, deviation: [1]}]", r"noise\.deviation"),
        ("[{kind: mosaic, probability: 1.5}]", r"mosaic\.probability"),
        ("3", r"training\.augmentation: .*found 3"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(value, words):
    with pytest.raises(ConfigError, match=words):
        read(value)
