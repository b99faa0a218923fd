"""3x3 convolution with a quarter of the multiplications: Winograd's F(4x4, 3x3), its gradients included.

An output tile of 4x4 pixels needs an input tile of 6x6. In one dimension, input and kernel are polynomials, evaluated in
six points (one of them infinity), multiplied there and brought back: 6 products instead of 12; in two dimensions 36
instead of 144. Here, every step is a matrix product, so that it runs at the speed of matrix products on any processor.

The points 0, +-3/4, +-3/2 keep the rounding error as small as that of a direct convolution (1e-6 of the standard deviation
in float32); the textbook's 0, +-1, +-2 double it. Both transforms of pixels hold short binary fractions only, which bfloat16
stores exactly: there the error is five times that of a direct convolution, 0.013 of the standard deviation.

Small maps in float32 may take F(5x5, 3x3): three such tiles hold a RoI's 14 pixels, of which four tiles of 4 waste two. Its
error is 2e-6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

__all__ = ["TILE", "choose_tile", "convolve", "count_tiles", "transform_weight", "weight_gradient"]

KERNEL = 3  # pixels of the kernel
POINTS = {4: (0, 3 / 4, -3 / 4, 3 / 2, -3 / 2), 5: (5 / 16, -5 / 16, 7 / 8, -7 / 8, 7 / 4, -7 / 4)}  # by pixels of a tile
TILE = 4  # pixels of an output tile, but for small maps
SMALL_MAP = 15  # pixels
CHUNK = 256  # tiles at once: what they need stays in the processor's cache


def choose_tile(x: Tensor) -> int:
    """Return the pixels of a tile for an input `[B C H W]`: of small maps, those of which the fewest products are wasted."""
    height, width = x.shape[2:]
    if x.dtype != torch.float32 or max(height, width) > SMALL_MAP:
        return TILE
    return min(POINTS, key=lambda tile: -(-height // tile) * -(-width // tile) * (tile + KERNEL - 1) ** 2)


def count_tiles(size: torch.Size) -> int:
    """Return the number of tiles, of 4x4 pixels, of a map of `size` (height, width)."""
    return -(-size[0] // TILE) * -(-size[1] // TILE)


def transform_weight(weight: Tensor, tile: int = TILE) -> Tensor:
    """Return the kernels `[O C 3 3]` evaluated in the points of a `tile`, `[36 C O]` (of 5 pixels `[49 C O]`)."""
    _, kernel, _ = _matrices(tile)
    points = torch.kron(kernel, kernel).to(weight.device, torch.float32)
    taps = weight.permute(2, 3, 1, 0).reshape(KERNEL * KERNEL, -1)
    return (points @ taps.float()).view(-1, weight.shape[1], weight.shape[0]).to(weight.dtype)


def convolve(x: Tensor, transformed: Tensor, bias: Tensor | None, *, relu: bool = False) -> Tensor:
    """Return the convolution `[B O H W]` of `x` `[B C H W]`, padded by one pixel, with what `transform_weight` returned.

    Channels-last in, channels-last out; in float32, or in bfloat16 with sums in float32.
    """
    tile = math.isqrt(transformed.shape[0]) - KERNEL + 1
    output, _, evaluation = (matrix.to(x) for matrix in _matrices(tile))
    batch, channels, height, width = x.shape
    outputs = transformed.shape[2]
    chunks = _Chunks(x.shape, tile)
    rows, columns = chunks.rows, chunks.columns
    size = (batch, outputs, rows * tile, columns * tile)
    out = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    places = out.permute(0, 2, 3, 1).unflatten(2, (columns, tile)).unflatten(1, (rows, tile))
    cutter, room = _Cutter(x, chunks, tile + KERNEL - 1, before=1), _Room(x, chunks, max(channels, outputs))
    for images, lines in chunks:
        points = room.apply(evaluation, room.gather(cutter.cut(images, lines)))
        products = room.multiply(points, transformed)
        place = places[images, lines]
        pixels = room.apply(output, products).view(tile, tile, place.shape[0], -1, columns, outputs)
        ordered = pixels.permute(2, 3, 0, 4, 1, 5)
        if bias is None:
            place.copy_(ordered)
        else:
            torch.add(ordered, bias, out=place)
        if relu:
            place.relu_()
    if out.shape[2:] == x.shape[2:]:
        return out
    return out[:, :, :height, :width].clone(memory_format=torch.channels_last)


def weight_gradient(x: Tensor, grad: Tensor) -> Tensor:
    """Return the gradient `[O C 3 3]` of the kernels from the input `x` `[B C H W]` and the output's `grad` `[B O H W]`."""
    output, kernel, evaluation = (matrix.to(x) for matrix in _matrices(TILE))
    inputs, outputs = x.shape[1], grad.shape[1]
    side, chunks = TILE + KERNEL - 1, _Chunks(x.shape, TILE)
    total = x.new_zeros(side * side, outputs, inputs)
    spread = output.t().contiguous()
    cutter, room = _Cutter(x, chunks, side, before=1), _Room(x, chunks, inputs)
    grad_cutter, grad_room = _Cutter(grad, chunks, TILE, before=0), _Room(grad, chunks, outputs)
    for images, lines in chunks:
        points = room.apply(evaluation, room.gather(cutter.cut(images, lines)))
        grads = grad_room.apply(spread, grad_room.gather(grad_cutter.cut(images, lines)))
        total.baddbmm_(grads.transpose(1, 2), points)
    taps: Tensor = torch.kron(kernel, kernel).t() @ total.flatten(1)
    return taps.view(KERNEL, KERNEL, outputs, inputs).permute(2, 3, 0, 1)


class _Chunks:
    """The tiles of a map `[B C H W]` in chunks of one size: several small images, or some rows of tiles of a large one.

    A chunk has at most about CHUNK tiles: `lines` of the `rows` of `columns` tiles, of `images` images. Walked, it gives
    the images and rows of each.
    """

    def __init__(self, shape: torch.Size, tile: int) -> None:
        self.batch, _, height, width = shape
        self.tile, self.rows, self.columns = tile, -(-height // tile), -(-width // tile)
        self.images, self.lines = 1, self.rows
        if self.rows * self.columns <= CHUNK:
            self.images = _split(self.batch, CHUNK // max(self.rows * self.columns, 1))
        else:
            self.lines = _split(self.rows, max(1, CHUNK // self.columns))

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        for image in range(0, self.batch, self.images):
            for line in range(0, self.rows, self.lines):
                yield (
                    slice(image, min(image + self.images, self.batch)),
                    slice(line, min(line + self.lines, self.rows)),
                )


def _split(total: int, most: int) -> int:
    """Return the size of the fewest parts, of at most `most`, that `total` falls into evenly."""
    parts = max(-(-total // most), 1)
    return max(-(-total // parts), 1)


class _Cutter:
    """Cuts the tiles of a chunk, `side` pixels wide, out of `[B C H W]` that begins `before` pixels late.

    The rows are copied into one strip with zeros around them, which is written over at each call.
    """

    def __init__(self, x: Tensor, chunks: _Chunks, side: int, before: int) -> None:
        self.pixels, self.tile, self.side, self.before = x.permute(0, 2, 3, 1), chunks.tile, side, before
        sides = (count * chunks.tile + side - chunks.tile for count in (chunks.lines, chunks.columns))
        self.strip = x.new_zeros((chunks.images, *sides, x.shape[1]))

    def cut(self, images: slice, lines: slice) -> Tensor:
        """View the tiles of some images and rows, `[side side B rows columns C]`."""
        _, height, width, _ = self.pixels.shape
        top = lines.start * self.tile - self.before
        bottom = lines.stop * self.tile - self.before + self.side - self.tile
        first, last = max(top, 0), min(bottom, height)
        source = self.pixels[images, first:last]
        strip = self.strip[: source.shape[0], : bottom - top]
        strip[:, : first - top].zero_()
        strip[:, first - top : last - top, self.before : self.before + width].copy_(source)
        strip[:, last - top :].zero_()
        return strip.unfold(1, self.side, self.tile).unfold(2, self.side, self.tile).permute(4, 5, 0, 1, 2, 3)


class _Room:
    """Memory for the steps of one chunk after the other: each step reads one half and writes the other."""

    def __init__(self, x: Tensor, chunks: _Chunks, channels: int) -> None:
        tiles = chunks.images * chunks.lines * chunks.columns
        size = (chunks.tile + KERNEL - 1) ** 2 * tiles * channels
        self.last, self.next = x.new_empty(size), x.new_empty(size)

    def gather(self, tiles: Tensor) -> Tensor:
        """Copy tiles `[n n B rows columns C]` to `[n*n T C]`."""
        self._take(tiles.shape).copy_(tiles)
        return self.last[: tiles.numel()].view(tiles.shape[0] ** 2, -1, tiles.shape[-1])

    def apply(self, matrix: Tensor, tiles: Tensor) -> Tensor:
        """Apply `matrix` `[m n]` to both axes of tiles `[n*n T C]`, giving `[m*m T C]`."""
        rows, columns = matrix.shape
        count, channels = tiles.shape[1:]
        once = torch.mm(matrix, tiles.view(columns, -1), out=self._take((rows, columns * count * channels)))
        many = matrix.expand(rows, rows, columns)
        twice = torch.bmm(many, once.view(rows, columns, -1), out=self._take((rows, rows, count * channels)))
        return twice.view(rows * rows, count, channels)

    def multiply(self, points: Tensor, kernels: Tensor) -> Tensor:
        """Multiply points `[n*n T C]` by kernels `[n*n C O]`, giving `[n*n T O]`."""
        shape = (*points.shape[:2], kernels.shape[2])
        return torch.bmm(points, kernels, out=self._take(shape))

    def _take(self, shape: tuple[int, ...]) -> Tensor:
        self.last, self.next = self.next, self.last
        return self.last[: math.prod(shape)].view(shape)


@cache
def _matrices(tile: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the transforms of output `[4 6]`, kernel `[6 3]` and input `[6 6]`, float64; of a tile of 5, one more of each.

    The product of two polynomials is V(6)^-1 ((V(4) a) * (V(3) b)), V(n) being the powers of the points; a correlation is
    the transpose of that: V(4)^T ((V(3) kernel) * (V(6)^-T input)). What divides V(6)^-T, the distances of a point from the
    others, is left to the kernel.
    """
    points = torch.tensor(POINTS[tile], dtype=torch.float64)

    def powers(count: int) -> Tensor:
        infinity = torch.zeros(1, count, dtype=torch.float64)
        infinity[0, -1] = 1
        return torch.cat([points[:, None] ** torch.arange(count), infinity])

    distances = (points[:, None] - points).fill_diagonal_(1).prod(dim=1)
    divisors = torch.cat([distances, torch.ones(1, dtype=torch.float64)])[:, None]
    evaluation = (torch.linalg.inv(powers(tile + KERNEL - 1)).t() * divisors).round(decimals=12)  # for zeros to be zeros
    return powers(tile).t(), powers(KERNEL) / divisors, evaluation
