"""The readers of files that are not trusted, each as a function of bytes, with sound files to begin from.

`tools/fuzz.py` drives them by what they cover, `tests/reliability/test_fuzzing.py` by chance alone.
"""

import io
import json
import pickle
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from coco_files import make_data
from encoded_pictures import ENCODED, MORE_ENCODED
from hostile_annotations import make_results
from maskzoo.datasets.class_edits import read_class_edits
from maskzoo.datasets.coco_reader import pack_annotations, read_annotations
from maskzoo.datasets.importers.xml_files import parse_xml
from maskzoo.datasets.nesting import describe_nesting, join_columns, nest
from maskzoo.datasets.rle import decode_runs, measure_runs, read_counts
from maskzoo.datasets.run_forms import mend_runs
from maskzoo.errors import MaskzooError
from maskzoo.evaluation.results import check_results
from maskzoo.images.read import UNTRUSTED_PIXELS, check_untrusted, read_image
from maskzoo.images.sources import read_list, read_tar
from maskzoo.model_file import dump_config, parse_config, parse_settings
from maskzoo.system.json_text import parse_json
from maskzoo.system.yaml_text import parse_yaml_text
from maskzoo.weights.checkpoint import read_checkpoint, write_checkpoint
from maskzoo.weights.foreign import read_tensors
from maskzoo.weights.object_pickles import read_objects
from maskzoo.weights.pickles import read_pickle
from maskzoo.zoo.rows import read_row
from maskzoo.zoo.toolkit_configs import parse_python_config, read_yaml_config
from networks import FPN, small_config

ARRAYS = {"a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "b": np.ones(3, np.float64), "n": np.int64(3)}
PYTHON = """
_base_ = './base.py'
n = 80
model = dict(type='MaskRCNN', classes=n + 1, lr=-0.02 / 8, scales=list((8,)), **dict(a=1))
pipeline = [dict(type='Resize', scale=[(1333, 640)][0]), {'type': 'Pad', 'divisor': 2 * 16}] + [None]
depth = model.classes
"""
YAML = "_BASE_: []\nMODEL: {DEPTH: 50, RPN: &rpn {NMS: 0.7, TOPK: '(1, 2)'}}\nb: !Piecewise {gamma: 1e-4}\nc: [*rpn, 1, ~]\n"
XML = "<annotation><size><width>5</width></size><object><name>a &amp; b</name><bndbox x='1'/></object></annotation>"


@dataclass(frozen=True)
class Target:
    """A reader: `read(content, path)` raises nothing but `refuses`; `path` is a file with the content, or to put it in."""

    read: object
    seeds: list
    refuses: tuple = (MaskzooError,)
    suffix: str = ""  # of a file that has to be there

    def try_one(self, content, folder):
        """Read a content; whether it was not refused."""
        path = folder / f"a{self.suffix}"
        if self.suffix:
            path.write_bytes(content)
        try:
            self.read(content, path)
        except self.refuses:
            return False
        return True


def _save(write):
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def _make_tar():
    def write(stream):
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in ("a.png", "inner/b.jpg", "ü.png"):
                member = tarfile.TarInfo(name)
                member.size = 300
                archive.addfile(member, io.BytesIO(bytes(300)))

    return _save(write)


def _make_checkpoint():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        write_checkpoint(path, {"a": torch.ones(2, 3)}, small_config(FPN), {"source": "random"})
        return path.read_bytes()


def _read_runs(content, _):
    side = max(1, len(content))
    areas, sound = measure_runs([content, content[: side // 2] or b"0"], [side * side, 4096])
    for size, text, good in ((side, content, sound[0]), (64, content[: side // 2], sound[1])):
        if good:
            assert read_counts(text).sum() == size * size and decode_runs(text, (size, size)).shape == (size, size)
    return areas


def _read_outline(content, _):
    outline = parse_json(content)
    describe_nesting(outline)
    join_columns(outline, [1, 2, 30, 30])
    mend_runs(outline, (60, 80), [1, 2, 30, 30])
    for polygon in nest(outline) or ():
        assert all(type(number) in (int, float) for number in polygon)


TRUTH = pack_annotations(make_data(), "truth.json")
TEXTS = (MaskzooError, ValueError)
PICTURES = [*ENCODED.values(), *MORE_ENCODED.values()]
PLAIN = [pickle.dumps(ARRAYS, protocol) for protocol in range(6)]
OBJECTS = [pickle.dumps({"model": ARRAYS, "args": {1, 2}}, protocol) for protocol in range(6)]
STATE = {"a": torch.ones(2, 3), "b": {"c": torch.zeros(2, dtype=torch.bfloat16)}}
TORCH = [_save(lambda stream, new=new: torch.save(STATE, stream, _use_new_zipfile_serialization=new)) for new in (True, False)]
CHECKPOINT = _make_checkpoint()
COCO = [json.dumps(make_data(1, 4)).encode(), json.dumps(make_data(1, 1), indent=1).encode()]
MODELS = [dump_config(config).encode() for config in (small_config(FPN), read_row("mask_rcnn_r50_1x_coco"))]
OUTLINES = [
    [[1, 2, 30, 4, 30, 30]],
    [[[1, 2], [3, 4], [30, 30]]],
    {"size": [60, 80], "counts": [10, 20, 4770]},
    "POLYGON ((1 2, 3 4, 5 6))",
    {"xs": [1, 2, 3], "ys": [1, 2, 3]},
    [{"x": 1, "y": "2"}] * 3,
]


def _text(content):
    return content.decode("utf-8", "replace")


TARGETS = {
    "picture": Target(lambda content, _: read_image(content, max_pixels=UNTRUSTED_PIXELS), PICTURES),
    "header": Target(lambda content, _: check_untrusted(content, "it"), PICTURES),
    "pdparams": Target(lambda content, _: read_pickle(content), PLAIN),
    "objects": Target(lambda content, _: read_objects(content), OBJECTS),
    "torch": Target(lambda _, path: read_tensors(path), TORCH, suffix=".pth"),
    "checkpoint": Target(lambda _, path: read_checkpoint(path), [CHECKPOINT], suffix=".safetensors"),
    "foreign safetensors": Target(lambda _, path: read_tensors(path), [CHECKPOINT], suffix=".safetensors"),
    "yaml": Target(lambda content, _: parse_yaml_text(_text(content)), [YAML.encode(), b"a: [0x1f, .5e3, ~]\nb: 'c'\n"], TEXTS),
    "model file": Target(lambda content, _: parse_config(_text(content), "it"), MODELS),
    "setting": Target(lambda content, _: parse_settings([_text(content)]), [b"epochs=3", b"rates.base=[1, 2]", b"seed=0x10"]),
    "toolkit yaml": Target(
        lambda _, path: read_yaml_config(path), [YAML.encode(), b"a: (640, 672)\nb: '{1: [2]}'\n"], suffix=".yml"
    ),
    "python": Target(lambda content, _: parse_python_config(_text(content), "it"), [PYTHON.encode()]),
    "class map": Target(
        lambda _, path: read_class_edits(path), [b"cat: [cats, kitten]\ndog:\ndrop: [a]\nrest: keep\n"], suffix=".yml"
    ),
    "json": Target(lambda content, _: parse_json(content), COCO, (ValueError,)),
    "annotations": Target(lambda _, path: read_annotations(path), COCO, suffix=".json"),
    "results": Target(
        lambda content, _: check_results(parse_json(content), TRUTH, "it"), [json.dumps(make_results(0, 0, 2)).encode()], TEXTS
    ),
    "runs": Target(_read_runs, [b"0P1", b"`1000O2", b"PPYo1N"]),
    "outline": Target(_read_outline, [json.dumps(one).encode() for one in OUTLINES], (ValueError,)),
    "xml": Target(lambda content, _: parse_xml(io.BytesIO(content), "it"), [XML.encode(), XML.encode("utf-16")]),
    "tar": Target(lambda _, path: read_tar(path), [_make_tar()], suffix=".tar"),
    "list": Target(lambda _, path: read_list(path), ["a.png\nb/c.jpg\n\nü.png".encode()], suffix=".txt"),
}
