import pytest
import torch

from maskzoo.models.resnet import BLOCKS, Bottleneck, ResNet, Shortcut


def make_input(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def make_resnet(depth=50, variant="b", groups=1, group_width=4, stages=(2, 3, 4, 5)):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ResNet(depth, variant, groups, group_width, stages).requires_grad_(False)


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


@pytest.mark.parametrize("depth", [50, 101])
def test_stages_have_the_published_number_of_blocks(depth):
    with torch.device("meta"):
        network = ResNet(depth, "b", 1, 64, (2, 3, 4, 5))
    assert tuple(len(network.get_submodule(f"res{stage}")) for stage in (2, 3, 4, 5)) == BLOCKS[depth]
    assert sum(BLOCKS[depth]) * 3 + 2 == depth


def test_resnext_is_wide_in_the_middle_and_grouped():
    with torch.device("meta"):
        network = ResNet(101, "d", 64, 4, (2, 3, 4, 5))
    for stage, width in zip((2, 3, 4, 5), (256, 512, 1024, 2048), strict=True):
        for block in network.get_submodule(f"res{stage}"):
            assert block.conv1.conv.out_channels == block.conv2.conv.in_channels == width
            assert block.conv2.conv.groups == 64
            assert (block.conv1.conv.groups, block.conv3.conv.groups) == (1, 1)


def test_the_stride_is_on_the_3x3_of_the_first_block():
    with torch.device("meta"):
        network = ResNet(50, "b", 1, 64, (2, 3, 4, 5))
    for stage in (2, 3, 4, 5):
        for index, block in enumerate(network.get_submodule(f"res{stage}")):
            strides = [layer.conv.stride[0] for layer in (block.conv1, block.conv2, block.conv3)]
            assert strides == [1, 2 if index == 0 and stage > 2 else 1, 1]
            assert (block.shortcut is not None) == (index == 0)


def test_variant_d_pools_the_shortcut_only_where_the_stage_strides():
    with torch.device("meta"):
        variants = {variant: ResNet(50, variant, 1, 64, (2, 3, 4, 5)) for variant in "bd"}
    for stage in (2, 3, 4, 5):
        plain, pooled = (variants[variant].get_submodule(f"res{stage}.0.shortcut") for variant in "bd")
        assert (plain.pooled, pooled.pooled) == (False, stage > 2)
        assert plain.project.conv.stride[0] == (2 if stage > 2 else 1)
        assert pooled.project.conv.stride[0] == 1


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 7), (1, 1), (1, 4), (3, 2)])
def test_a_pooled_shortcut_averages_only_real_pixels_at_an_odd_edge(height, width):
    shortcut, x = Shortcut(3, 5, 2, pooled=True).requires_grad_(False), make_input(1, 3, height, width)
    means = torch.stack(
        [
            torch.stack(
                [x[:, :, row : row + 2, column : column + 2].mean(dim=(2, 3)) for column in range(0, width, 2)], dim=-1
            )
            for row in range(0, height, 2)
        ],
        dim=2,
    )
    assert torch.allclose(shortcut(x), shortcut.project(means), atol=1e-6)


def test_a_block_adds_its_input_before_the_last_relu():
    block = Bottleneck(8, 4, 8, 1, 1, "b", first=False).requires_grad_(False)
    assert block.conv3.norm is not None
    block.conv3.norm.weight.zero_()
    block.conv3.norm.bias.fill_(-0.25)
    x = make_input(1, 8, 4, 4)
    assert torch.allclose(block(x), (x - 0.25).clamp(min=0), atol=1e-6)
