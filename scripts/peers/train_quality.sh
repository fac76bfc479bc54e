#!/usr/bin/env bash
# How good `xception train` is beside Keras's transfer-learning guide and fastai's `fine_tune`: the same pictures,
# splits and backbone, three seeds.
#
#   scripts/peers/train_quality.sh PYTHON [RECIPE]
#
# PYTHON has Keras 3 with TensorFlow, fastai, timm, safetensors, NumPy and Pillow. Pictures: Tux Paint's stamps
# (scripts/stamps.sh). Backbone: the one inside the kitchenware network, which is ImageNet's. Runs are left in
# runs/quality-RECIPE-SEED, with keras.json and fastai.json. THREADS=1 limits all three to one thread.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=$1
recipe=${2:-fine-tune}
threads=${THREADS:-$(nproc)}
export OMP_NUM_THREADS=$threads TF_NUM_INTRAOP_THREADS=$threads TF_NUM_INTEROP_THREADS=1
stamps=$(scripts/stamps.sh)
package=$(scripts/kitchenware.sh)
backbone=$package/trained_models/kitchenware_xception_model_val-acc_0.901.keras
cargo build --release --workspace --features "${XCEPTION_FEATURES:-}"
xception=${CARGO_TARGET_DIR:-target}/release/xception

weights=$(mktemp -d)
trap 'rm -r "$weights"' EXIT
"$xception" convert "$backbone" "$weights/backbone.safetensors" --preset keras-nearest --scaling tf

for seed in 1 2 3; do
    run=runs/quality-$recipe-$seed
    rm -rf "$run"
    echo "== xception train, seed $seed"
    "$xception" train "$stamps" --weights xception-kitchenware --recipe "$recipe" --seed "$seed" \
        --test-fraction 0.3 --threads "$threads" --output "$run"
    echo "== Keras, seed $seed"
    "$python" scripts/peers/train_keras.py "$run" --backbone "$backbone" | tail -1 | tee "$run/keras.json"
    echo "== fastai, seed $seed"
    "$python" scripts/peers/train_fastai.py "$run" --weights "$weights/backbone.safetensors" | tail -1 |
        tee "$run/fastai.json"
done
