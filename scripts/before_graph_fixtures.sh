#!/usr/bin/env bash
# Writes crates/cli/tests/fixtures/before-graph: files and runs of the program as it was before a network was a graph. Later
# programs must read them, go on with them, and give the numbers that stand beside them.
#
#     git worktree add ../before 6b00c8e && (cd ../before && cargo build --release --bin xception)
#     scripts/before_graph_fixtures.sh ../before/target/release/xception
#
# Made once. Run again, the program of that commit gives other dates and, on another processor, other last digits.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=$(realpath "$1")
keras=$PWD/crates/xception-model/tests/fixtures/keras
out=$PWD/crates/cli/tests/fixtures/before-graph
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

xception() { "$program" "$@"; }

# Twelve pictures: stripes across and stripes down, 71 to 80 pixels a side.
python3 - <<'PYTHON'
import struct, zlib
from pathlib import Path


def write(path, width, height, pixel):
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x, y)) for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    )


for i in range(6):
    width, height, period = 71 + 3 * i % 10, 80 - 7 * i % 10, 4 + 2 * i
    light, dark = (200 - 20 * i, 40 + 30 * i, 90), (30 + 10 * i, 120, 220 - 25 * i)
    write(Path(f"data/across/{i}.png"), width, height, lambda x, y: light if y // period % 2 else dark)
    write(Path(f"data/down/{i}.png"), height, width, lambda x, y: light if x // period % 2 else dark)
PYTHON

# Files: a small Xception of 331 x 200 and five classes, then its variants.
printf '%s\n' ant bee cat dog eel >labels.txt
xception convert "$keras/toy.keras" toy.bpk --preset keras-bilinear --labels labels.txt
xception convert toy.bpk toy_f16.bpk --dtype f16
for ending in keras weights.h5 h5 safetensors onnx; do
    xception convert toy.bpk "toy.$ending"
done
for variant in hidden max notop; do
    xception convert "$keras/$variant.keras" "$variant.bpk" --preset keras-bilinear
done

# A network of several labels a picture.
{
    echo path,labels
    for i in 0 1 2 3 4 5; do
        echo "data/across/$i.png,across$([ $((i % 2)) = 0 ] && echo ';even' || true)"
        echo "data/down/$i.png,$([ $((i % 2)) = 0 ] && echo even || true)"
    done
} >several.csv
options=(--size 71 --threads 1 --offline)
xception train several.csv --weights toy.bpk --recipe linear-probe --epochs 4 "${options[@]}" --output several
mv several/model.bpk several_labels.bpk
mv several/model.bpk.card.toml several_labels.bpk.card.toml

# Runs: the head on kept features, then every layer; two epochs each, four steps an epoch.
cat >recipe.toml <<'TOML'
name = "small"
about = "a new classifier on kept features, then every layer"
start = "weights"
dropout = 0.2
label_smoothing = 0.1
augmentation = "light"

[[phase]]
name = "head"
epochs = 2
trains = "head"
inputs = "features"
norms = "inference"
batch_size = 2
optimizer = { kind = "adamw", weight_decay = 0.05 }
schedule = { rate = 1e-2, shape = { kind = "cosine" } }

[[phase]]
name = "all"
epochs = 2
trains = "all"
norms = "train"
batch_size = 2
optimizer = { kind = "adamw", weight_decay = 0.05 }
schedule = { rate = 1e-3, warm_up = 0.5, shape = { kind = "cosine", end = 0.01 } }
layer_decay = 0.8
clip_norm = 1.0
ema = 0.9
TOML
train=(train data --weights toy.bpk --recipe recipe.toml --checkpoint-minutes 0 "${options[@]}" --output)
xception "${train[@]}" finished

# Kills a run as soon as it has written a checkpoint, and begins again until that one is the last.
killed() { # RUN CHECKPOINT
    for _ in $(seq 200); do
        rm -rf "$1"
        "$program" "${train[@]}" "$1" >/dev/null 2>&1 &
        local process=$!
        until [ -e "$1/checkpoints/$2/checksums.toml" ] || ! kill -0 "$process" 2>/dev/null; do :; done
        kill -KILL "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
        if [ "$(ls -A "$1/checkpoints" | tail -n 1)" = "$2" ] && [ ! -e "$1/checkpoints/.partial" ]; then
            return
        fi
    done
    echo "error: $1 was never stopped at $2" >&2
    exit 1
}
killed killed_head step-0000000006-phase-0
killed killed_all step-0000000014-phase-1

# The same program goes on to the same numbers; seconds and shares of them are another matter.
numbers() { cut -d, -f1-10 "$1/metrics.csv"; cat "$1/steps.csv"; }
for run in killed_head killed_all; do
    cp -r "$run" resumed
    xception train --resume resumed --threads 1
    diff <(numbers finished) <(numbers resumed)
    rm -r resumed
done

# What each network says about two pictures. The other files of toy hold the same numbers, and say less of how pictures come in.
mkdir expected
classify=(classify data/across/0.png data/down/5.png --format csv --top-k 5 --threads 1 --offline --weights)
for file in toy.bpk toy_f16.bpk several_labels.bpk hidden.bpk max.bpk finished; do
    xception "${classify[@]}" "$file" >"expected/${file%.bpk}.csv"
done
for ending in keras weights.h5 h5 safetensors onnx; do
    xception convert "toy.$ending" again.bpk --force --size 331x200 --pooling average --variant keras --preset keras-bilinear \
        --labels labels.txt
    xception "${classify[@]}" again.bpk | diff expected/toy.csv -
done
xception embed data/across/0.png data/down/5.png --weights notop.bpk --level stride_32 --output notop.npy --threads 1 --offline
mv notop.npy notop.names.txt expected/

# Runs name their data by its absolute path. A resumed run reads no report, plot or lock.
sed -i "s|$work|@FOLDER@|g" ./*/run.toml ./*/data.csv
rm -f ./*/report.html ./*/*.png ./*/.lock
rm -rf "$out/files" "$out/data" "$out/expected" "$out"/{finished,killed_head,killed_all}
mkdir -p "$out/files"
mv toy.* toy_f16.* hidden.* max.* notop.* several_labels.* "$out/files/"
mv data expected finished killed_head killed_all "$out/"
find "$out" -name '*.bpk' -o -name '*.keras' -o -name '*.h5' -o -name '*.onnx' -o -name '*.safetensors' | xargs gzip -9n
if grep -rl "$work" "$out"; then
    echo "error: these name a folder of this machine" >&2
    exit 1
fi
du -sb "$out"
