import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from maskzoo.models.layers import ConvLayer, DeformConvLayer, Upsample
from maskzoo.models.norms import FrozenNorm
from maskzoo.models.packing import PackedConv, PackedLinear, PackedUpsample, pack

KINDS = ("none", "frozen")
FLAGS = list(itertools.product([False, True], repeat=3))  # norm, relu, a sum
# Kernel, stride, groups, dilation.
SHAPES = [(1, 1, 1, 1), (1, 2, 1, 1), (3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 4, 1), (3, 2, 4, 1), (7, 2, 1, 1), (3, 1, 1, 2)]


def fill(layer, seed=0):
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in layer.state_dict().items():
            if name.endswith("variance"):
                tensor.uniform_(0.2, 3, generator=random)
            else:
                tensor.normal_(0, 0.5, generator=random)
    return layer.requires_grad_(False)


def make_input(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(memory_format=torch.channels_last)


def test_the_frozen_norm_is_the_published_formula_in_training_too():
    norm, x = fill(FrozenNorm(5)).train(), make_input(2, 5, 3, 4)
    shaped = {name: value.double()[:, None, None] for name, value in norm.state_dict().items()}
    scale = shaped["weight"] / (shaped["variance"] + 1e-5).sqrt()
    expected = (x.double() - shaped["mean"]) * scale + shaped["bias"]
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    assert (norm(x).double() - expected).abs().max() <= 1e-5
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    assert list(norm.parameters()) == []


@pytest.mark.parametrize(("norm", "relu", "added"), FLAGS)
def test_a_layer_is_convolution_norm_sum_and_relu_in_this_order(norm, relu, added):
    layer, x = fill(ConvLayer(4, 8, 3, norm=KINDS[norm], relu=relu)), make_input(2, 4, 5, 6)
    add = make_input(2, 8, 5, 6, seed=2) if added else None
    expected = F.conv2d(x, layer.conv.weight, layer.conv.bias, padding=1)
    expected = layer.norm(expected) if norm else expected
    expected = expected + add if added else expected
    expected = expected.clamp(min=0) if relu else expected
    assert torch.allclose(layer(x, add), expected, atol=1e-6)
    assert (layer.conv.bias is None) == norm


@pytest.mark.parametrize(("kernel", "stride", "groups", "dilation"), SHAPES)
@pytest.mark.parametrize(("norm", "relu", "added"), FLAGS)
def test_a_packed_layer_equals_the_layer_whatever_it_is_made_of(kernel, stride, groups, dilation, norm, relu, added):
    shape = {"stride": stride, "groups": groups, "dilation": dilation}
    layer = fill(ConvLayer(8, 12, kernel, **shape, norm=KINDS[norm], relu=relu))
    packed = PackedConv(layer)
    for height, width, batch in ((9, 7, 2), (6, 10, 1), (1, 1, 3)):  # the weights are reordered at the first
        x = make_input(batch, 8, height, width)
        plain = layer(x)
        add = make_input(*plain.shape, seed=2) if added else None
        expected = layer(x, add)
        assert torch.allclose(packed(x, add), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("norm", "relu", "added"), FLAGS)
def test_where_the_fused_operator_does_not_serve_the_plain_one_gives_the_same(norm, relu, added):
    layer = fill(ConvLayer(8, 12, 3, stride=2, groups=4, norm=KINDS[norm], relu=relu)).double()
    packed, x = PackedConv(layer), make_input(2, 8, 9, 7).double()  # oneDNN has no float64
    plain = layer(x)
    add = make_input(*plain.shape, seed=2).double() if added else None
    expected = layer(x, add)
    assert torch.allclose(packed(x, add), expected, rtol=1e-10, atol=1e-10)


def test_an_upsampling_layer_and_its_packed_form_are_the_transposed_convolution():
    x, upsample = make_input(5, 6, 7, 7), fill(Upsample(6, 8))
    expected = F.conv_transpose2d(x, upsample.weight, upsample.bias, 2).relu()
    for layer in (upsample, PackedUpsample(upsample)):
        widened = layer(x).unflatten(1, (2, 2, 8)).permute(0, 3, 4, 1, 5, 2).reshape(5, 8, 14, 14)
        assert torch.allclose(widened, expected, atol=1e-4)


@pytest.mark.parametrize("norm", [False, True])
def test_a_packed_layer_in_bfloat16_is_near_the_layer(norm):
    layer, x = fill(ConvLayer(16, 16, 3, norm=KINDS[norm], relu=True)), make_input(1, 16, 8, 8)
    add = make_input(1, 16, 8, 8, seed=2)
    half = PackedConv(layer).to(torch.bfloat16)(x.bfloat16(), add.bfloat16())
    full = layer(x, add)
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).abs().max() <= 0.03 * full.abs().max()


@pytest.mark.parametrize("added", [False, True])
def test_a_packed_layer_takes_nothing_first_and_something_later(added):
    layer = fill(ConvLayer(8, 12, 3, norm="frozen", relu=True))
    packed = PackedConv(layer)
    for batch in (0, 2, 0):
        x, add = make_input(batch, 8, 5, 4), make_input(batch, 12, 5, 4, seed=2) if added else None
        expected = layer(x, add)
        out = packed(x, add)
        assert out.shape == (batch, 12, 5, 4)
        assert torch.allclose(out, expected, rtol=1e-4, atol=1e-4)


def test_a_packed_layer_leaves_its_input_as_it_is_and_takes_the_memory_of_the_sum():
    layer, x, add = fill(ConvLayer(8, 8, 3, relu=True)), make_input(1, 8, 5, 4), make_input(1, 8, 5, 4, seed=2)
    before = x.clone()
    out = PackedConv(layer)(x, add)
    assert torch.equal(x, before)
    assert out.data_ptr() == add.data_ptr() or not torch.backends.mkldnn.is_available()


def test_a_packed_layer_takes_any_memory_order():
    layer, x = fill(ConvLayer(8, 12, 3, norm="frozen")), make_input(2, 8, 6, 5)
    assert torch.allclose(PackedConv(layer)(x.contiguous()), PackedConv(layer)(x), atol=1e-5)


def test_every_layer_is_packed_however_deep_it_lies():
    inner = nn.ModuleDict({"conv": fill(ConvLayer(4, 4, 1)), "other": nn.Linear(2, 2)})
    module = nn.Sequential(fill(ConvLayer(3, 4, 3, norm="frozen")), nn.ModuleList([inner]))
    pack(module)
    kinds = [type(part) for part in module.modules()]
    assert kinds.count(PackedConv) == 2 and kinds.count(PackedLinear) == 1
    assert not {ConvLayer, FrozenNorm, nn.Linear} & set(kinds)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_a_packed_linear_layer_gives_what_the_layer_gives(rows, dtype):
    layer, x = nn.Linear(40, 12).to(dtype), torch.randn(rows, 40).to(dtype)
    packed = PackedLinear(layer.weight, layer.bias)
    for _ in range(2):  # the first call orders the weights
        torch.testing.assert_close(packed(x), layer(x).detach(), rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["frozen", "gn"])
def test_a_deformable_layer_packs_into_what_it_was(norm):
    layer = fill(DeformConvLayer(8, 8, stride=2, groups=2, norm=norm)).eval()
    x = make_input(2, 8, 9, 12)
    expected = layer(x)
    pack(layer)
    assert isinstance(layer.offset, PackedConv)
    assert expected.shape == (2, 8, 5, 6) and expected.any() and torch.allclose(layer(x), expected, atol=1e-5)


def test_a_deformable_layer_begins_as_half_a_convolution():
    layer = DeformConvLayer(4, 6, stride=1, groups=1, norm="none")
    with torch.no_grad():
        layer.offset.conv.weight.zero_(), layer.offset.conv.bias.zero_()
    x = make_input(1, 4, 5, 7)
    assert torch.allclose(layer(x), F.conv2d(x, layer.conv.weight, None, 1, 1).relu() / 2, atol=1e-5)
