import pytest

from maskzoo.training.schedule import change_epochs, fit_recipe, learning_rate, make_optimizer
from maskzoo.zoo.rows import read_row
from networks import small_config, small_network

RECIPE = read_row("mask_rcnn_r50_fpn_1x_coco").training


def test_a_published_recipe_on_coco_is_left_as_it_is():
    recipe, line = fit_recipe(RECIPE, 12 * 14658, 1.0)
    assert recipe == RECIPE
    assert line == "learning rate 0.01"


def test_the_rate_follows_the_total_batch_and_the_line_says_so():
    _, line = fit_recipe(RECIPE, 10**6, 0.25)
    assert "learning rate 0.0025 (0.01 for 8 images, by the linear rule)" in line
    assert learning_rate(RECIPE, 5000, 14658, 0.25) == pytest.approx(0.0025)


def test_a_warmup_longer_than_a_tenth_of_the_run_is_shortened_to_it():
    recipe, line = fit_recipe(RECIPE, 400, 1.0)
    assert recipe.warmup.iterations == 40
    assert "from 1000 to 40" in line
    assert learning_rate(recipe, 40, 100) == pytest.approx(0.01)


def test_another_number_of_epochs_moves_the_milestones_in_proportion():
    recipe = change_epochs(RECIPE, 36)
    assert (recipe.epochs, recipe.milestones) == (36, (24, 33))
    assert change_epochs(RECIPE, 12) == RECIPE
    assert change_epochs(RECIPE, 1).milestones == (1, 1)


def test_only_norms_that_learn_have_a_decay_of_their_own():
    config = small_config("mask_rcnn_r50_fpn_gn_2x_coco")
    network = small_network(config)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = make_optimizer(network, config.training).param_groups
    spared = {names[id(own)] for group in groups if group["weight_decay"] == 0 for own in group["params"]}
    assert spared == {name for name in names.values() if ".norm." in name} and len(spared) == 2 * 16
    assert {group["weight_decay"] for group in groups} == {0.0, 0.0001}
    (plain,) = make_optimizer(network, config.training.model_copy(update={"norm_decay": None})).param_groups
    assert plain["weight_decay"] == 0.0001
