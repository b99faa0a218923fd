"""Rule-made weights of a row, for maskzoo and PaddleDetection, and under torchvision's names: all find as much to do."""

import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parent.parent / "tests"


def write_weights(row, folder):
    """Write ROW.pdparams, and ROW.npz for torchvision, which has no network without a pyramid to put it into."""
    sys.path.insert(0, str(TESTS))
    from pdparams_files import read_manifest, rule_state, write_pdparams

    state = rule_state(read_manifest(row), "benchmark")
    write_pdparams(folder / f"{row}.pdparams", state)
    if "fpn" in row:
        np.savez(folder / f"{row}.npz", **to_torchvision(state))


def write_converted(library, arch, folder):
    """Write mine.safetensors, a library's own network by rule-made weights, and back.* with its settings, for the library."""
    sys.path.insert(0, str(TESTS))
    import maskzoo
    from elsewhere_files import read_row_of, rule_state, write_library_file
    from maskzoo.weights.checkpoint import write_checkpoint
    from maskzoo.zoo.load import build_empty, read_weights

    folder.mkdir()
    config = read_row_of(arch)
    theirs = write_library_file(folder, arch, rule_state(arch, "benchmark", 16.0))
    write_checkpoint(folder / "mine.safetensors", read_weights(theirs, config, build_empty(config)), config, {})
    maskzoo.convert_to(folder / "mine.safetensors", folder / "back.pth", library)


def to_torchvision(state):
    """The same weights under torchvision's names. A stem of three convolutions has no equal there, and is left out."""
    named = {}
    branches = {"branch2a": "1", "branch2b": "2", "branch2c": "3"}
    norm = {"weight": "weight", "bias": "bias", "_mean": "running_mean", "_variance": "running_var"}
    plain = {
        "rpn_head.rpn_feat.rpn_conv": "rpn.head.conv.0.0",
        "rpn_head.rpn_rois_score": "rpn.head.cls_logits",
        "rpn_head.rpn_rois_delta": "rpn.head.bbox_pred",
        "bbox_head.head.fc6": "roi_heads.box_head.fc6",
        "bbox_head.head.fc7": "roi_heads.box_head.fc7",
        "mask_head.head.upsample.conv5_mask": "roi_heads.mask_predictor.conv5_mask",
    }
    for index in range(4):
        plain[f"mask_head.head.upsample.mask_inter_feat_{index + 1}"] = f"roi_heads.mask_head.{index}.0"
        lateral = "" if index == 3 else "_lateral"
        plain[f"neck.fpn_inner_res{index + 2}_sum{lateral}"] = f"backbone.fpn.inner_blocks.{index}.0"
        plain[f"neck.fpn_res{index + 2}_sum"] = f"backbone.fpn.layer_blocks.{index}.0"
    for name, value in state.items():
        module, entry = name.rsplit(".", 1)
        parts = module.split(".")
        if parts[0] == "backbone":
            kind = parts[-1]  # conv or norm
            if parts[1] == "conv1":
                if parts[2] != "conv1":
                    continue  # variant d: three convolutions, where torchvision's stem has one
                target = "backbone.body.conv1" if kind == "conv" else "backbone.body.bn1"
            else:
                letter, number = parts[2][4], parts[2][5:]  # res4c, or res4b12 where the alphabet is too short
                stage, block = int(parts[1][3]) - 1, int(number or ord(letter) - ord("a"))
                layer = f"backbone.body.layer{stage}.{block}"
                if parts[3] == "short":
                    target = f"{layer}.downsample.{0 if kind == 'conv' else 1}"
                else:
                    target = f"{layer}.{'conv' if kind == 'conv' else 'bn'}{branches[parts[3]]}"
            named[f"{target}.{entry if kind == 'conv' else norm[entry]}"] = value
        elif module in plain:
            named[f"{plain[module]}.{entry}"] = value.T if value.ndim == 2 else value
        elif module == "bbox_head.bbox_score":  # background is torchvision's first class
            named[f"roi_heads.box_predictor.cls_score.{entry}"] = np.roll(value.T if value.ndim == 2 else value, 1, 0)
        elif module == "bbox_head.bbox_delta":
            rows = value.T if value.ndim == 2 else value
            empty = np.zeros((4, *rows.shape[1:]), rows.dtype)
            named[f"roi_heads.box_predictor.bbox_pred.{entry}"] = np.concatenate([empty, rows])
        elif module == "mask_head.mask_fcn_logits":
            named[f"roi_heads.mask_predictor.mask_fcn_logits.{entry}"] = np.concatenate([value[:1], value])
    return named
