"""How long a call takes, and what the hardware can do at most."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

__all__ = ["find_peak", "time_call"]

SIDE = 2048  # of the matrices: 17 GFLOP, far beyond every cache
CHANNELS, HEIGHT, WIDTH = 256, 100, 152  # P3 of a photo of 800 x 1216: 18 GFLOP by a 3x3 convolution
REPEATS = 3


@torch.inference_mode()
def find_peak(dtype: torch.dtype, device: torch.device) -> float:
    """Return the most operations a second that torch reaches here: the better of a matrix product and a convolution."""
    matrix = torch.randn(SIDE, SIDE, device=device).to(dtype)
    maps = torch.randn(1, CHANNELS, HEIGHT, WIDTH, device=device).to(dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(CHANNELS, CHANNELS, 3, 3, device=device).to(dtype).contiguous(memory_format=torch.channels_last)
    product = 2 * SIDE**3 / _time_best(lambda: matrix @ matrix, device)
    convolution = 2 * 9 * CHANNELS**2 * HEIGHT * WIDTH / _time_best(lambda: F.conv2d(maps, weight, padding=1), device)
    return max(product, convolution)


def time_call(call: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of a call, until the device has done what it asked for."""
    start = time.perf_counter()
    call()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - start


def _time_best(call: Callable[[], object], device: torch.device) -> float:
    return min(time_call(call, device) for _ in range(REPEATS + 1))  # the first one warms up, and is never the best
