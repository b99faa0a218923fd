#!/usr/bin/env bash
# Builds the virtual environments of the toolkits that benchmarks and tests compare with, outside the checkout.
# usage: benchmarks/peers.sh [torchvision] [detectron2] [mmdetection] [paddle]      (none: torchvision)
# detectron2 is compiled from its public source, for the CPU: DETECTRON2_SOURCE names a checkout to take instead of a clone.
# mmdetection gets mmcv-lite, which has nothing to compile; `maskzoo verify` puts torchvision's operators in place of mmcv's.
set -euo pipefail
home=${MASKZOO_PEERS:-$HOME/.cache/maskzoo-peers}
detectron2=02b5c4e295
declare -A packages=(
    [torchvision]="torchvision pycocotools openvino"
    [detectron2]="torchvision opencv-python-headless setuptools wheel ninja"
    [mmdetection]="torchvision mmdet==3.3.0 mmengine==0.10.7 mmcv-lite==2.2.0 setuptools<81"
    [paddle]="paddlepaddle paddledet setuptools<81"
)
for peer in "${@:-torchvision}"; do
    [ -n "${packages[$peer]:-}" ] || { echo "unknown peer '$peer'; known: ${!packages[*]}" >&2; exit 2; }
    [ -x "$home/$peer/bin/python" ] || python3 -m venv "$home/$peer"
    pip=("$home/$peer/bin/pip" install --quiet --disable-pip-version-check)
    # shellcheck disable=SC2086  # several packages in one word are meant to split
    "${pip[@]}" ${packages[$peer]}
    if [ "$peer" = detectron2 ]; then
        source=${DETECTRON2_SOURCE:-$home/detectron2-source}
        if [ ! -e "$source/setup.py" ]; then
            git clone --quiet https://github.com/facebookresearch/detectron2 "$source"
            git -C "$source" checkout --quiet "$detectron2"
        fi
        PATH="$home/$peer/bin:$PATH" FORCE_CUDA=0 MAX_JOBS=${MAX_JOBS:-2} nice "${pip[@]}" --no-build-isolation "$source"
    fi
    echo "$peer: $("$home/$peer/bin/pip" freeze | grep -iE "^(torch|torchvision|detectron2|mm|paddle|onnxruntime|openvino)" | tr '\n' ' ')"
done
