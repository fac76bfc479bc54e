#!/usr/bin/env bash
# How good `xception train` is beside Keras's transfer-learning guide: the same pictures, splits and backbone, three
# seeds.
#
#   scripts/peers/train_quality.sh PYTHON [RECIPE]
#
# PYTHON has Keras 3 with TensorFlow, NumPy and Pillow. Pictures: Tux Paint's stamps (scripts/stamps.sh). Backbone: the
# one inside the kitchenware network, which is ImageNet's. Runs are left in runs/quality-RECIPE-SEED.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=$1
recipe=${2:-fine-tune}
stamps=$(scripts/stamps.sh)
package=$(scripts/kitchenware.sh)
backbone=$package/trained_models/kitchenware_xception_model_val-acc_0.901.keras
cargo build --release --workspace --features "${XCEPTION_FEATURES:-ndarray,wgpu}" --bin xception

for seed in 1 2 3; do
    run=runs/quality-$recipe-$seed
    rm -rf "$run"
    echo "== xception train, seed $seed"
    target/release/xception train "$stamps" --weights xception-kitchenware --recipe "$recipe" --seed "$seed" \
        --test-fraction 0.3 --output "$run"
    echo "== Keras, seed $seed"
    "$python" scripts/peers/train_keras.py "$run" --backbone "$backbone" | tail -1 | tee "$run/keras.json"
done
