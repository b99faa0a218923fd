"""The layers' packed form for inference: norms folded, weights in the memory order that the processor is fastest with."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.layers import ConvLayer, Upsample, finish
from maskzoo.models.norms import BatchNorm, FrozenNorm
from maskzoo.ops import winograd
from maskzoo.ops.convolution import LEAST_CHANNELS, is_wide, suits_winograd

__all__ = ["PackedConv", "PackedLinear", "PackedUpsample", "has_fast_bfloat16", "pack"]

_PACKING = Lock()  # several threads may run one network; of all of them, because a network is copied and a lock cannot be


class _Packed(nn.Module):
    """A layer whose `weight` is put into oneDNN's order at its first call, as `_packed`, and then dropped.

    Copied or pickled, it is as before that call: the order belongs to this processor, and no file can hold it.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach(), persistent=False)
        self.register_buffer("bias", bias.detach(), persistent=False)
        self._packed: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        if self._packed is not None and not self.weight.numel():
            self.weight = self._packed.to_dense()  # kept from now on: a spawned process opens its memory later
        return self.__dict__ | {"_packed": None}


class PackedConv(_Packed):
    """A layer for inference, as one convolution: on a CPU, sum and ReLU are fused, unless there is a group norm between.

    Large 3x3 convolutions take Winograd's algorithm, the others oneDNN's fused convolution. Each needs the weights in an
    order of its own, made at the first call. oneDNN's operator is private to torch, so its absence only costs time: the
    plain convolution is the fallback, and the path for all other devices.
    """

    def __init__(self, layer: ConvLayer) -> None:
        weight, bias = _fold(layer)
        super().__init__(weight.contiguous(memory_format=torch.channels_last), bias)
        conv, self.relu = layer.conv, layer.relu
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        self.groups, self.shape = conv.groups, conv.weight.shape
        self.norm = layer.norm if isinstance(layer.norm, nn.GroupNorm) else None  # depends on the image: stays a step
        self._transformed: dict[int, Tensor] = {}  # by the tile of Winograd's algorithm

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_transformed": {}}

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """Return relu(conv(x) + add), each step where the layer has it; `add` may be overwritten. `x` `[B C H W]`."""
        if self.norm is None:
            return self._convolve(x, add, self.relu)
        return finish(self.norm(self._convolve(x, None, False)), add, self.relu)

    def _convolve(self, x: Tensor, add: Tensor | None, relu: bool) -> Tensor:
        if suits_winograd(x, self.shape, self.stride, self.groups, dilation=self.dilation):
            return self._by_winograd(x, add, relu)
        if _takes_onednn(x, "_convolution_pointwise"):
            return self._fused(x, add, relu)
        if self._transformed and torch.compiler.is_compiling() and not torch.compiler.is_exporting():
            transformed = self._transformed[winograd.TILE]
            fused = torch.ops.maskzoo.convolve(x, self.weight, transformed, self.bias, relu and add is None)
            return fused if add is None else finish(fused, add, relu)
        out = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        return finish(out, add, relu)

    def prepare_compiling(self) -> None:
        """Transform the weight in advance where a program compiled for this processor is to take Winograd's algorithm."""
        if is_wide(self.weight, self.shape, self.stride, self.groups, dilation=self.dilation):
            self._transformed = {winograd.TILE: winograd.transform_weight(self.weight)}

    def _by_winograd(self, x: Tensor, add: Tensor | None, relu: bool) -> Tensor:
        tile = winograd.choose_tile(x)
        if tile not in self._transformed:
            self._transformed[tile] = winograd.transform_weight(self.weight, tile)
        out = winograd.convolve(x, self._transformed[tile], self.bias, relu=relu and add is None)
        return out if add is None else finish(out, add, relu)

    def _fused(self, x: Tensor, add: Tensor | None, relu: bool) -> Tensor:
        ops = torch.ops.mkldnn
        padding, stride, dilation = list(self.padding), list(self.stride), list(self.dilation)
        if self._packed is None:
            with _PACKING:
                self._pack(list(x.shape))
        geometry = (self._packed, self.bias, padding, stride, dilation, self.groups)
        if add is None:
            out: Tensor = ops._convolution_pointwise(x, *geometry, "relu" if relu else "none", [], "")
        else:  # onto `add`, in whose place fresh memory would cost more than the product
            out = ops._convolution_pointwise_.binary(add, x, *geometry, "add", 1.0, "relu" if relu else None, [], None)
        return out

    def _pack(self, shape: list[int]) -> None:
        """Order the weights for oneDNN, unless another thread did while this one waited. `shape`: of the input."""
        if self._packed is not None:
            return
        self._packed = torch.ops.mkldnn._reorder_convolution_weight(
            self.weight, list(self.padding), list(self.stride), list(self.dilation), self.groups, shape
        )
        if min(self.shape[:2]) < LEAST_CHANNELS or self.shape[2] != 3:
            self.weight = self.weight[:0]  # Winograd's algorithm never takes them


class PackedLinear(_Packed):
    """A linear layer, perhaps with ReLU, for inference: on a CPU oneDNN's product, with the weights in an order of its own.

    For a RoI's 12,544 values it takes four fifths of the time of torch's own. As in PackedConv, the operator may be absent.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, relu: bool = False) -> None:
        super().__init__(weight, bias)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs `[N O]` of `x` `[N I]`."""
        if not _takes_onednn(x, "_linear_pointwise"):
            return finish(F.linear(x, self.weight, self.bias), None, self.relu)
        if self._packed is None:
            with _PACKING:
                self._pack()
        step = "relu" if self.relu else "none"
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, step, [], "")
        return out

    def _pack(self) -> None:
        """Order the weights for oneDNN, unless another thread did while this one waited."""
        if self._packed is None:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight)
            self.weight = self.weight[:0]


class PackedUpsample(PackedLinear):
    """An upsampling layer for inference, as one linear layer on every pixel."""

    def __init__(self, layer: Upsample) -> None:
        super().__init__(*layer.to_linear(), relu=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer returns, `[N 4*F m m]` of `x` `[N C m m]`."""
        pixels = x.permute(0, 2, 3, 1).flatten(0, 2)  # rows, because quantisers pass over products of more axes
        out: Tensor = super().forward(pixels).unflatten(0, (-1, *x.shape[2:]))
        return out.permute(0, 3, 1, 2)


def has_fast_bfloat16() -> bool:
    """Say whether this CPU computes in bfloat16; others convert at every step and are slower than with float32."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and bool(supported())


def pack(module: nn.Module) -> None:
    """Replace every convolution and linear layer in `module` by its packed form. It can no longer train or be saved."""
    for name, child in module.named_children():
        if isinstance(child, ConvLayer):
            setattr(module, name, PackedConv(child))
        elif isinstance(child, Upsample):
            setattr(module, name, PackedUpsample(child))
        elif isinstance(child, nn.Linear):
            setattr(module, name, PackedLinear(child.weight, child.bias))
        else:
            pack(child)


def _fold(layer: ConvLayer) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals convolution and norm; computed in float64."""
    weight, norm = layer.conv.weight.detach(), layer.norm
    if not isinstance(norm, FrozenNorm | BatchNorm):
        bias = layer.conv.bias
        return weight, weight.new_zeros(weight.shape[0]) if bias is None else bias.detach()
    mean, variance = norm.statistics()
    scale = norm.weight.detach().double() / (variance.double() + norm.eps).sqrt()
    folded = weight.double() * scale[:, None, None, None]
    return folded.to(weight.dtype), (norm.bias.detach().double() - mean.double() * scale).to(weight.dtype)


def _takes_onednn(x: Tensor, operator: str) -> bool:
    """Whether to run oneDNN's private `operator` on `x`: never in a program that is compiled or exported."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling() and _onednn_has(operator, x.dtype)


@cache
def _onednn_has(operator: str, dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, operator):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and has_fast_bfloat16())
