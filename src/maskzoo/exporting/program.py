"""The network as a program of tensors: what every export holds."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maskzoo.errors import ExportError
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.packing import pack
from maskzoo.structures import ImageBatch

__all__ = ["INPUTS", "OUTPUTS", "PHOTO", "Inputs", "Program", "to_inputs", "trace"]

Inputs = dict[str, NDArray[Any]]  # of a graph, by name
INPUTS = ("images", "sizes")
PHOTO = "photo"  # the only input of a graph that prepares photos itself
OUTPUTS = ("boxes", "scores", "labels", "valid", "masks")


class Program(nn.Module):
    """`MaskRCNN.forward` with tensors for the types around it; norms are folded into the convolutions.

    In: `images` float32 `[B 3 H W]`, normalised RGB, zero beyond each image, H and W multiples of 32; `sizes` float32
    `[B 2]`, each image's true height and width. Out, D slots an image, in pixels of `images`: `boxes` float32 `[B D 4]`,
    `scores` float32 `[B D]`, `labels` int64 `[B D]`, `valid` bool `[B D]`, `masks` float32 `[B D M M]`. Takes the network
    over.
    """

    def __init__(self, network: MaskRCNN) -> None:
        super().__init__()
        if network.limits.detections.suppression != "hard":
            raise ExportError(
                "limits.detections.suppression: found soft; expected hard in a file for other runtimes, which have no soft "
                "suppression; set limits.detections.suppression=hard, or predict by backend eager"
            )
        pack(network)
        self.network = network.eval().requires_grad_(False)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        found = self.network(ImageBatch(images, sizes))
        return found.boxes, found.scores, found.labels, found.valid, found.masks


def to_inputs(batch: ImageBatch) -> Inputs:
    """Return a batch as the inputs of a graph that does not prepare photos itself."""
    return dict(zip(INPUTS, (batch.pixels.contiguous().numpy(), batch.sizes.numpy()), strict=True))


def trace(program: Program, fixed: tuple[int, int] | None = None, multiple: int = 32) -> torch.export.ExportedProgram:
    """Trace the program for every batch and canvas (sides of a `multiple`), or for one canvas, `fixed` (height, width)."""
    height, width = fixed or (96, 128)
    example = (torch.zeros(2, 3, height, width), torch.tensor([[height, width], [height, width]], dtype=torch.float32))
    batch = torch.export.Dim("batch", min=1)
    canvas = {} if fixed else {axis: _name_side(name, multiple) for axis, name in ((2, "down"), (3, "across"))}
    shapes = {"images": {0: batch, **canvas}, "sizes": {0: batch}}
    with torch.no_grad():
        return torch.export.export(program, example, dynamic_shapes=shapes, strict=False)


def _name_side(name: str, multiple: int) -> Any:
    if multiple > 1:
        return multiple * torch.export.Dim(name, min=1)
    return torch.export.Dim(name, min=17)  # two cells of res4: one would be a case of its own for the tracer
