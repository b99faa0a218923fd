"""From a photo to the network's input, inside an ONNX graph: what `resize_image` and `make_batch` do outside.

OpenCV's cubic resize is two products with matrices that are mostly zero. Places between pixels are fractions of whole numbers,
as exact as OpenCV's double precision: some 30 values of a million differ, by one grey level (3 in 100 where the photo has
sides of less than 4 pixels, for which OpenCV has a kernel of its own).
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from maskzoo.config import Input
from maskzoo.export.program import INPUTS

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["add_preparation", "make_preparation"]


def add_preparation(model: ModelProto, settings: Input) -> ModelProto:
    """Return the model with one input, `photo` uint8 `[height width 3]` in RGB; its boxes are in pixels of the photo."""
    import onnx
    import onnx.compose

    preparation = make_preparation(settings)
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


def make_preparation(settings: Input) -> ModelProto:
    """Return the graph from `photo` to `images` `[1 3 H W]`, `sizes` `[1 2]`, and `scale`: across, down, across, down."""
    import onnx.inliner
    import onnx.parser

    text = files("maskzoo.export").joinpath("preparation.txt").read_text(encoding="utf-8")
    values = {
        "SHORT_SIDE": settings.short_side,
        "LONG_SIDE": settings.long_side,
        "MULTIPLE": settings.canvas_multiple,
        "BEYOND": settings.canvas_multiple - 1,
        "LEVEL": float(np.float32(1 / 255)),
        "MEAN": ", ".join(map(str, settings.mean)),
        "DEVIATION": ", ".join(map(str, settings.std)),
    }
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines)
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", f"{{{value}}}")
    model = onnx.inliner.inline_local_functions(onnx.parser.parse_model(text))
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    domains = [domain for domain in model.opset_import if not domain.domain]  # the inlined function's goes
    del model.opset_import[:]
    model.opset_import.extend(domains)
    return model
