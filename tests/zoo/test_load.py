import hashlib

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import maskzoo
from elsewhere_files import ROWS, THIN, make_thin, write_library_file
from library_files import to_library, to_paddle, write_library
from maskzoo.errors import ArgumentError, ConfigError, DownloadError, WeightsError
from maskzoo.model_file import dump_config
from maskzoo.models.packing import has_fast_bfloat16
from maskzoo.weights.checkpoint import read_checkpoint, write_checkpoint
from maskzoo.weights.paddledetection import list_renames
from maskzoo.zoo.conversion import convert
from maskzoo.zoo.load import load, load_network
from maskzoo.zoo.rows import read_row
from networks import make_photo, small_config, small_network
from pdparams_files import write_pdparams

ROW = "mask_rcnn_r50_fpn_1x_coco"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small network of one's own: my.yml and its weights as PaddleDetection would have written them."""
    folder = tmp_path_factory.mktemp("own")
    config = small_config()
    (folder / "my.yml").write_text(dump_config(config))
    arrays = to_paddle(list_renames(config.network), small_network(config).state_dict())
    write_pdparams(folder / "my.pdparams", arrays)
    convert(folder / "my.pdparams", folder / "my.safetensors", folder / "my.yml")
    return folder, config


@pytest.fixture
def photo():
    return np.random.default_rng(3).integers(0, 256, (60, 90, 3), np.uint8)


def same(first, second):
    return first.masks.rle() == second.masks.rle() and first.scores.tolist() == second.scores.tolist() and len(first) > 0


def test_a_file_of_ones_own_loads_from_pdparams_and_from_one_safetensors_alike(files, photo):
    folder, config = files
    first = load(folder / "my.yml", folder / "my.pdparams").predict(photo, score=0)
    single = load(folder / "my.safetensors")
    assert single.config == config
    assert same(first, single.predict(photo, score=0))
    assert same(first, load(str(folder / "my.yml"), folder / "my.safetensors").predict(photo, score=0))


def test_weights_of_ours_bring_the_rule_of_resizing_that_they_were_trained_with(files, tmp_path):
    """Also those of before there was a choice, whose model file does not say it."""
    folder, photo = files[0], make_photo(61, 90)
    assert load(folder / "my.yml", folder / "my.safetensors").config.input.resize == "one_factor"
    old = tmp_path / "old.safetensors"
    rounded = load(folder / "my.yml", folder / "my.pdparams", overrides=["input.resize=rounded"])
    tensors = load_file(folder / "my.safetensors")
    with safe_open(folder / "my.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    text = "\n".join(line for line in metadata["config"].splitlines() if "resize" not in line)
    save_file(tensors, old, metadata | {"config": text})
    for arguments in ((old,), (folder / "my.yml", old)):
        with pytest.warns(UserWarning, match=r"old\.safetensors does not say input\.resize.*add --set input\.resize=one"):
            loaded = load(*arguments)
        assert loaded.config.input.resize == "rounded"
        assert same(loaded.predict(photo, score=0), rounded.predict(photo, score=0))
        assert load(*arguments, overrides=["input.resize=one_factor"]).config.input.resize == "one_factor"
    assert not same(load(folder / "my.safetensors").predict(photo, score=0), rounded.predict(photo, score=0))


def test_a_model_file_of_before_there_was_a_choice_warns_where_its_weights_may_be_published_ones(files, tmp_path):
    folder, config = files
    for name, url in (("copied", config.source.weights), ("trained", "")):
        text = dump_config(config.model_copy(update={"source": config.source.model_copy(update={"weights": url})}))
        (tmp_path / f"{name}.yml").write_text("\n".join(line for line in text.splitlines() if "resize" not in line))
    with pytest.warns(UserWarning, match=r"copied\.yml does not say input\.resize"):
        load(tmp_path / "copied.yml", folder / "my.pdparams")
    with pytest.warns(UserWarning, match=r"copied\.yml does not say input\.resize"):
        convert(folder / "my.pdparams", tmp_path / "new.safetensors", tmp_path / "copied.yml")
    load(tmp_path / "trained.yml", folder / "my.pdparams")  # a warning would be an error
    load(tmp_path / "copied.yml", folder / "my.pdparams", overrides=["input.resize=rounded"])
    load(tmp_path / "copied.yml", folder / "my.safetensors")  # the weights' own file says it


def test_a_conversion_takes_the_rule_that_its_caller_names(files, tmp_path):
    folder, config = files
    convert(folder / "my.pdparams", tmp_path / "new.safetensors", folder / "my.yml", overrides=["input.resize=rounded"])
    assert config.input.resize == "one_factor"
    assert read_checkpoint(tmp_path / "new.safetensors").config.input.resize == "rounded"


def test_a_converted_file_says_where_it_comes_from(files):
    folder, config = files
    found = read_checkpoint(folder / "my.safetensors")
    digest = hashlib.sha256((folder / "my.pdparams").read_bytes()).hexdigest()
    assert found.config.classes == config.classes
    assert found.provenance["source_file"] == "my.pdparams"
    assert found.provenance["source_sha256"] == digest
    assert found.provenance["licence"] == "Apache-2.0"


def test_overrides_reach_the_network(files, photo):
    folder, _ = files
    predictor = load(folder / "my.safetensors", overrides=["limits.detections.total=2"])
    assert len(predictor.predict(photo, score=0)) == 2


def test_an_override_that_changes_the_network_does_not_fit_its_weights(files):
    folder, _ = files
    with pytest.raises(WeightsError, match=r"heads\.box\.score\.weight"):
        load(folder / "my.safetensors", overrides=["classes={1: cat}"])


def test_weights_of_another_network_are_refused_by_name(files):
    folder, _ = files
    with pytest.raises(WeightsError, match="expected"):
        load(ROW, folder / "my.pdparams")


def test_a_published_row_without_a_network_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKZOO_HOME", str(tmp_path))
    with pytest.raises(DownloadError) as caught:
        load(ROW)
    assert str(tmp_path / "weights" / f"{ROW}.pdparams") in str(caught.value)


NARROW = ("network.channels=16", "network.box_features=32", "network.backbone.width=8", "input.short_side=64")
STATED = {  # how many digits the published files state of their SHA-256
    "detectron2/mask_rcnn_R_50_FPN_3x": 0,
    "torchvision/maskrcnn_resnet50_fpn": 8,
    "mmdet/mask-rcnn_r50-caffe_fpn_1x_coco": 8,
}


@pytest.mark.parametrize("row", STATED)
def test_a_row_of_another_library_is_fetched_at_its_first_use_and_predicts(row, serve, tmp_path, photo, recwarn):
    library = row.partition("/")[0].replace("mmdet", "mmdetection")
    config = read_row(row, [*NARROW, "network.backbone.group_width=16"])
    network = small_network(config)
    path = tmp_path / f"published.{'pkl' if library == 'detectron2' else 'pth'}"
    write_library(path, library, to_library(library, config.network, network.state_dict()))
    stated = hashlib.sha256(path.read_bytes()).hexdigest()[: STATED[row]]
    address = f"source.weights={serve(tmp_path)}/{path.name}"
    overrides = [*NARROW, "network.backbone.group_width=16", address, f"source.sha256='{stated}'"]
    found = load(row, overrides=overrides).predict(photo, score=0)
    path.unlink()  # from now on it comes from the cache
    write_checkpoint(tmp_path / "same.safetensors", network.state_dict(), config, {})
    expected = load(tmp_path / "same.safetensors").predict(photo, score=0)
    again = load(row, overrides=overrides).predict(photo, score=0)
    assert len(found) and np.array_equal(found.boxes, expected.boxes) and np.array_equal(again.scores, found.scores)


def test_a_row_whose_file_is_another_one_is_refused(serve, tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "published.pth")
    address = f"source.weights={serve(tmp_path)}/published.pth"
    with pytest.raises(DownloadError, match="expected bf2d0c1e, which its publisher states"):
        load("torchvision/maskrcnn_resnet50_fpn", overrides=[address])


def test_wrong_calls_are_refused_with_what_was_expected(files, tmp_path):
    folder, config = files
    with pytest.raises(ConfigError, match="float32, bfloat16"):
        load(folder / "my.safetensors", dtype="float8")
    with pytest.raises(ArgumentError, match="found 'tpu'; expected one of auto, cpu"):
        load(folder / "my.safetensors", device="tpu")
    with pytest.raises(ConfigError, match="its own weights"):
        load(folder / "my.safetensors", folder / "my.pdparams")
    own = tmp_path / "own.yml"
    own.write_text(dump_config(config.model_copy(update={"source": config.source.model_copy(update={"weights": ""})})))
    with pytest.raises(WeightsError, match="--weights"):
        load(own)
    with pytest.raises(WeightsError, match=r"\.safetensors"):
        convert(folder / "my.pdparams", tmp_path / "out.bin", folder / "my.yml")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(files):
    with pytest.raises(ArgumentError, match="found cuda, which this machine"):
        load(files[0] / "my.safetensors", device="cuda")


def test_a_damaged_file_is_refused_by_name(files, tmp_path):
    whole = (files[0] / "my.safetensors").read_bytes()
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="damaged"):
        load(damaged)


def test_bfloat16_predicts_and_warns_where_the_processor_has_none(files, photo):
    if has_fast_bfloat16():
        predictor = load(files[0] / "my.safetensors", dtype="bfloat16", device="cpu")
    else:
        with pytest.warns(UserWarning, match="float32 is faster"):
            predictor = load(files[0] / "my.safetensors", dtype="bfloat16", device="cpu")
    prediction = predictor.predict(photo, score=0)
    assert len(prediction) > 0
    assert np.isfinite(prediction.boxes).all() and prediction.boxes.dtype == np.float32
    assert len(prediction.masks.rle()) == len(prediction)


def test_load_and_convert_are_public():
    assert maskzoo.load is load and maskzoo.convert is convert


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn], ids=str)
def test_a_checkpoint_of_any_floating_type_loads_with_the_values_of_that_type(files, tmp_path, kind):
    checkpoint = read_checkpoint(files[0] / "my.safetensors")
    tensors = {name: tensor.to(kind) for name, tensor in checkpoint.tensors.items()}
    write_checkpoint(tmp_path / "w.safetensors", tensors, checkpoint.config, {})
    network, _ = load_network(tmp_path / "w.safetensors")
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in tensors.items())


@pytest.mark.parametrize("arch", ["tv_r50_fpn", "tv_r50_fpn_v2", "d2_r50_fpn", "d2_r50_c4", "mm_r50_fpn_caffe"])
def test_another_librarys_file_is_loaded_and_converted_to_one_that_finds_the_same(arch, tmp_path):
    _, _, state = make_thin(arch)
    file, out = write_library_file(tmp_path, arch, state), tmp_path / "mine.safetensors"
    first = load(ROWS[arch], file, device="cpu", backend="eager", overrides=THIN)
    written = convert(file, out, ROWS[arch], overrides=THIN)
    second = load(out, device="cpu", backend="eager")
    assert written.config == first.config == second.config and written.provenance["source_file"] == file.name
    found = [one.predict(make_photo(60, 90), score=0).to_dict() for one in (first, second)]
    assert found[0]["detections"] and found[0] == found[1]


def test_weights_bring_their_order_of_channels_along(tmp_path):
    _, _, state = make_thin("d2_r50_fpn")
    file, out, own = write_library_file(tmp_path, "d2_r50_fpn", state), tmp_path / "mine.safetensors", tmp_path / "my.yml"
    config = convert(file, out, ROWS["d2_r50_fpn"], overrides=THIN).config
    other = config.input.model_copy(update={"resize": "rounded", "order": "rgb"})
    own.write_text(dump_config(config.model_copy(update={"input": other})))
    assert load(own, out, device="cpu", backend="eager").config.input == config.input
