#!/usr/bin/env bash
# Fills the corpus (not in git) with small files from the tests, and with findings/, which is in git.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
fixtures=../crates
put() { mkdir -p "corpus/$1"; cp "$2" "corpus/$1/$(basename "$2" | tr '.' '_')"; }
for file in types.weights.h5 network_keras2.h5 cycle.weights.h5 subclassed.weights.h5; do
    put keras_store "$fixtures/keras-store/tests/fixtures/$file"
done
for file in network_deflated.keras zoo.keras; do
    put keras_archive "$fixtures/keras-store/tests/fixtures/$file"
done
mkdir -p corpus/keras_graph
for name in every_layer written; do
    gunzip -c "$fixtures/xception-model/tests/fixtures/keras/$name.json.gz" > "corpus/keras_graph/$name"
done
for file in torch/toy.safetensors torch/evil.pth torch/legacy.pth torch/toy.pth record/toy.bpk \
    onnx/torch_folded.onnx onnx/tf2onnx.onnx; do
    put weights "$fixtures/converter/tests/fixtures/$file"
done
put weights "$fixtures/xception-model/tests/fixtures/keras/toy.keras"
gunzip -c "$fixtures/xception-model/tests/fixtures/keras/legacy_model.h5.gz" > corpus/weights/legacy_model_h5
mkdir -p corpus/card
for name in xception-imagenet xception-kitchenware; do
    cp "../models/$name/card.toml" "corpus/card/$name"
done
mkdir -p corpus/label_file; cp ../models/xception-kitchenware/labels.txt corpus/label_file/kitchenware
printf 'n01440764\ttench\nn01443537\tgoldfish\n' > corpus/label_file/imagenet
mkdir -p corpus/picture
golden="$fixtures"/xception-model/tests/golden/picture
for file in "$golden"/* "$golden"/damaged/* "$golden"/jpeg2000/* "$golden"/avif/* "$golden"/rare/*; do
    case "$file" in *.json | *.ppm) continue ;; esac
    [ -f "$file" ] || continue
    if [ "$(stat -c %s "$file")" -lt 6000 ]; then
        { printf '\0\24'; cat "$file"; } > "corpus/picture/$(basename "$file" | tr '.' '_')"
    fi
done
if [ -d findings ]; then cp -r findings/. corpus/; fi
