import hashlib
import re

import numpy as np
import pytest
import torch

from library_files import to_library, to_paddle, write_library
from maskzoo.errors import ConfigError, DownloadError, WeightsError
from maskzoo.model_file import read_config
from maskzoo.models.initialization import initialize
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.weights.imagenet import list_imagenet_renames
from maskzoo.weights.paddledetection import list_renames
from maskzoo.weights.rename import Layout
from maskzoo.zoo.first_weights import make_first_weights, refuse_random
from maskzoo.zoo.load import build_empty, list_shapes, load, load_network
from maskzoo.zoo.rows import read_row
from networks import C4, CASCADE_GN, FPN, make_photo
from pdparams_files import write_pdparams
from small_runs import write_model

THIN = (
    "network.channels=16",
    "network.box_features=32",
    "network.backbone.width=8",
    "network.backbone.group_width=16",
    "classes={1: person, 3: car, 18: dog}",
    "source.imagenet=''",
)
BATCH = ("network.backbone.norm=bn", "network.backbone.frozen=[]")
DETECTRON = "detectron2/mask_rcnn_R_50_C4_3x"
LAST = ("heads.box.score.", "heads.box.delta.", "heads.mask.logits.")


def make_config(*overrides, row=FPN):
    return read_row(row, (*THIN, *overrides))


def make_network(config, seed=1):
    """A network of which no two tensors, and no two rows, are alike."""
    network = build_empty(config).to_empty(device="cpu")
    random = torch.Generator().manual_seed(seed)
    initialize(network, random)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.dim() == 1:
                positive = name.endswith((".variance", ".running_var", ".norm.weight"))
                tensor.uniform_(0.5 if positive else -0.5, 1.5, generator=random)
    return network


def write_whole(path, config, network):
    write_pdparams(path, to_paddle(list_renames(config.network), network.state_dict()))
    return path


def write_classifier(path, config, network):
    arrays = to_paddle(list_imagenet_renames(config.network, ""), network.state_dict())
    write_pdparams(path, arrays | {"fc.weight": np.zeros((256, 10), np.float32), "fc.bias": np.zeros(10, np.float32)})
    return path


def write_own(path, config, network):
    write_checkpoint(path, network.state_dict(), config, {})
    return path


def is_last(name):
    return name.startswith(LAST)


def is_backbone(name):
    return name.startswith(("backbone.", "heads.res5."))


def check_equal(found, expected, chosen=lambda name: True):
    found, expected = found.state_dict(), expected.state_dict()
    assert found.keys() == expected.keys()
    wrong = [name for name in found if chosen(name) and not torch.equal(found[name], expected[name])]
    assert wrong == []


@pytest.fixture
def server(tmp_path, serve):
    """A web server whose files lie in `tmp_path / "web"`."""
    (tmp_path / "web").mkdir()
    return serve(tmp_path / "web")


# Random weights


@pytest.mark.parametrize("source", [None, "none"])
def test_without_any_source_all_weights_follow_from_the_seed(source):
    config = make_config(*BATCH)
    first, again, other = (make_first_weights(config, source, seed=seed) for seed in (5, 5, 6))
    check_equal(first.model, again.model)
    assert not torch.equal(first.model.rpn.conv.conv.weight, other.model.rpn.conv.conv.weight)
    assert first.report == "random weights (seed 5)"
    assert {tensor.dtype for tensor in first.model.state_dict().values()} == {torch.float32}
    assert {tensor.device.type for tensor in first.model.state_dict().values()} == {"cpu"}


def test_frozen_stages_that_start_at_random_are_warned_of():
    report = make_first_weights(make_config(), "none", seed=0).report
    assert "stem, res2" in report and "network.backbone.frozen" in report


@pytest.mark.parametrize(("source", "imagenet"), [("none", "http://127.0.0.1:9/net.pdparams"), (None, "''")])
def test_random_weights_with_frozen_norms_are_refused_with_a_call_that_is_not(source, imagenet):
    changes = [f"source.imagenet={imagenet}"]
    with pytest.raises(ConfigError, match="frozen norms") as caught:
        refuse_random(make_config(*changes), source)
    advised = re.findall(r"--set (\S+)", str(caught.value))
    assert advised == ["network.backbone.norm=bn", "network.backbone.frozen=[]"]
    for norm in ("bn", "gn", "sync_bn"):
        refuse_random(make_config(*changes, *advised, f"network.backbone.norm={norm}"), source)
    refuse_random(make_config(*changes), "weights.safetensors")


def test_none_asks_nobody_although_the_config_names_imagenet_weights():
    config = make_config("source.imagenet=http://127.0.0.1:9/net.pdparams")
    assert make_first_weights(config, "none", seed=0).report.startswith("random weights")


def test_a_source_of_unknown_kind_is_refused_with_what_can_be_given():
    for source in ("mask_rcnn_r50_fpn", "weights.pth", ""):
        with pytest.raises(ConfigError, match=r"\.safetensors or \.pdparams file, or none"):
            make_first_weights(make_config(), source, seed=0)


# ImageNet


@pytest.mark.parametrize("row", [FPN, C4])
def test_the_imagenet_weights_of_the_config_are_fetched_for_the_backbone(server, tmp_path, row):
    config = make_config(f"source.imagenet={server}/net.pdparams", row=row)
    network = make_network(config)
    write_classifier(tmp_path / "web" / "net.pdparams", config, network)
    steps = []
    begun = make_first_weights(config, None, seed=5, on_progress=lambda event: steps.append((event.done, event.total)))
    check_equal(begun.model, network, is_backbone)
    check_equal(begun.model, make_first_weights(config, "none", seed=5).model, lambda name: not is_backbone(name))
    assert "not used: fc.bias, fc.weight" in begun.report and "ImageNet" in begun.report
    assert steps[-1][0] == steps[-1][1] > 0


def test_an_imagenet_file_given_by_hand_is_known_by_its_names(tmp_path):
    config = make_config()
    network = make_network(config)
    path = write_classifier(tmp_path / "anything.pdparams", config, network)
    begun = make_first_weights(config, path, seed=5)
    check_equal(begun.model, network, is_backbone)
    assert str(path) in begun.report


def test_imagenet_weights_go_into_norms_that_learn_and_beside_any_norm_of_the_heads(tmp_path):
    published = make_config()
    network = make_network(published)
    path = write_classifier(tmp_path / "net.pdparams", published, network)
    begun = make_first_weights(make_config(*BATCH, "network.norm=gn"), path, seed=0)
    x = make_pixels()
    expected, found = network.eval().backbone(x), begun.model.eval().backbone(x)
    assert all(torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4) for ours, theirs in zip(found, expected, strict=True))
    assert "norms of the backbone: frozen -> bn" in begun.report


def make_pixels():
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)


def test_imagenet_weights_that_cannot_be_fetched_are_an_error_that_names_the_ways_on(tmp_path):
    config = make_config("source.imagenet=http://127.0.0.1:9/net.pdparams")
    with pytest.raises(DownloadError) as caught:  # tests are offline
        make_first_weights(config, None, seed=0)
    message = str(caught.value)
    assert "--from FILE" in message and "--from none" not in message
    assert str(tmp_path / "home" / "weights" / "net-") in message  # and a mark of the address: it is none of the published


def test_a_depth_without_imagenet_weights_is_refused_before_anything_is_fetched():
    config = make_config("source.imagenet=http://127.0.0.1:9/net.pdparams", "network.backbone.depth=18",
                         "network.backbone.group_width=64")  # fmt: skip
    with pytest.raises(WeightsError, match="--from none") as caught:
        make_first_weights(config, None, seed=0)
    assert not isinstance(caught.value, DownloadError)


# Whole networks


@pytest.mark.parametrize("row", [FPN, C4])
@pytest.mark.parametrize("write", [write_own, write_whole])
def test_a_file_of_the_same_classes_is_taken_whole(tmp_path, row, write):
    config = make_config(row=row)
    network = make_network(config)
    path = write(tmp_path / ("net.safetensors" if write is write_own else "net.pdparams"), config, network)
    begun = make_first_weights(config, path, seed=5)
    check_equal(begun.model, network)
    assert str(path) in begun.report and "replaced" not in begun.report
    assert make_first_weights(config, str(path), seed=6).report == begun.report


def test_a_network_that_was_loaded_can_train_as_a_new_one_can(tmp_path):
    config = make_config()
    path = write_own(tmp_path / "net.safetensors", config, make_network(config))
    loaded, new = (make_first_weights(config, source, seed=0).model for source in (path, "none"))
    flags = [{name: weight.requires_grad for name, weight in model.named_parameters()} for model in (loaded, new)]
    assert flags[0] == flags[1] and set(flags[0].values()) == {True, False}
    assert loaded.training


NORMS = [(FPN, "frozen", "sync_bn"), (FPN, "bn", "frozen"), (FPN, "bn", "sync_bn"), (C4, "frozen", "bn")]


@pytest.mark.parametrize(("row", "found", "wanted"), NORMS)
def test_stored_and_running_statistics_are_the_same_numbers(tmp_path, row, found, wanted):
    theirs, ours = (make_config(f"network.backbone.norm={norm}", row=row) for norm in (found, wanted))
    network = make_network(theirs)
    files = [write_own(tmp_path / "net.safetensors", theirs, network)]
    if found == "frozen":
        files.append(write_whole(tmp_path / "net.pdparams", theirs, network))
    for path in files:
        begun = make_first_weights(ours, path, seed=5)
        check_equal_values(begun.model, network)
        assert f"norms of the backbone: {found} -> {wanted}" in begun.report


def check_equal_values(found, expected):
    found, expected = found.state_dict(), expected.state_dict()
    names = {"mean": "running_mean", "variance": "running_var"}
    usual = [
        {".".join(names.get(part, part) for part in name.split(".")): tensor for name, tensor in state.items()}
        for state in (found, expected)
    ]
    assert usual[0].keys() == usual[1].keys()
    assert all(torch.equal(tensor, usual[1][name]) for name, tensor in usual[0].items())


def test_norms_behind_the_backbone_keep_their_names_whatever_the_backbone_changes_to(tmp_path):
    theirs = make_config("network.backbone.norm=frozen", "network.norm=bn")
    network = make_network(theirs)
    path = write_own(tmp_path / "net.safetensors", theirs, network)
    begun = make_first_weights(make_config("network.backbone.norm=bn", "network.norm=sync_bn"), path, seed=0)
    check_equal_values(begun.model, network)


def test_group_norms_start_from_a_checkpoint_with_group_norms(tmp_path):
    config = make_config("network.backbone.norm=gn", "network.norm=gn")
    network = make_network(config)
    check_equal(make_first_weights(config, write_own(tmp_path / "net.safetensors", config, network), seed=0).model, network)


# Other classes


def rows(network, label):
    """What the last layers hold of one class, by name."""
    state = network.state_dict()
    parts = {f"score.{kind}": state[f"heads.box.score.{kind}"][label] for kind in ("weight", "bias")}
    parts |= {f"delta.{kind}": state[f"heads.box.delta.{kind}"][4 * label : 4 * label + 4] for kind in ("weight", "bias")}
    return parts | {f"logits.{kind}": state[f"heads.mask.logits.{kind}"][label] for kind in ("weight", "bias")}


def same(first, second):
    return [torch.equal(tensor, second[name]) for name, tensor in first.items()]


@pytest.mark.parametrize("classes", ["{7: Dog, 8: widget}", "{7: Dog}"])
def test_every_box_head_of_a_cascade_changes_its_scores_and_keeps_the_deltas_of_all_classes(tmp_path, classes):
    config = make_config(row=CASCADE_GN)
    network = make_network(config)
    path = write_own(tmp_path / "net.safetensors", config, network)
    begun = make_first_weights(make_config(f"classes={classes}", row=CASCADE_GN), path, seed=5).model
    for ours, theirs in zip(begun.heads.stages, network.heads.stages, strict=True):
        assert torch.equal(ours.box.score.weight[[0, -1]], theirs.box.score.weight[[2, -1]])
        assert torch.equal(ours.box.delta.weight, theirs.box.delta.weight) and torch.equal(ours.fc6.weight, theirs.fc6.weight)
    assert torch.equal(begun.heads.mask.logits.weight[0], network.heads.mask.logits.weight[2])


@pytest.mark.parametrize("row", [FPN, C4])
def test_classes_of_the_same_name_keep_their_rows_and_new_ones_are_drawn(tmp_path, row):
    config = make_config(row=row)  # person, car, dog
    network = make_network(config)
    path = write_own(tmp_path / "net.safetensors", config, network)
    wanted = make_config("classes={7: Dog, 8: widget, 9: ' person', 10: gadget}", row=row)
    begun = make_first_weights(wanted, path, seed=5)
    drawn = make_first_weights(wanted, "none", seed=5).model
    check_equal_apart_from_last(begun.model, network)
    assert all(same(rows(begun.model, 0), rows(network, 2)))
    assert all(same(rows(begun.model, 2), rows(network, 0)))
    for label in (1, 3):
        assert all(same(rows(begun.model, label), rows(drawn, label)))
    score, theirs = begun.model.heads.box.score, network.heads.box.score
    assert torch.equal(score.weight[-1], theirs.weight[-1]) and torch.equal(score.bias[-1], theirs.bias[-1])
    assert begun.report.endswith("last layers replaced: 3 -> 4 classes; kept by name: Dog,  person; new: widget, gadget")


def check_equal_apart_from_last(found, expected):
    state = expected.state_dict()
    wrong = [name for name, tensor in found.state_dict().items() if not is_last(name) and not torch.equal(tensor, state[name])]
    assert wrong == []


def test_another_order_of_the_same_classes_moves_their_rows(tmp_path):
    config = make_config()
    network = make_network(config)
    path = write_own(tmp_path / "net.safetensors", config, network)
    begun = make_first_weights(make_config("classes={1: dog, 2: person, 3: car}"), path, seed=5)
    for label, theirs in enumerate((2, 0, 1)):
        assert all(same(rows(begun.model, label), rows(network, theirs)))
    assert "kept by name: dog, person, car; new: none" in begun.report


def test_other_ids_and_capitals_of_the_same_names_replace_nothing(tmp_path):
    config = make_config()
    network = make_network(config)
    path = write_own(tmp_path / "net.safetensors", config, network)
    begun = make_first_weights(make_config("classes={0: Person, 1: CAR, 2: dog}"), path, seed=5)
    check_equal(begun.model, network)
    assert "all 3 classes as in the model file" in begun.report


def test_as_many_classes_of_other_names_are_not_mistaken_for_the_same(tmp_path):
    config = make_config()
    path = write_own(tmp_path / "net.safetensors", config, make_network(config))
    wanted = make_config("classes={1: cat, 2: cow, 3: hen}")
    begun = make_first_weights(wanted, path, seed=5)
    check_equal(
        begun.model, make_first_weights(wanted, "none", seed=5).model, lambda name: is_last(name) and "score" not in name
    )
    assert "3 -> 3 classes; kept by name: none; new: cat, cow, hen" in begun.report


def test_a_foreign_file_of_another_number_of_classes_keeps_only_the_background(tmp_path):
    config = make_config()
    network = make_network(config)
    path = write_whole(tmp_path / "net.pdparams", config, network)
    begun = make_first_weights(make_config("classes={1: person, 2: dog}"), path, seed=5)
    check_equal_apart_from_last(begun.model, network)
    assert torch.equal(begun.model.heads.box.score.weight[-1], network.heads.box.score.weight[-1])
    assert "3 -> 2 classes (the file names no classes)" in begun.report and "new: person, dog" in begun.report


def test_a_foreign_file_of_as_many_classes_is_taken_and_the_report_says_so(tmp_path):
    config = make_config()
    network = make_network(config)
    path = write_whole(tmp_path / "net.pdparams", config, network)
    begun = make_first_weights(make_config("classes={1: a, 2: b, 3: c}"), path, seed=5)
    check_equal(begun.model, network)
    assert "its 3 are taken for the model file's" in begun.report


def test_a_long_list_of_names_is_cut_in_the_report(tmp_path):
    config = make_config()
    path = write_own(tmp_path / "net.safetensors", config, make_network(config))
    classes = ", ".join(f"{number}: class {number}" for number in range(30))
    report = make_first_weights(make_config(f"classes={{{classes}}}"), path, seed=0).report
    assert "class 9 and 20 more" in report and "class 10" not in report


# Published rows


def published_state():
    """The published entries of a row, nearly all zero and half as wide, as its reader takes them; last layers have rows."""
    config = read_row(FPN)
    shapes = list_shapes(build_empty(config))
    arrays = {}
    for line in list_renames(config.network):
        shape = shapes[line.ours] if line.layout is Layout.SAME else shapes[line.ours][::-1]
        array = np.zeros(shape, np.float16)
        if line.ours in ("heads.box.score.bias", "heads.mask.logits.bias"):
            array += np.arange(1, shape[0] + 1)
        elif line.ours == "heads.box.delta.bias":
            array += np.repeat(np.arange(1, 81), 4) + np.tile([0, 0.25, 0.5, 0.75], 80)
        arrays[line.theirs] = array
    return arrays


def test_a_rows_name_gives_its_published_weights_with_the_rows_of_classes_it_knows(tmp_path):
    (tmp_path / "home" / "weights").mkdir(parents=True)
    write_pdparams(tmp_path / "home" / "weights" / f"{FPN}.pdparams", published_state())
    config = read_row(FPN, ["classes={1: Dog, 2: widget, 3: person}", "network.backbone.norm=bn"])
    begun = make_first_weights(config, FPN, seed=0)
    dog = list(read_row(FPN).classes.values()).index("dog") + 1
    heads = begun.model.heads
    assert heads.box.score.bias.tolist() == [dog, 0, 1, 81]  # the background is the last
    assert heads.mask.logits.bias.tolist() == [dog, 0, 1]
    assert heads.box.delta.bias.tolist() == [dog, dog + 0.25, dog + 0.5, dog + 0.75, 0, 0, 0, 0, 1, 1.25, 1.5, 1.75]
    assert begun.report.endswith("frozen -> bn; last layers replaced: 80 -> 3 classes; kept by name: Dog, person; new: widget")


def test_a_row_of_another_library_gives_its_weights_with_the_rows_of_classes_it_knows(tmp_path, recwarn):
    """Of detectron2, whose background is the last; nearly all is zero and half as wide."""
    row, name = read_row(DETECTRON), "model_final_4ce675-"
    state = {ours: np.zeros(shape, np.float16) for ours, shape in list_shapes(build_empty(row)).items()}
    for ours in ("heads.box.score.bias", "heads.mask.logits.bias"):
        state[ours] += np.arange(1, len(state[ours]) + 1, dtype=np.float16)
    digits = hashlib.sha256(row.source.weights.encode()).hexdigest()[:8]
    (tmp_path / "home" / "weights").mkdir(parents=True)
    path = tmp_path / "home" / "weights" / f"{name}{digits}.pkl"
    write_library(path, "detectron2", to_library("detectron2", row.network, state, np.float16))
    begun = make_first_weights(read_row(DETECTRON, ["classes={1: Dog, 2: widget, 3: person}"]), DETECTRON, seed=0)
    dog = list(row.classes.values()).index("dog") + 1
    assert begun.model.heads.box.score.bias.tolist() == [dog, 0, 1, 81]
    assert begun.model.heads.mask.logits.bias.tolist() == [dog, 0, 1]
    assert begun.report == f"weights of {path}; last layers replaced: 80 -> 3 classes; kept by name: Dog, person; new: widget"
    changed = read_row(DETECTRON, ["input.order=rgb", "network.roi_align.samples=2"])
    report = make_first_weights(changed, "detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x", seed=0).report
    assert "warning: they were trained with input.order bgr, and the model file has rgb" in report
    assert "warning: they were trained with network.roi_align aligned=True samples=0" in report


@pytest.mark.parametrize(
    ("model", "source", "says"),
    [
        (FPN, "detectron2/mask_rcnn_R_50_FPN_3x", ["stride_in_1x1: found True, expected False"]),
        (FPN, "torchvision/maskrcnn_resnet50_fpn_v2", ["network.box_head: found 4conv1fc, expected 2fc", "rpn_convs: found 2"]),
        ("mmdet/mask-rcnn_r101_fpn_2x_coco", "MaskRCNN-ResNet50-FPN", ["backbone.depth: found 50, expected 101"]),
        ("torchvision/maskrcnn_resnet50_fpn", FPN, ["backbone.epsilon: found 1e-05, expected 0.0"]),
    ],
)
def test_a_row_of_another_librarys_network_is_refused_by_what_differs(model, source, says):
    with pytest.raises(WeightsError) as caught:
        make_first_weights(read_row(model), source, seed=0)
    assert all(text in str(caught.value) for text in says) and not isinstance(caught.value, DownloadError)


def test_a_rows_file_given_by_hand_is_known_by_its_name_and_number_of_classes(tmp_path):
    theirs = read_row(FPN, [text for text in THIN if not text.startswith("classes")])
    path = write_whole(tmp_path / f"{FPN}.pdparams", theirs, make_network(theirs))
    assert (
        "80 -> 3 classes; kept by name: person, car, dog; new: none" in make_first_weights(make_config(), path, seed=0).report
    )
    fewer = make_config("classes={1: person, 2: hat}")
    write_whole(path, fewer, make_network(fewer))  # one's own, trained further under the row's name
    assert (
        "2 -> 3 classes (the file names no classes); kept by name: none"
        in make_first_weights(make_config(), path, seed=0).report
    )


def test_a_row_of_another_network_is_refused_before_it_is_fetched():
    with pytest.raises(WeightsError) as caught:
        make_first_weights(read_row(FPN), "mask_rcnn_r101_vd_fpn_1x_coco", seed=0)
    message = str(caught.value)
    assert "network.backbone.depth: found 101, expected 50" in message
    assert "network.backbone.variant: found d, expected b" in message
    assert not isinstance(caught.value, DownloadError)


def test_a_row_that_is_not_here_says_where_to_put_it(tmp_path):
    with pytest.raises(DownloadError) as caught:
        make_first_weights(read_row(FPN), FPN, seed=0)
    assert str(tmp_path / "home" / "weights" / f"{FPN}.pdparams") in str(caught.value)


# What does not fit


def test_norms_in_pyramid_and_masks_do_not_take_weights_that_have_biases_there(tmp_path):
    config = make_config()
    network = make_network(config)
    wanted = make_config("network.norm=gn")
    for path in (
        write_whole(tmp_path / "a.pdparams", config, network),
        write_own(tmp_path / "a.safetensors", config, network),
    ):
        with pytest.raises(WeightsError) as caught:
            make_first_weights(wanted, path, seed=0)
        message = str(caught.value)
        assert str(path) in message and "bias" in message and "network.norm" in message
    with pytest.raises(WeightsError, match=r"network\.norm: found none, expected gn"):
        make_first_weights(read_row(FPN, ["network.norm=gn"]), FPN, seed=0)


def test_group_norms_in_the_backbone_take_no_batch_norms(tmp_path):
    config = make_config()
    network = make_network(config)
    wanted = make_config("network.backbone.norm=gn")
    for path in (
        write_whole(tmp_path / "a.pdparams", config, network),
        write_own(tmp_path / "a.safetensors", config, network),
    ):
        with pytest.raises(WeightsError, match=r"a\.(pdparams|safetensors)") as caught:
            make_first_weights(wanted, path, seed=0)
        assert "network.backbone.norm" in str(caught.value) and "gn" in str(caught.value)


def test_only_settings_that_both_kinds_of_heads_have_are_compared(tmp_path):
    theirs = make_config(row=C4)
    path = write_own(tmp_path / "net.safetensors", theirs, make_network(theirs))
    with pytest.raises(WeightsError, match=r"network\.heads: found c4, expected fpn") as caught:
        make_first_weights(make_config("network.backbone.norm=bn"), path, seed=0)
    assert "norm" not in str(caught.value) and "box_features" not in str(caught.value)


def test_all_settings_that_differ_are_listed_at_once(tmp_path):
    config = make_config()
    path = write_own(tmp_path / "net.safetensors", config, make_network(config))
    wanted = make_config("network.channels=24", "network.backbone.width=16", "network.anchors.ratios=[1.0]")
    with pytest.raises(WeightsError) as caught:
        make_first_weights(wanted, path, seed=0)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "network.channels: found 16, expected 24" in message
    assert "network.backbone.width: found 8, expected 16" in message
    assert "anchors in each place: found 3, expected 1" in message


def test_a_file_that_lacks_layers_is_refused_with_their_names(tmp_path):
    config = make_config()
    arrays = to_paddle(list_renames(config.network), make_network(config).state_dict())
    for name in ("bbox_head.bbox_score.bias", "neck.fpn_res3_sum.weight"):
        del arrays[name]
    arrays["mask_head.mask_fcn_logits.bias"] = np.zeros(9, np.float32)
    write_pdparams(tmp_path / "net.pdparams", arrays)
    with pytest.raises(WeightsError) as caught:
        make_first_weights(config, tmp_path / "net.pdparams", seed=0)
    message = str(caught.value)
    assert "bbox_head.bbox_score.bias" in message and "neck.fpn_res3_sum.weight" in message
    assert "mask_head.mask_fcn_logits.bias: found [9], expected [3]" in message


def test_a_file_that_is_not_there_is_named(tmp_path):
    for name in ("gone.pdparams", "gone.safetensors"):
        with pytest.raises(WeightsError, match=name):
            make_first_weights(make_config(), tmp_path / name, seed=0)


# Checkpoints of every kind


KINDS = {
    "bn": (),
    "sync_bn": ("network.backbone.norm: sync_bn", "network.norm: sync_bn"),
    "gn": ("network.backbone.norm: gn", "network.norm: gn"),
    "bn everywhere, deeper": ("network.norm: bn", "network.backbone.depth: 34", "network.backbone.width: 16"),
    "three convolutions, pooled": ("network.backbone.depth: 50", "network.backbone.variant: d"),
}


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS.keys())
def test_a_checkpoint_of_any_network_begins_a_run_loads_and_predicts(tmp_path, changes):
    config = read_config(write_model(tmp_path, "classes: {5: square, 6: disk}", *changes))
    network = make_network(config)
    path = write_own(tmp_path / "net.safetensors", config, network)
    check_equal(make_first_weights(config, path, seed=0).model, network)
    loaded, found = load_network(path)
    assert found == config
    check_equal(loaded, network)
    x = make_pixels()
    expected = network.eval().backbone(x)
    packed = load(path, overrides=["limits.detections.score=0.0"])
    for ours, theirs in zip(packed.backend.model.backbone(x), expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    assert len(packed.predict(make_photo(64, 80), score=0)) > 0
