import torch

from maskzoo.training.loss_scale import INTERVAL, START, LossScale

YES, NO = torch.tensor(True), torch.tensor(False)


def test_an_overflow_halves_the_scale_and_many_sound_steps_double_it():
    scale = LossScale(torch.device("cpu"), enabled=True)
    scale.update(YES, YES)
    assert scale.describe() == {"scale": START / 2, "_growth_tracker": 0}
    for _ in range(INTERVAL):
        scale.update(YES, NO)
    assert scale.describe() == {"scale": START, "_growth_tracker": 0}


def test_a_step_that_does_not_count_changes_nothing():
    scale = LossScale(torch.device("cpu"), enabled=True)
    before = scale.describe()
    scale.update(NO, YES)
    assert scale.describe() == before


def test_what_is_multiplied_in_is_divided_out():
    scale = LossScale(torch.device("cpu"), enabled=True)
    gradient = scale.multiply(torch.tensor([0.25, -3.0]))
    scale.divide([gradient])
    assert gradient.tolist() == [0.25, -3.0]


def test_at_the_least_scale_an_overflow_is_the_gradients_own():
    scale = LossScale(torch.device("cpu"), enabled=True)
    assert scale.can_fall()
    scale.restore({"scale": 1.0, "_growth_tracker": 7})
    assert not scale.can_fall() and scale.describe() == {"scale": 1.0, "_growth_tracker": 7}


def test_without_float16_it_does_nothing():
    scale = LossScale(torch.device("cpu"), enabled=False)
    scale.update(YES, YES)
    loss = torch.tensor(2.0)
    assert scale.multiply(loss) is loss and scale.describe() == {} and not scale.can_fall()
