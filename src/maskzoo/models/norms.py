"""Norms: the published one, whose statistics are stored and never change, and those that learn."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from maskzoo.models.settings import Norm

__all__ = ["BatchNorm", "FrozenNorm", "make_norm"]

GROUPS = 32  # of group norm, as its authors recommend; fewer where there are not two channels for each
EPS = 1e-5


class FrozenNorm(nn.Module):
    """Batch-norm that always uses its stored statistics and never trains."""

    eps: float = EPS
    weight: Tensor
    bias: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance `[C]`."""
        return self.mean, self.variance

    def forward(self, x: Tensor, add: Tensor | None = None, relu: bool = False) -> Tensor:
        """Return relu(norm(x) + add), each step where it is asked for."""
        if torch.compiler.is_compiling():
            out = self.normalise(x) if add is None else self.normalise(x) + add
            return out.relu() if relu else out
        fused: Tensor = _Frozen.apply(x, add, self, relu)  # type: ignore[no-untyped-call]
        return fused

    def normalise(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, training=False, eps=self.eps)


class _Frozen(torch.autograd.Function):
    """A frozen norm with what follows it. Its gradient needs the output alone: half the memory of the separate steps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, add: Tensor | None, norm: FrozenNorm, relu: bool) -> Tensor:
        out = norm.normalise(x)
        if add is not None:
            out.add_(add)
        if relu:
            out.relu_()
        ctx.save_for_backward(out if relu else None)
        ctx.norm = norm
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (out,) = ctx.saved_tensors
        if out is not None:
            grad = torch.ops.aten.threshold_backward(grad, out, 0)
        scale = ctx.norm.weight * (ctx.norm.variance + ctx.norm.eps).rsqrt()
        needs_x, needs_add = ctx.needs_input_grad[:2]
        grad_x = grad * scale.to(grad.dtype)[:, None, None] if needs_x else None
        return grad_x, grad if needs_add else None, None, None


class BatchNorm(nn.Module):
    """Batch-norm that learns. `synchronised` takes the statistics of a batch over all processes, on any device.

    torch's own has an integer counter among its weights, and its synchronised one needs GPUs.
    """

    eps: float = EPS
    momentum = 0.1
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, synchronised: bool = False) -> None:
        super().__init__()
        self.synchronised = synchronised
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return running mean and variance `[C]`."""
        return self.running_mean, self.running_var

    def forward(self, x: Tensor) -> Tensor:
        together = self.synchronised and distributed.is_available() and distributed.is_initialized()
        if self.training and together and distributed.get_world_size() > 1:
            return self._normalise_together(x)
        training = self.training and x.numel() > x.shape[1]  # one value has no variance, an empty batch no mean
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training, self.momentum, self.eps)

    def _normalise_together(self, x: Tensor) -> Tensor:
        """Normalise by the statistics over all processes. An empty batch takes part too, or the others would wait."""
        from torch.distributed.nn.functional import all_reduce  # whose gradient is the sum over all processes

        values = x.float()
        count = values.new_full((1,), x.numel() // x.shape[1])
        sums = all_reduce(torch.cat([values.sum(dim=(0, 2, 3)), count]))
        total = sums[-1].clamp(min=1)
        mean = sums[:-1] / total
        centred = values - mean[:, None, None]
        variance = all_reduce((centred * centred).sum(dim=(0, 2, 3))) / total
        with torch.no_grad():
            unbiased = variance * total / (total - 1).clamp(min=1)
            step = self.momentum * (sums[-1] > 0)  # an empty batch in all processes leaves them alone
            self.running_mean.lerp_(mean, step)
            self.running_var.lerp_(unbiased, step)
        scale = self.weight * (variance + self.eps).rsqrt()
        out: Tensor = (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)
        return out


def make_norm(kind: Norm, channels: int) -> nn.Module | None:
    """Make a norm; None for "none". Group norm has 32 groups, fewer if needed for two channels in each."""
    if kind == "none":
        return None
    if kind == "frozen":
        return FrozenNorm(channels)
    if kind == "gn":
        groups = next(count for count in range(min(GROUPS, max(1, channels // 2)), 0, -1) if channels % count == 0)
        return nn.GroupNorm(groups, channels, EPS)
    return BatchNorm(channels, synchronised=kind == "sync_bn")
