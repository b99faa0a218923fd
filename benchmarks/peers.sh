#!/usr/bin/env bash
# Builds the virtual environments of the toolkits that the benchmarks compare with, outside the checkout.
# usage: benchmarks/peers.sh [torchvision] [paddle]      (none: torchvision)
set -euo pipefail
home=${MASKZOO_PEERS:-$HOME/.cache/maskzoo-peers}
declare -A packages=(
    [torchvision]="torchvision pycocotools openvino"
    [paddle]="paddlepaddle paddledet setuptools<81"
)
for peer in "${@:-torchvision}"; do
    [ -n "${packages[$peer]:-}" ] || { echo "unknown peer '$peer'; known: ${!packages[*]}" >&2; exit 2; }
    [ -x "$home/$peer/bin/python" ] || python3 -m venv "$home/$peer"
    # shellcheck disable=SC2086  # several packages in one word are meant to split
    "$home/$peer/bin/pip" install --quiet --disable-pip-version-check ${packages[$peer]}
    echo "$peer: $("$home/$peer/bin/pip" freeze | grep -iE "^(torch|torchvision|paddle|onnxruntime|openvino)" | tr '\n' ' ')"
done
