"""What recipes that have a name set, and that they are what their source says."""

import pytest

import maskzoo
from maskzoo.augmentations import PRESETS
from maskzoo.config import RunSettings
from maskzoo.errors import ConfigError
from maskzoo.model_file import parse_settings
from maskzoo.training.recipes import RECIPES, find_recipe
from maskzoo.zoo.rows import names, read_row
from small_runs import write_data, write_model


def apply(name, row="mask_rcnn_r50_fpn_1x_coco"):
    texts = find_recipe(name)
    settings = parse_settings([text.removeprefix("run.") for text in texts if text.startswith("run.")])
    return read_row(row, [text for text in texts if not text.startswith("run.")]), settings


def test_large_scale_jitter_is_the_recipe_of_the_rows_that_were_trained_by_it():
    ours, settings = apply("lsj")
    row = read_row("detectron2/mask_rcnn_R_50_FPN_100ep_LSJ").training
    same = ours.training.model_copy(update={"proposals": row.proposals})  # whose smallest side is the library's
    assert same == row
    assert settings == RunSettings(jitter=(0.1, 2.0))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_a_recipe_and_changes_nothing_but_the_augmentation(preset):
    ours, settings = apply(preset)
    before = read_row("mask_rcnn_r50_fpn_1x_coco")
    assert ours.training == before.training.model_copy(update={"augmentation": PRESETS[preset]})
    assert ours.network == before.network and settings == RunSettings()


def test_no_recipe_has_the_name_of_a_model():
    assert not RECIPES.keys() & set(names())


def test_an_unknown_recipe_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match=r"arial: no recipe.*did you mean aerial.*known: lsj, photo"):
        find_recipe("arial")


def test_a_run_writes_its_recipe_out_and_what_is_set_comes_after_it(tmp_path):
    model, data = write_model(tmp_path), write_data(tmp_path / "data")
    run = maskzoo.train(
        model, data, tmp_path / "run", source="none", recipe="industrial", device="cpu", workers=0, epochs=1,
        overrides=["training.flip=0.25"],
    )  # fmt: skip
    written = read_row(run.folder).training
    assert written.augmentation == PRESETS["industrial"] and written.flip == 0.25
    assert "kind: cut_out" in (run.folder / "model.yml").read_text()
