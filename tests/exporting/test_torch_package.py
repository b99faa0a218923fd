"""A package of machine code finds what the network finds, in Python and in C++, in other sizes than it was traced with."""

import pickletools
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch._inductor import config as inductor

import maskzoo
from exports import BOX_PIXELS, KINDS, SIZES, compare, make_facts
from maskzoo.errors import ConfigError, ExportError
from maskzoo.exporting.example import describe, make_example
from maskzoo.exporting.program import Program
from maskzoo.exporting.runtimes import TorchPackage
from maskzoo.exporting.torch_package import read_package_facts, write_package
from maskzoo.images.batch import make_batch
from maskzoo.images.resize import find_factors
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from maskzoo.structures import ImageBatch
from networks import make_photo, small_config, small_network
from shared_data import ROOT, need_shared

PROGRAM = ROOT / "src" / "maskzoo" / "exporting" / "example_program.cpp"
TORCH = Path(torch.__file__).parent
COMPILE = ["g++", "-std=c++20", *(f"-isystem{TORCH / 'include' / part}" for part in ("", "torch/csrc/api/include"))]


def compiled(test):
    """Mark a test of a package: it is made in one to four minutes, by a compiler."""
    for mark in (pytest.mark.slow, pytest.mark.timeout(1800)):
        test = mark(test)
    return pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")(test)


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS.keys())
def exported(request, tmp_path_factory):
    config = small_config(*request.param)
    path = tmp_path_factory.mktemp("package") / "thin.pt2"
    write_package(Program(small_network(config)), make_facts(config), path)
    return config, path


@compiled
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_a_package_finds_what_the_network_finds(exported, sizes):
    compare(exported[0], TorchPackage(exported[1]), sizes)


@compiled
def test_an_image_without_detections_stands_beside_one_with_many(exported):
    config, path = exported
    batch = make_batch([make_photo(64, 96, seed=seed) for seed in range(2)], config.input)
    sizes = batch.sizes.clone()
    sizes[1] = 0  # its proposals have no area
    package = TorchPackage(path)
    found = package.detect(ImageBatch(batch.pixels, sizes))
    assert found.valid.any(dim=1).tolist() == [True, False] and found.masks.isfinite().all()
    none = package.detect(ImageBatch(batch.pixels, torch.zeros_like(sizes)))
    assert none.boxes.shape == (2, 0, 4) and none.masks.shape[:2] == (2, 0)


@compiled
def test_a_package_says_what_it_is_and_predicts_as_any_model(exported):
    config, path = exported
    assert read_package_facts(path) == make_facts(config)
    package = maskzoo.load(path)
    assert package.config == config and package.backend.name == "torch package"
    assert len(package.backend.hash_weights()) == 64
    photos = [make_photo(50, 70), make_photo(64, 96, seed=1), np.zeros((64, 96, 3), np.uint8)]
    network = Predictor(Eager(small_network(config), torch.device("cpu"), torch.float32), config)
    for ours, theirs in zip(network.predict(photos, score=0), package.predict(photos, batch_size=3, score=0), strict=True):
        assert ours.names == theirs.names and ours.size == theirs.size
        assert np.abs(ours.boxes - theirs.boxes).max(initial=0) <= BOX_PIXELS
    with pytest.raises(ConfigError, match=r"thin\.pt2: it is machine code and needs no backend"):
        maskzoo.load(path, backend="openvino")
    with pytest.raises(ConfigError, match=r"holds float32, and torch package cannot run it as bfloat16"):
        maskzoo.load(path, dtype="bfloat16")


@compiled
def test_no_member_of_a_package_is_a_pickle_or_source(exported):
    with zipfile.ZipFile(exported[1]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert sum(name.endswith(".so") for name in members) == 1
    assert [name for name, content in members.items() if is_pickle(content)] == []
    assert {Path(name).suffix for name in members} <= {".so", ".json", ""}


def is_pickle(content):
    try:
        return sum(1 for _ in pickletools.genops(content)) > 0
    except Exception:  # bytes that are no pickle fail in many ways
        return False


@compiled
def test_the_program_beside_a_package_finds_in_cpp_what_the_network_finds(exported, tmp_path):
    config, path = exported
    shutil.copy(path, tmp_path / "thin.pt2")
    (program,) = make_example("thin.pt2", config).values()
    (tmp_path / "find.cpp").write_text(program.replace("LEAST_SCORE = 0.5", "LEAST_SCORE = 0"))  # scores are random
    lib = TORCH / "lib"
    link = [f"-L{lib}", f"-Wl,-rpath,{lib}", "-ltorch", "-ltorch_cpu", "-lc10"]
    subprocess.run([*COMPILE, "-O1", "find.cpp", "-o", "find", *link], cwd=tmp_path, check=True)
    photo = Image.open(need_shared("data", "coco", "val2017") / "000000000139.jpg").convert("RGB")
    pixels = np.asarray(photo)[100:164, 200:296]  # at this size nothing is resized: cubic kernels differ in the last bit
    Image.fromarray(pixels).save(tmp_path / "photo.ppm")
    done = subprocess.run(["./find", "thin.pt2", "photo.ppm"], cwd=tmp_path, check=True, capture_output=True, text=True)
    *lines, last = done.stdout.splitlines()
    expected = Predictor(Eager(small_network(config), torch.device("cpu"), torch.float32), config).predict(pixels, score=0)
    assert len(lines) == len(expected) > 0
    masks = expected.masks.dense()
    for place, line in enumerate(lines):
        name, score, _, *box, count, _ = line.split()
        assert name == expected.names[place] and abs(float(score) - expected.scores[place]) < 1e-3
        assert np.abs(np.array(box, float) - expected.boxes[place]).max() < 0.06  # printed with one digit
        assert abs(int(count) - np.count_nonzero(masks[place])) <= 2
    assert last == "Saved found.ppm" and Image.open(tmp_path / "found.ppm").size == (96, 64)


@compiled
def test_the_program_is_sound_cpp():
    done = subprocess.run([*COMPILE, "-Wall", "-Wextra", "-fsyntax-only", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_the_program_has_the_packages_rule_of_resizing(tmp_path):
    (rule,) = re.findall(r"^double grow\(.*?^}", PROGRAM.read_text(), re.DOTALL | re.MULTILINE)
    reader = (
        "#include <algorithm>\n#include <cmath>\n#include <cstdio>\n#include <string>\n" + rule + "int main() {"
        " double side, factor; int rounded;"
        ' while (std::scanf("%lf %lf %d", &side, &factor, &rounded) == 3)'
        ' std::printf("%.17g\\n", grow(side, factor, rounded ? "rounded" : "one_factor")); }'
    )
    (tmp_path / "rule.cpp").write_text(reader)
    subprocess.run(["g++", "-std=c++20", "rule.cpp", "-o", "rule"], cwd=tmp_path, check=True)
    asked, expected = [], []
    for height, width in [(480, 640), (427, 640), (1, 500), (500, 1), (33, 200), (1000, 1001), (3, 5), (1333, 800)]:
        factor = min(800 / min(height, width), 1333 / max(height, width))
        for number, rule_name in enumerate(("one_factor", "rounded")):
            expected += find_factors(height, width, 800, 1333, rule_name)
            asked += [f"{side} {factor!r} {number}" for side in (height, width)]
    done = subprocess.run(["./rule"], cwd=tmp_path, input="\n".join(asked), capture_output=True, text=True, check=True)
    assert [float(line) for line in done.stdout.split()] == expected


def test_what_a_program_must_know_stands_in_the_metadata():
    config = small_config(*KINDS["fpn"])
    facts = describe(config)
    assert facts["names"].splitlines() == ["person", "car", "train", "dog", "toothbrush"]
    assert [float(number) for number in facts["preparation"].split()] == [64, 160, 32, 0.485, 0.456, 0.406, 0.229, 0.224, 0.225]
    assert float(facts["mask_threshold"]) == 0.5
    read = re.findall(r'metadata\.at\("(\w+)"\)', PROGRAM.read_text())
    assert sorted(read) == sorted(facts)


def test_without_a_compiler_the_error_says_what_to_install(tmp_path):
    config = small_config(*KINDS["c4"])
    with (
        inductor.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.raises(ExportError, match=r"no-such-compiler is not there.*install a C"),
    ):
        write_package(Program(small_network(config)), make_facts(config), tmp_path / "thin.pt2")


def test_files_of_others_and_damaged_ones_are_refused_by_name(tmp_path):
    (tmp_path / "broken.pt2").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ExportError, match=r"broken\.pt2: cannot be read as a torch package"):
        read_package_facts(tmp_path / "broken.pt2")
    with zipfile.ZipFile(tmp_path / "foreign.pt2", "w") as archive:
        archive.writestr("foreign/data/aotinductor/model/a.wrapper_metadata.json", '{"AOTI_DEVICE_KEY": "cpu"}')
    with pytest.raises(ExportError, match=r"foreign\.pt2: not exported by maskzoo"):
        maskzoo.load(tmp_path / "foreign.pt2")
