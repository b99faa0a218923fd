import pytest
import torch
import torch.nn.functional as F

from maskzoo.models.resnet import BLOCKS, Bottleneck, ResNet, Shortcut
from networks import make_shape


def make_input(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def make_resnet(stages=(2, 3, 4, 5), **changes):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ResNet(make_shape(**changes), stages).requires_grad_(False)


@pytest.mark.parametrize("variant", ["b", "d"])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (37, 51), (1, 1), (3, 5), (33, 1)])
def test_every_stage_halves_the_sides_and_rounds_up(variant, height, width):
    features = make_resnet(variant=variant)(make_input(2, 3, height, width))
    strides = (4, 8, 16, 32)
    assert [feature.shape[1] for feature in features] == [256, 512, 1024, 2048]
    expected = [(-(-height // stride), -(-width // stride)) for stride in strides]
    assert [tuple(feature.shape[2:]) for feature in features] == expected
    assert all(feature.isfinite().all() for feature in features)


def test_only_the_asked_stages_are_built_and_returned():
    network = make_resnet(stages=(4,))
    assert network.channels == (1024,)
    assert not hasattr(network, "res5")
    assert [feature.shape[1] for feature in network(make_input(1, 3, 32, 32))] == [1024]


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_stages_have_the_published_number_of_blocks(depth):
    with torch.device("meta"):
        network = ResNet(make_shape(depth=depth, group_width=64), (2, 3, 4, 5))
    assert tuple(len(network.get_submodule(f"res{stage}")) for stage in (2, 3, 4, 5)) == BLOCKS[depth]
    assert sum(BLOCKS[depth]) * (3 if depth >= 50 else 2) + 2 == depth


def test_resnext_is_wide_in_the_middle_and_grouped():
    with torch.device("meta"):
        network = ResNet(make_shape(depth=101, variant="d", groups=64), (2, 3, 4, 5))
    for stage, width in zip((2, 3, 4, 5), (256, 512, 1024, 2048), strict=True):
        for block in network.get_submodule(f"res{stage}"):
            assert block.conv1.conv.out_channels == block.conv2.conv.in_channels == width
            assert block.conv2.conv.groups == 64
            assert (block.conv1.conv.groups, block.conv3.conv.groups) == (1, 1)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (37, 51), (1, 1), (33, 1)])
@pytest.mark.parametrize("stride_in_1x1", [False, True])
def test_a_dilated_res5_keeps_the_size_of_res4_and_its_weights_reach_twice_as_far(height, width, stride_in_1x1):
    plain = make_resnet((4, 5), stride_in_1x1=stride_in_1x1)
    dilated = ResNet(make_shape(stride_in_1x1=stride_in_1x1), (4, 5), dilated=True).requires_grad_(False)
    dilated.load_state_dict(plain.state_dict())
    x, found = dilated(make_input(1, 3, height, width))
    assert found.shape[2:] == x.shape[2:] == (-(-height // 16), -(-width // 16))
    for block in dilated.res5:
        around = x if block.shortcut is None else block.shortcut(x)
        inner, conv = block.conv1(x), block.conv2.conv
        reached = F.conv2d(F.pad(inner, (2, 2, 2, 2)), conv.weight, dilation=2)
        x = block.conv3(block.conv2.norm(reached, None, True), around)
    assert torch.allclose(found, x, rtol=1e-5, atol=1e-5 * float(x.abs().max()))


def test_the_stride_is_on_the_3x3_of_the_first_block():
    with torch.device("meta"):
        network = ResNet(make_shape(group_width=64), (2, 3, 4, 5))
    for stage in (2, 3, 4, 5):
        for index, block in enumerate(network.get_submodule(f"res{stage}")):
            strides = [layer.conv.stride[0] for layer in (block.conv1, block.conv2, block.conv3)]
            assert strides == [1, 2 if index == 0 and stage > 2 else 1, 1]
            assert (block.shortcut is not None) == (index == 0)


def test_variant_d_pools_the_shortcut_only_where_the_stage_strides():
    with torch.device("meta"):
        variants = {variant: ResNet(make_shape(variant=variant), (2, 3, 4, 5)) for variant in "bd"}
    for stage in (2, 3, 4, 5):
        plain, pooled = (variants[variant].get_submodule(f"res{stage}.0.shortcut") for variant in "bd")
        assert (plain.pooled, pooled.pooled) == (False, stage > 2)
        assert plain.project.conv.stride[0] == (2 if stage > 2 else 1)
        assert pooled.project.conv.stride[0] == 1


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 7), (1, 1), (1, 4), (3, 2)])
def test_a_pooled_shortcut_averages_only_real_pixels_at_an_odd_edge(height, width):
    shortcut, x = Shortcut(make_shape(variant="d"), 3, 5, 2).requires_grad_(False), make_input(1, 3, height, width)
    means = torch.stack(
        [
            torch.stack([x[:, :, row : row + 2, column : column + 2].mean(dim=(2, 3)) for column in range(0, width, 2)], dim=-1)
            for row in range(0, height, 2)
        ],
        dim=2,
    )
    assert torch.allclose(shortcut(x), shortcut.project(means), atol=1e-6)


def test_a_block_adds_its_input_before_the_last_relu():
    block = Bottleneck(make_shape(group_width=64), 8, 2, 1, first=False).requires_grad_(False)
    assert block.conv3.norm is not None
    block.conv3.norm.weight.zero_()
    block.conv3.norm.bias.fill_(-0.25)
    x = make_input(1, 8, 4, 4)
    assert torch.allclose(block(x), (x - 0.25).clamp(min=0), atol=1e-6)


@pytest.mark.parametrize("depth", [18, 34])
@pytest.mark.parametrize("variant", ["b", "d"])
def test_shallow_networks_have_two_3x3_convolutions_a_block_and_narrow_stages(depth, variant):
    network = make_resnet(depth=depth, variant=variant, group_width=64, width=16)
    assert network.channels == (16, 32, 64, 128)
    assert network.res2[0].shortcut is None  # nothing changes there
    assert network.res3[0].shortcut.pooled == (variant == "d")
    strides = [layer.conv.stride[0] for layer in (network.res3[0].conv1, network.res3[0].conv2)]
    assert strides == [2, 1]
    features = network(make_input(1, 3, 64, 32))
    assert [tuple(feature.shape[1:]) for feature in features] == [(16, 16, 8), (32, 8, 4), (64, 4, 2), (128, 2, 1)]


@pytest.mark.parametrize("norm", ["bn", "sync_bn", "gn", "frozen"])
def test_frozen_stages_neither_train_nor_move_their_statistics(norm):
    shape = make_shape(norm=norm, frozen=("stem", "res2"), width=16, depth=18, group_width=64)
    network = ResNet(shape, (2, 3, 4, 5)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sum(feature.mean() for feature in network(make_input(2, 3, 32, 32))).backward()
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not any(name.startswith(("stem", "res2")) for name in moved)
    assert bool(moved) == (norm in ("bn", "sync_bn"))
    for name, parameter in network.named_parameters():
        frozen = name.startswith(("stem", "res2"))
        assert parameter.requires_grad != frozen and (parameter.grad is None) == frozen, name
