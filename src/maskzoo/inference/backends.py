"""What runs the network for a predictor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maskzoo.errors import ConfigError
from maskzoo.inference.ordered_threads import check_threads
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.packing import PackedConv, pack
from maskzoo.models.roi_heads import FpnRoiHeads
from maskzoo.structures import Detections, ImageBatch
from maskzoo.system.devices import explained_operators

__all__ = ["Backend", "Compiled", "Eager", "PhotoBackend"]

STRIDE = 32  # pixels: a canvas of a network with a pyramid is a multiple
MOST_WORKERS = 8  # each holds the features of its own images, about 1 GB at 800 x 1333


class Backend(Protocol):
    """A network that is ready to run: PyTorch's, or one inside another runtime."""

    name: str
    dtype: str

    def detect(self, batch: ImageBatch) -> Detections:
        """Return detections with masks, without empty slots, on the CPU, in pixels of the resized images."""
        ...

    def choose_workers(self) -> int:
        """Return how many images to work on at once, in threads."""
        ...

    def hash_weights(self) -> str:
        """Return the SHA-256 of the weights, as they lie in this backend."""
        ...


class PhotoBackend(Backend, Protocol):
    """A backend whose network takes whole photos as well."""

    def detect_photo(self, pixels: NDArray[np.uint8]) -> Detections:
        """Return what is on one photo, RGB `[H W 3]`, in pixels of the photo."""
        ...


class Eager:
    """PyTorch, operator by operator. The network is packed: norms folded, layers fused, memory channels-last.

    It takes ownership of the network, which can no longer train.
    """

    name = "eager"

    def __init__(self, model: MaskRCNN, device: torch.device, dtype: torch.dtype) -> None:
        check_threads(torch_alone=True)  # folding weights starts them
        self.device, self.dtype = device, str(dtype).removeprefix("torch.")
        self.model = model.eval().requires_grad_(False)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        pack(self.model)
        self.model.to(device, dtype)
        self._dtype = dtype
        if dtype != torch.float32:
            _keep_last_layers(self.model)

    def choose_workers(self) -> int:
        """One for each thread of the CPU, or enough to keep a GPU fed."""
        return min(torch.get_num_threads() if self.device.type == "cpu" else 2, MOST_WORKERS)

    def hash_weights(self) -> str:
        """Return the SHA-256 of the weights; ask before the first image, which puts them into oneDNN's order."""
        digest = hashlib.sha256()
        for tensor in (*self.model.parameters(), *self.model.buffers()):
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @torch.inference_mode()
    def detect(self, batch: ImageBatch) -> Detections:
        """Run the network on a batch: the mask head on real detections only."""
        on_device = ImageBatch(batch.pixels.to(self.device, self._dtype), batch.sizes.to(self.device))
        with explained_operators(self.device):
            detections, table = self.model.find(on_device)
            done = self.model.add_masks(detections.trimmed(), table)
        masks = None if done.masks is None else done.masks.cpu()
        return Detections(done.boxes.cpu(), done.scores.cpu(), done.labels.cpu(), done.rois.cpu(), done.valid.cpu(), masks)


def _keep_last_layers(model: MaskRCNN) -> None:
    """Put what gives scores and deltas back into float32: logits of 8 bits are equal for many boxes, and mix up their order."""
    model.rpn.conv.register_forward_hook(_widen_output)
    predictors = [stage.box for stage in model.heads.stages]
    for predictor in predictors:
        predictor.register_forward_pre_hook(_widen_input)
    for layer in (model.rpn.score, model.rpn.delta, *predictors):
        layer.float()


def _widen_output(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.float()


def _widen_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0].float(),)


class Compiled(Eager):
    """PyTorch, its convolutions and linear layers compiled by torch.compile; what depends on the data stays eager.

    Sizes are symbols in the programs, so that one serves all canvases, unpadded: torch makes another only where a level's
    side, or the batch, is 1, and for up to 15 RoIs; after eight of a part it goes on without compiling. A number of threads
    has programs of its own.
    """

    name = "compile"

    def __init__(self, model: MaskRCNN, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(model, device, dtype)
        for layer in self.model.modules():
            if isinstance(layer, PackedConv):
                layer.prepare_compiling()
        freeze = device.type == "cpu"
        side = STRIDE if self.model.pyramid is not None else 1
        setattr(self.model, "features", _compile_canvas(self.model.features, side, freeze))  # noqa: B010  a method
        parts: list[tuple[Any, str, tuple[int, ...]]] = [
            (self.model.rpn, "score_level", (0, 2, 3)),
            (self.model.heads, "mask_head", (0,)),
        ]
        if isinstance(self.model.heads, FpnRoiHeads):  # C4's boxes come from its mask head
            parts += [(stage, "box_head", (0,)) for stage in self.model.heads.stages]
        for module, method, axes in parts:
            setattr(module, method, _compile(getattr(module, method), axes, freeze))

    def choose_workers(self) -> int:
        """One: each worker is another thread, which would need another program."""
        return 1

    def detect(self, batch: ImageBatch) -> Detections:
        """Run the network on a batch; the first one compiles it. Raises ConfigError where torch cannot."""
        try:
            return super().detect(batch)
        except torch._dynamo.exc.TorchDynamoException as error:
            why = str(error).strip().partition("\n")[0]
            advice = "see `maskzoo doctor`, or choose backend eager"
            raise ConfigError(f"torch could not compile the network ({why}); {advice}") from error


def _compile(work: Callable[[Tensor], Any], axes: tuple[int, ...], freeze: bool) -> Callable[[Tensor], Any]:
    """Compile `work`, its input's sizes along `axes` being symbols; `freeze`, for a CPU, lets the compiler reorder weights."""
    program = torch.compile(work, options={"freezing": True} if freeze else None)

    def run(x: Tensor) -> Any:
        torch._dynamo.maybe_mark_dynamic(x, axes)
        return program(x)

    return run


def _compile_canvas(work: Callable[[Tensor], Any], side: int, freeze: bool) -> Callable[[Tensor], Any]:
    """Compile `work` on pixels `[B 3 H W]`; the program is given blocks of `side` pixels: it knows what divides H, W."""

    def join(blocks: Tensor) -> Any:
        batch, down, _, across, _, channels = blocks.shape
        return work(blocks.reshape(batch, down * side, across * side, channels).permute(0, 3, 1, 2))

    program = _compile(join, (0, 1, 3), freeze)

    def run(pixels: Tensor) -> Any:
        return program(pixels.permute(0, 2, 3, 1).unflatten(2, (-1, side)).unflatten(1, (-1, side)))

    return run
