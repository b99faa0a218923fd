"""The true gradient of RoIAlign for thin RoIs, which Paddle's CPU kernel gets wrong.

Its backward pass takes a RoI's side for one feature cell at least, which its forward pass with `aligned=True` does not, nor the
GPU's kernel with which the published weights were trained. Every RoI with a side of less than a cell is therefore computed a
second time as two products with constant matrices, for the gradient alone: values stay those of the kernel.
"""

import sys
from typing import Any

import numpy as np

AGREEMENT = 1e-4  # how far the products may lie from the kernel's values, in standard deviations


def mend_roi_align() -> list[tuple[int, int]]:
    """Replace `paddle.vision.ops.roi_align`. Return a list that grows by (thin RoIs, RoIs) of each call that had thin ones."""
    import paddle

    kernel = paddle.vision.ops.roi_align
    calls: list[tuple[int, int]] = []

    def roi_align(x, boxes, boxes_num, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=True, name=None):  # type: ignore[no-untyped-def]
        pooled = kernel(x, boxes, boxes_num, output_size, spatial_scale, sampling_ratio, aligned)
        corners = boxes.numpy().astype(np.float64) * spatial_scale - 0.5
        sides = corners[:, 2:] - corners[:, :2]
        thin = np.flatnonzero((sides < 1).any(axis=1) & (sides > 0).all(axis=1))
        if not aligned or sampling_ratio > 0 or len(thin) == 0:
            return pooled
        calls.append((len(thin), len(corners)))
        images = np.repeat(np.arange(len(x)), boxes_num.numpy())
        products = paddle.stack([_pool(x[int(images[roi])], corners[roi], output_size) for roi in thin])
        values = pooled.detach()
        error = float((values[paddle.to_tensor(thin)] - products.detach()).abs().max() / values.std())
        if error > AGREEMENT:
            sys.exit(f"RoIAlign by products differs from Paddle's kernel by {error:.1e} deviations: their rules differ")
        exact = paddle.scatter(paddle.zeros_like(pooled), paddle.to_tensor(thin), products)
        others = np.ones((len(corners), 1, 1, 1), np.float32)
        others[thin] = 0
        others = paddle.to_tensor(others)
        return pooled * others + exact + (values - exact.detach()) * (1 - others)

    paddle.vision.ops.roi_align = roi_align
    return calls


def _pool(feature: Any, corners: np.ndarray, bins: int) -> Any:
    """RoIAlign of one RoI on a feature map `[C H W]`, its corners in cells: interpolation separates into rows and columns."""
    import paddle

    left, top, right, bottom = corners
    rows = paddle.to_tensor(interpolate(top, bottom, bins, feature.shape[1]))
    columns = paddle.to_tensor(interpolate(left, right, bins, feature.shape[2]))
    return paddle.matmul(paddle.matmul(rows, feature), columns, transpose_y=True)


def interpolate(start: float, end: float, bins: int, cells: int) -> np.ndarray:
    """Return the weights `[bins, cells]` of a line's cells in its bins: the mean of each bin's bilinear samples."""
    grid = int(np.ceil((end - start) / bins))
    samples = start + (end - start) / bins * (np.arange(bins)[:, None] + (np.arange(grid) + 0.5) / grid)
    counted = (samples >= -1) & (samples <= cells)
    samples = samples.clip(0, cells - 1)
    low = samples.astype(int)
    share = samples - low
    weights = np.zeros((bins, cells))
    rows = np.broadcast_to(np.arange(bins)[:, None], samples.shape)
    np.add.at(weights, (rows, low), (1 - share) * counted / grid)
    np.add.at(weights, (rows, np.minimum(low + 1, cells - 1)), share * counted / grid)
    return weights.astype(np.float32)
