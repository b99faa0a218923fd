"""From a photo to the network's input, inside an ONNX graph: what `resize_photo` and `batch_resized` do outside.

OpenCV's cubic resize is two products with matrices that are mostly zero. Factors and places between pixels are fractions of
whole numbers, as exact as OpenCV's double precision: some 30 values of a million differ, by one grey level (3 in 100 where
the photo has sides of less than 4 pixels, for which OpenCV has a kernel of its own).
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.config import Input
from maskzoo.exporting.program import INPUTS, PHOTO
from maskzoo.images.batch import batch_resized
from maskzoo.images.resize import resize_photo
from maskzoo.inference.backends import Backend
from maskzoo.structures import Detections, ImageBatch
from maskzoo.system.packages import import_extra

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["PreprocessingBackend", "add_preprocessing", "make_preprocessing"]

# Of a photo's values that may be off, by one grey level. Usual are 3e-5; photos of 160 or 480 pixels, enlarged by fifths and
# thirds, have more sums that are exact halves, which float32 rounds either way: 2.2e-4.
MOST_OFF = 3e-4
FEW_OFF = 10  # values that may be off in any photo: in a narrow one they are more than that share
MOST_BEYOND = 1e-3  # pixels by which the place where boxes end may be off


def add_preprocessing(model: ModelProto, settings: Input) -> ModelProto:
    """Return the model with one input, `photo` uint8 `[height width 3]` in RGB; its boxes are in pixels of the photo."""
    import onnx
    import onnx.compose

    preparation = make_preprocessing(settings)
    preparation = onnx.compose.add_prefix(preparation, "preparation/", rename_inputs=False, rename_outputs=False)
    preparation.ir_version = model.ir_version
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = ["canvas_boxes" if name == "boxes" else name for name in values]
    own = [value.name for value in model.graph.output]
    model.graph.output[own.index("boxes")].name = "canvas_boxes"
    whole = onnx.compose.merge_models(preparation, model, io_map=[(name, name) for name in INPUTS])
    whole.graph.node.add(op_type="Div", name="to_photo", input=["canvas_boxes", "scale"], output=["boxes"])
    outputs = {value.name: value for value in whole.graph.output}
    outputs["canvas_boxes"].name = "boxes"
    outputs["boxes"] = outputs["canvas_boxes"]
    del whole.graph.output[:]
    whole.graph.output.extend(outputs[name] for name in own)
    for value in whole.graph.output:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    whole.producer_name = model.producer_name
    return whole


def make_preprocessing(settings: Input) -> ModelProto:
    """Return the graph from `photo` to `images` `[1 3 H W]`, `sizes` `[1 2]`, and `scale`: across, down, across, down."""
    import onnx.inliner
    import onnx.numpy_helper
    import onnx.parser

    text = files("maskzoo.exporting").joinpath("preprocessing.onnxtxt").read_text(encoding="utf-8")
    model = onnx.inliner.inline_local_functions(onnx.parser.parse_model(text))
    values: dict[str, NDArray[Any]] = {
        "short_side": np.array([settings.short_side], np.int64),
        "long_side": np.array([settings.long_side], np.int64),
        "rounded": np.array([settings.resize == "rounded"]),
        "multiple": np.array([settings.canvas_multiple], np.int64),
        "beyond": np.array([settings.canvas_multiple - 1], np.int64),
        "mean": np.array(settings.mean, np.float32)[:, None, None],
        "deviation": np.array(settings.std, np.float32)[:, None, None],
    }
    for constant in model.graph.initializer:
        if constant.name in values:
            constant.CopyFrom(onnx.numpy_helper.from_array(values[constant.name], constant.name))
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    domains = [domain for domain in model.opset_import if not domain.domain]  # the inlined function's goes
    del model.opset_import[:]
    model.opset_import.extend(domains)
    return model


class PreprocessingBackend:
    """A backend on pixels that an exported preparation made: what a file that takes whole photos is compared with.

    One grey level moves a box by thousandths of a pixel, so that the preparation is compared with ours separately.
    """

    def __init__(self, backend: Backend, settings: Input) -> None:
        runtime = import_extra("onnxruntime")
        self.name, self.dtype = backend.name, backend.dtype
        self._backend, self._settings = backend, settings
        self._session = runtime.InferenceSession(make_preprocessing(settings).SerializeToString())

    def detect(self, batch: ImageBatch) -> Detections:
        return self._backend.detect(batch)

    def choose_workers(self) -> int:
        return self._backend.choose_workers()

    def hash_weights(self) -> str:
        return self._backend.hash_weights()

    def detect_photo(self, pixels: NDArray[np.uint8]) -> Detections:
        """Return what is on one photo, RGB `[H W 3]`, in pixels of the photo."""
        images, sizes, scale = (torch.from_numpy(values) for values in self._session.run(None, {PHOTO: pixels}))
        found = self._backend.detect(ImageBatch(images, sizes))
        return replace(found, boxes=found.boxes / scale)

    def find_fault(self, pixels: NDArray[np.uint8]) -> str | None:
        """Say by how much the prepared photo differs from ours, where that is more than it may be."""
        settings = self._settings
        batch = batch_resized([resize_photo(pixels, settings)], settings)
        images, sizes, _ = self._session.run(None, {PHOTO: pixels})
        if images.shape != batch.pixels.shape or np.abs(sizes - batch.sizes.numpy()).max() > MOST_BEYOND:
            return f"it is prepared as {sizes[0].tolist()} pixels on {list(images.shape)}; expected {batch.sizes[0].tolist()}"
        off = images - batch.pixels.numpy()
        levels = np.abs(off) * np.array(settings.std, np.float32)[:, None, None] * 255
        most, count = float(levels.max()), int((levels > 0.5).sum())
        allowed = max(FEW_OFF, int(MOST_OFF * levels.size))
        if most < 1.5 and count <= allowed:
            return None
        return (
            f"{count:,} of {levels.size:,} prepared values are off, by {most:.0f} grey levels at most; {allowed:,} may be, by 1"
        )
