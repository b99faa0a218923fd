import pytest
import torch

from maskzoo.ops.gather import take_rows, to_slots


@pytest.mark.parametrize("rest", [(), (4,), (2, 3)])
def test_rows_are_taken_image_by_image(rest):
    values = torch.arange(2 * 5 * torch.Size(rest).numel()).reshape(2, 5, *rest)
    index = torch.tensor([[4, 0, 0], [1, 3, 2]])
    taken = take_rows(values, index)
    assert taken.shape == (2, 3, *rest)
    for image in range(2):
        for place in range(3):
            assert torch.equal(taken[image, place], values[image, index[image, place]])


def test_no_index_takes_no_rows():
    assert take_rows(torch.ones(2, 5, 4), torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0, 4)


def test_members_are_numbered_within_their_group_and_empty_groups_count():
    slot, sizes = to_slots(torch.tensor([0, 0, 2, 2, 2, 5]), groups=7)
    assert slot.tolist() == [0, 1, 0, 1, 2, 0]
    assert sizes.tolist() == [2, 0, 3, 0, 0, 1, 0]


def test_no_members_leave_every_group_empty():
    slot, sizes = to_slots(torch.zeros(0, dtype=torch.int64), groups=3)
    assert slot.tolist() == []
    assert sizes.tolist() == [0, 0, 0]
