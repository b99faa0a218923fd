"""A model beside the library: with a program in its place that answers with altered predictions, and where they are, beside
torchvision, detectron2 and mmdetection themselves."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import maskzoo
from elsewhere_files import read_row_of
from maskzoo.cli import main
from maskzoo.errors import ArgumentError, MaskzooError
from maskzoo.models.build import build
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.counterparts.verify import verify

THIN = (
    "network.channels=16",
    "network.box_features=32",
    "classes={1: cat, 7: dog}",
    "input.short_side=64",
    "input.long_side=96",
)
NARROW = ("network.backbone.width=8",)
LONG_TRAINED = ("network.box_head=4conv1fc", "network.norm=sync_bn", "network.rpn_convs=2", "network.backbone.norm=sync_bn")
OTHER_TORCHVISION = (
    *("network.backbone.groups=32", "network.backbone.group_width=4", "network.backbone.epsilon=0.001", "network.rpn_convs=2"),
    *("limits.proposals.min_side=3.0", "network.roi_align.samples=0"),
)
OTHER_DETECTRON2 = (
    *("network.box_head=4conv1fc", "input.order=rgb", "network.backbone.stride_in_1x1=false"),
    *("network.roi_align={aligned: false, samples: 2}", "limits.proposals.min_side=2.0"),
)
OTHER_MMDETECTION = (
    *("network.backbone.width=16", "network.backbone.groups=32", "network.backbone.group_width=16"),
    "network.anchors.sizes=[[24, 30], [48, 60], [96, 120], [192, 240], [384, 480]]",
)
PEERS = Path(os.environ.get("MASKZOO_PEERS", Path.home() / ".cache" / "maskzoo-peers"))
STAND_IN = """#!{python}
import json, shutil, sys
job = json.load(sys.stdin)
for place, photo in enumerate(job["photos"]):
    shutil.copy("{folder}/answer.npz", photo.replace(".npy", ".npz"))
print("a line of the library's own")
print(json.dumps({{"versions": {{"itself": "1.0"}}, "seconds": [0.1], "notes": ["a note"]}}))
"""


def make_model(path, arch, *overrides):
    """Write a thin model whose scores are high enough to find objects."""
    config = read_row_of(arch, *THIN, "limits.detections.score=0.3", "limits.detections.total=10", *overrides)
    torch.manual_seed(3)
    network = build(config.network, 2, config.limits)
    for name, weight in network.state_dict().items():
        if name.endswith(("score.weight", "logits.weight", "delta.weight")) and "rpn" not in name:
            weight.normal_(0, 1.0)
    write_checkpoint(path, network.state_dict(), config, {})
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, a photo, and a program that takes the library's place."""
    folder = tmp_path_factory.mktemp("files")
    model = make_model(folder / "mine.safetensors", "d2_r50_fpn", "network.backbone.width=8")
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8).repeat(5, 0).repeat(5, 1)
    Image.fromarray(noise).save(folder / "photo.png")
    (folder / "python").write_text(STAND_IN.format(python=sys.executable, folder=folder))
    (folder / "python").chmod(0o755)
    return folder, model


def answer(folder, model, change=lambda **found: found):
    """Let the stand-in answer with our own prediction, changed."""
    found = maskzoo.load(model).predict(folder / "photo.png", score=0)
    assert len(found) >= 3
    told = change(boxes=found.boxes, scores=found.scores, labels=found.labels, masks=found.masks.dense())
    np.savez(folder / "answer.npz", **told | {"masks": np.packbits(told["masks"].reshape(-1))})
    return len(found)


def move(pixels):
    return lambda **found: found | {"boxes": found["boxes"] + np.array([pixels, 0, 0, 0], np.float32)}


def drop(place):
    return lambda **found: {key: np.delete(values, place, axis=0) for key, values in found.items()}


def flip(count):
    def change(masks, **found):
        masks = masks.copy()
        masks[0].reshape(-1)[:count] ^= True
        return found | {"masks": masks}

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (move(0.04), None),
        (move(0.5), "box off by 0.5 pixels"),
        (lambda scores, **found: found | {"scores": scores - 0.0005}, None),
        (lambda scores, **found: found | {"scores": scores - 0.01}, "score by 0.01"),
        (flip(2), None),
        (flip(400), "mask IoU 0."),
        (drop(0), "only maskzoo finds"),
        (lambda labels, **found: found | {"labels": 1 - labels}, "only detectron2 finds"),
    ],
)
def test_what_differs_by_more_than_sums_in_another_order_is_told(files, change, words):
    folder, model = files
    count = answer(folder, model, change)
    found = verify(model, folder / "photo.png", "detectron2", python=folder / "python")
    assert [(row.ours, Path(row.photo).name) for row in found.photos] == [(count, "photo.png")]
    assert found.versions == {"itself": "1.0"} and found.notes == ["a note"] and found.differences == ()
    assert found.to_dict()["passed"] is (words is None)
    assert any(words in text for text in found.faults) if words else found.faults == []


def test_the_command_prints_both_and_ends_with_3_where_they_differ(files, capsys):
    folder, model = files
    call = ["verify", str(model), str(folder / "photo.png"), "--against", "detectron2", "--python", str(folder / "python")]
    answer(folder, model)
    with pytest.raises(SystemExit) as end:
        main(call)
    said = capsys.readouterr().out
    assert end.value.code == 0 and "They give the same." in said and "Beside itself 1.0" in said and "Note: a note" in said
    answer(folder, model, move(2))
    with pytest.raises(SystemExit) as end:
        main([*call, "--json"])
    assert end.value.code == 3 and json.loads(capsys.readouterr().out)["faults"]


def test_what_cannot_be_run_is_refused_before_anything_is_written(files, tmp_path):
    folder, model = files
    with pytest.raises(ArgumentError, match="against is 'paddle'; expected torchvision, detectron2, mmdetection"):
        verify(model, folder, "paddle")
    with pytest.raises(ArgumentError, match="is not a program"):
        verify(model, folder, "torchvision", python=folder / "photo.png")
    with pytest.raises(ArgumentError, match=r"mmdetection is not installed beside maskzoo .*--python VENV/bin/python"):
        verify(model, folder, "mmdetection")
    with pytest.raises(MaskzooError, match=r"detectron2 did not run the model in .*python: ModuleNotFoundError"):
        verify(model, folder / "photo.png", "detectron2", python=sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "arch", "overrides"),
    [
        ("torchvision", "tv_r50_fpn", ()),
        ("torchvision", "tv_r50_fpn_v2", ()),
        ("torchvision", "tv_r50_fpn", OTHER_TORCHVISION),
        ("detectron2", "d2_r50_fpn", NARROW),
        ("detectron2", "d2_r50_fpn", (*NARROW, *LONG_TRAINED)),
        ("detectron2", "d2_r50_fpn", (*NARROW, *OTHER_DETECTRON2)),
        ("mmdetection", "mm_r50_fpn_caffe", NARROW),
        ("mmdetection", "mm_r50_fpn", (*NARROW, *LONG_TRAINED, "network.backbone.depth=101", "network.backbone.epsilon=0.01")),
        ("mmdetection", "mm_r50_fpn", OTHER_MMDETECTION),
    ],
)
def test_a_library_loads_what_is_written_for_it_and_finds_the_same(files, library, arch, overrides, tmp_path):
    python = PEERS / library / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"{library} is not installed: benchmarks/peers.sh {library}")
    model = make_model(tmp_path / "mine.safetensors", arch, *overrides)
    found = verify(model, files[0] / "photo.png", library, python=python)
    assert found.faults == [] and found.differences == () and found.photos[0].matched >= 3
