"""Exported files find what the network finds, in other sizes and batches than they were traced with."""

import json
import pickle
import subprocess
import sys

import onnx
import openvino
import pytest
import torch
from PIL import Image

import maskzoo
from exports import BOX_PIXELS, CASCADE, KINDS, OTHER_LIBRARIES, SIZES, compare, make_facts
from maskzoo.errors import ExportError
from maskzoo.exporting.example import make_example
from maskzoo.exporting.onnx import Facts, read_facts, write_onnx
from maskzoo.exporting.onnx_preprocessing import add_preprocessing
from maskzoo.exporting.openvino import convert_onnx, read_openvino_facts
from maskzoo.exporting.program import Program, to_inputs
from maskzoo.exporting.runtimes import OnnxRuntime, OpenVino
from maskzoo.exporting.verify import verify
from maskzoo.images.batch import make_batch
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from maskzoo.structures import ImageBatch
from networks import C4, DCN, FPN, make_photo, small_config, small_network

PUBLISHED = {
    "r50 c4": (C4,),
    "r50": (FPN,),
    "r50 vd": (FPN, "network.backbone.variant=d"),
    "r101": (FPN, "network.backbone.depth=101"),
    "r101 vd": (FPN, "network.backbone.depth=101", "network.backbone.variant=d"),
    "x101 vd 64x4d": (FPN, "network.backbone.depth=101", "network.backbone.variant=d", "network.backbone.groups=4"),
    "r50 gn": ("mask_rcnn_r50_fpn_gn_2x_coco",),
    "r50 cascade": ("cascade_mask_rcnn_r50_fpn_1x_coco",),
    "r50 dcn": (DCN,),
}


@pytest.fixture(scope="module", params=(*KINDS.values(), OTHER_LIBRARIES, CASCADE), ids=(*KINDS.keys(), "others", "cascade"))
def exported(request, tmp_path_factory):
    config = small_config(*request.param)
    path = tmp_path_factory.mktemp("onnx") / "thin.onnx"
    write_onnx(Program(small_network(config)), make_facts(config), path)
    return config, path


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_onnxruntime_finds_what_the_network_finds(exported, sizes):
    compare(exported[0], OnnxRuntime(exported[1]), sizes)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_openvino_finds_what_the_network_finds(exported, sizes):
    compare(exported[0], OpenVino(exported[1]), sizes)


@pytest.mark.parametrize("runtime", [OnnxRuntime, OpenVino])
def test_a_pickled_backend_reads_its_file_again(exported, runtime):
    compare(exported[0], pickle.loads(pickle.dumps(runtime(exported[1]))), SIZES["one"])


@pytest.mark.parametrize("runtime", [OnnxRuntime, OpenVino])
def test_an_image_without_detections_stands_beside_one_with_many(exported, runtime):
    config, path = exported
    batch = make_batch([make_photo(64, 96, seed=seed) for seed in range(2)], config.input)
    sizes = batch.sizes.clone()
    sizes[1] = 0  # its proposals have no area
    backend = runtime(path)
    found = backend.detect(ImageBatch(batch.pixels, sizes))
    assert found.valid.any(dim=1).tolist() == [True, False] and found.masks.isfinite().all()
    none = backend.detect(ImageBatch(batch.pixels, torch.zeros_like(sizes)))
    assert none.boxes.shape == (2, 0, 4) and none.masks.shape[:2] == (2, 0)


def test_waiting_threads_of_onnxruntime_do_not_spin(exported):
    options = OnnxRuntime(exported[1])._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_the_file_holds_standard_operators_and_named_axes_alone(exported):
    model = onnx.load(exported[1])
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    axes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert axes["images"] == ["batch", 3, "height", "width"] and axes["sizes"] == ["batch", 2]
    assert axes["boxes"] == ["batch", 12, 4] and axes["masks"][:2] == ["batch", 12]


def test_the_metadata_say_what_the_file_is(exported):
    config, path = exported
    facts = read_facts(path)
    assert facts.config == config and facts.fixed is None and facts.provenance == {"model": "thin"}
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(metadata["classes"]) == {str(key): name for key, name in config.classes.items()}


def test_openvino_files_say_and_find_the_same(exported, tmp_path):
    config, path = exported[0], tmp_path / "thin.xml"
    convert_onnx(exported[1], path)
    assert read_openvino_facts(path) == make_facts(config)
    compare(config, OpenVino(path), SIZES["three"])


def test_a_file_for_one_canvas_takes_any_batch_of_it(tmp_path):
    config = small_config(*KINDS["fpn"])
    path = tmp_path / "fixed.onnx"
    write_onnx(Program(small_network(config)), make_facts(config, (64, 96)), path)
    assert read_facts(path).fixed == (64, 96)
    for sizes in (((64, 96),), ((50, 70), (64, 96), (60, 90))):
        compare(config, OnnxRuntime(path), sizes)


def test_files_of_others_and_damaged_ones_are_refused_by_name(exported, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(exported[1].read_bytes()[:5000])
    for read in (read_facts, OnnxRuntime, OpenVino):
        with pytest.raises(ExportError, match=r"broken\.onnx"):
            read(tmp_path / "broken.onnx")
    foreign = onnx.load(exported[1])
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(ExportError, match=r"foreign\.onnx: not exported by maskzoo"):
        read_facts(tmp_path / "foreign.onnx")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("row", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_each_published_architecture_is_exported(row, tmp_path):
    config = small_config(*row)
    path = tmp_path / "network.onnx"
    write_onnx(Program(small_network(config)), make_facts(config), path)
    for runtime in (OnnxRuntime, OpenVino):
        for sizes in SIZES.values():
            compare(config, runtime(path), sizes)


def test_nodes_are_named_after_modules_and_the_file_tells_no_path_of_its_maker(exported):
    model = onnx.load(exported[1])
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names) and all("/" in name for name in names)
    assert any(name.startswith("rpn.score/") for name in names)
    assert __file__.rsplit("/", 3)[0].encode() not in exported[1].read_bytes()


def test_a_file_that_prepares_photos_predicts_what_the_network_predicts(exported, tmp_path):
    config, path = exported
    if config.input.order != "rgb":
        pytest.skip("maskzoo.export refuses it")
    model = add_preprocessing(onnx.load(path), config.input)
    next(entry for entry in model.metadata_props if entry.key == "prepares").value = "true"
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["photo"] and not model.functions
    assert {node.domain for node in model.graph.node} == {""} == {opset.domain for opset in model.opset_import}
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)
    onnx.save(model, tmp_path / "whole.onnx")
    convert_onnx(tmp_path / "whole.onnx", tmp_path / "whole.xml")
    expected = Predictor(Eager(small_network(config), torch.device("cpu"), torch.float32), config)
    # Twice the size is exact in float32: random weights would make tenths of a pixel of one grey level.
    photos = [make_photo(32, 48), make_photo(40, 32, seed=1), make_photo(32, 48, seed=2)]
    for name in ("whole.onnx", "whole.xml"):
        found = maskzoo.load(tmp_path / name)
        for ours, theirs in zip(expected.predict(photos, score=0), found.predict(photos, batch_size=3, score=0), strict=True):
            assert len(ours) > 0 and ours.names == theirs.names and ours.size == theirs.size
            assert abs(ours.boxes - theirs.boxes).max() <= BOX_PIXELS
            assert abs(ours.scores - theirs.scores).max() <= 1e-4
    Image.fromarray(make_photo(45, 70)).save(tmp_path / "photo.png")  # of a size that wants rounding
    report = verify(expected, found, [tmp_path / "photo.png"])
    assert report.objects == report.matched > 0 and report.largest_box_error <= BOX_PIXELS
    assert not any("prepared values" in fault for fault in report.faults)
    for ending, text in make_example("whole.onnx", config, prepares=True).items():
        (tmp_path / f"example{ending}").write_text(text)
    done = subprocess.run(
        [sys.executable, "example.py", "photo.png"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    confident = expected.predict(tmp_path / "photo.png", score=0).scores >= 0.5
    assert done.stdout.count("pixels") == confident.sum()
    assert confident.any() or config.network.box_stages > 1  # scores of three random box heads have a low mean


def test_int8_is_for_the_wide_layers_but_the_ends_of_the_heads_and_keeps_every_image(exported, tmp_path):
    pytest.importorskip("nncf")
    config, path = exported
    photos = [to_inputs(make_batch([make_photo(64, 96, seed=seed)], config.input)) for seed in range(3)]
    convert_onnx(path, tmp_path / "thin.xml", photos)
    model = openvino.Core().read_model(tmp_path / "thin.xml")

    def find_source(node):
        source = node.input_value(0).get_node()
        return find_source(source) if source.get_type_name() in ("Reshape", "Transpose") else source.get_type_name()

    products = [node for node in model.get_ops() if node.get_type_name() in ("Convolution", "MatMul")]
    quantised = {node.get_friendly_name() for node in products if find_source(node) == "FakeQuantize"}
    for module in ("backbone.", "rpn.conv", "heads.mask.upsample/"):
        assert any(name.startswith(module) for name in quantised), module
    assert not any(name.startswith(("rpn.score/", "rpn.delta/", "heads.box", "heads.mask/")) for name in quantised)
    batch = make_batch([make_photo(*size, seed=seed) for seed, size in enumerate(SIZES["three"])], config.input)
    found = OpenVino(tmp_path / "thin.xml", "int8").detect(batch)
    assert len(found.boxes) == 3 and found.valid.any() and found.boxes.isfinite().all()


@pytest.mark.parametrize(
    ("row", "fixed", "prepares", "words"),
    [
        (FPN, None, False, "batch 1 or more, height and width multiples of 32,"),
        (C4, None, False, "batch 1 or more, height and width 17 or more,"),
        (FPN, (64, 96), False, "height 64 and width 96,"),
        (FPN, None, True, "photo: uint8 [height, width, 3], RGB"),
    ],
)
def test_the_metadata_say_what_the_file_takes(row, fixed, prepares, words):
    config = small_config(row)
    metadata = Facts(config, fixed, {}, prepares).to_metadata()
    assert words in metadata["input"]
    assert Facts.from_metadata(metadata, "net.onnx") == Facts(config, fixed, {}, prepares)


def test_soft_suppression_is_refused_before_anything_is_written():
    with pytest.raises(ExportError, match=r"limits\.detections\.suppression: found soft"):
        Program(small_network(small_config(FPN, "limits.detections.suppression=soft")))
