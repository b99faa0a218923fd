"""A device that is there is taken, one that is not is said with those that are."""

import pytest
import torch

from maskzoo.errors import ArgumentError, MaskzooError
from maskzoo.system.devices import choose_device, explained_operators, list_devices
from maskzoo.system.processes import Processes


def test_every_device_that_is_listed_can_be_computed_on():
    assert list_devices()[0] == "cpu"
    for name in (*list_devices(), "auto", "cpu:0"):
        assert torch.ones(2, device=choose_device(name)).sum().item() == 2


@pytest.mark.parametrize("name", ["cuda:99", "xpu:99", "mps:99", "meta", "hpu", "vulkan"])
def test_a_device_that_is_not_there_is_an_error_that_lists_those_that_are(name):
    with pytest.raises(ArgumentError, match=rf"found {name}, which this machine .* expected one of auto, cpu"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cpu cuda"])
def test_a_name_that_pytorch_does_not_know_is_an_error(name):
    with pytest.raises(ArgumentError, match=r"expected one of auto, cpu"):
        choose_device(name)


def test_several_processes_take_no_single_device():
    with pytest.raises(ArgumentError, match="found cuda:1 for 2 processes"):
        print(Processes(0, 2, 0, "cuda:1").device)


@pytest.mark.parametrize(
    ("device", "remedy"),
    [("mps", r"set PYTORCH_ENABLE_MPS_FALLBACK=1 .* or use --device cpu"), ("xpu", r"for this device; use --device cpu")],
)
def test_an_operator_that_a_device_lacks_is_named_with_what_to_do(monkeypatch, device, remedy):
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    said = "The operator 'aten::_embedding_bag' is not currently implemented for the device."
    with pytest.raises(MaskzooError, match=rf"{device}: PyTorch has no aten::_embedding_bag .*{remedy}"):
        complain(device, said)


def test_another_complaint_stays_what_it_is():
    with pytest.raises(NotImplementedError, match="ours"):
        complain("mps", "a fault of ours")


def complain(device, said):
    with explained_operators(torch.device(device)):
        raise NotImplementedError(said)
