"""Whatever numbers a data set gives its classes, they mean the same in its checkpoints, predictions and exports."""

import json

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskzoo.datasets.classes import ClassMap
from maskzoo.exporting.onnx import Facts
from maskzoo.inference.prediction import make_prediction
from maskzoo.weights.checkpoint import read_checkpoint_config, write_checkpoint
from maskzoo.zoo.rows import names, read_row

ROW = read_row(names()[0])
IDS = st.integers(0, 2**63 - 1) | st.integers(0, 12)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
LAYOUTS = st.lists(st.tuples(IDS, TEXTS), min_size=1, max_size=8, unique_by=lambda one: one[0])


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LAYOUTS)
def test_ids_names_and_their_order_travel(tmp_path, layout):
    ids, texts = zip(*layout, strict=True)
    classes = ClassMap(ids, texts)
    config = ROW.model_copy(update={"classes": classes.to_classes()})

    write_checkpoint(tmp_path / "some.safetensors", {"weight": torch.zeros(1)}, config, {})
    config = read_checkpoint_config(tmp_path / "some.safetensors")
    assert ClassMap.from_classes(config.classes) == classes

    metadata = Facts(config, None, {}).to_metadata()
    assert [(int(key), name) for key, name in json.loads(metadata["classes"]).items()] == layout
    config = Facts.from_metadata(metadata, "some.onnx").config
    assert ClassMap.from_classes(config.classes) == classes

    count = len(classes)
    boxes, scores, masks = np.float32([[1, 1, 9, 9]] * count), np.ones(count, np.float32), np.ones((count, 7, 7), np.float32)
    found = make_prediction(boxes, scores, np.arange(count), masks, size=(10, 10), scale=(1.0, 1.0), classes=config.classes)
    assert (found.names, [row["category_id"] for row in found.to_coco(1)]) == (texts, list(ids))
