import torch
import torch.nn.functional as F

from maskzoo.models.fpn import FeaturePyramid


def make_pyramid():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FeaturePyramid((4, 6, 8, 10), 5).requires_grad_(False)


def make_features(batch, height, width):
    random = torch.Generator().manual_seed(1)
    sides = [(height >> level, width >> level) for level in range(4)]
    shapes = zip((4, 6, 8, 10), sides, strict=True)
    return [torch.randn(batch, channels, *side, generator=random) for channels, side in shapes]


def test_levels_are_laterals_plus_the_coarser_level_doubled_then_a_convolution():
    pyramid, features = make_pyramid(), make_features(2, 16, 24)
    merged = [layer.conv(feature) for layer, feature in zip(pyramid.lateral, features, strict=True)]
    for finer in (2, 1, 0):
        merged[finer] = merged[finer] + F.interpolate(merged[finer + 1], scale_factor=2, mode="nearest")
    expected = [layer.conv(level) for layer, level in zip(pyramid.output, merged, strict=True)]
    levels = pyramid(features)
    assert len(levels) == 5
    for ours, wanted in zip(levels[:4], expected, strict=True):
        assert torch.allclose(ours, wanted, atol=1e-5)


def test_the_last_level_is_every_second_cell_of_the_one_before():
    levels = make_pyramid()(make_features(1, 24, 40))
    assert levels[3].shape[2:] == (3, 5)
    assert levels[4].shape[2:] == (2, 3)
    assert torch.equal(levels[4], F.max_pool2d(levels[3], 1, 2))


def test_a_canvas_of_one_coarse_cell_and_no_images_pass():
    assert [tuple(level.shape) for level in make_pyramid()(make_features(1, 8, 8))][-1] == (1, 5, 1, 1)
    assert [level.shape[0] for level in make_pyramid()(make_features(0, 8, 8))] == [0] * 5


def test_channels_last_and_channels_first_give_the_same():
    pyramid, features = make_pyramid(), make_features(2, 16, 24)
    turned = [feature.to(memory_format=torch.channels_last) for feature in features]
    for first, last in zip(pyramid(features), pyramid(turned), strict=True):
        assert torch.allclose(first, last, atol=1e-5)
