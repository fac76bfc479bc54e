#!/usr/bin/env bash
# A linear probe on 382 pictures of 8 subjects (scripts/stamps.sh) for every backbone whose trained weights a package
# holds: VGG-16 (scripts/tumor.sh), Inception V3 and MobileNet V2 (scripts/nsfwjs.sh), Xception
# (scripts/kitchenware.sh). Each backbone sees pictures of its own size. Ends with a table of the first seed's runs.
#
#     scripts/paper/linear_probes.sh XCEPTION FOLDER [SEED...]     # XCEPTION: the program; default seeds: 1 2 3
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
xception=${1:?usage: scripts/paper/linear_probes.sh XCEPTION FOLDER [SEED...]}
folder=${2:?usage: scripts/paper/linear_probes.sh XCEPTION FOLDER [SEED...]}
shift 2
seeds=("$@")
[ ${#seeds[@]} -gt 0 ] || seeds=(1 2 3)
mkdir -p "$folder"

stamps=$(scripts/stamps.sh)
tumor=$(scripts/tumor.sh)
nsfwjs=$(scripts/nsfwjs.sh)
kitchenware=$(scripts/kitchenware.sh)
# What the files do not say: how their pictures are scaled. The records remember it.
convert() { # NAME FILE OPTION...
    [ -f "$folder/$1.bpk" ] || "$xception" convert "$2" "$folder/$1.bpk" --preset pil-bilinear "${@:3}"
}
convert vgg16 "$tumor" --no-top --scaling caffe --size 224x224
convert inception_v3 "$nsfwjs/inception_v3.h5" --no-top --scaling unit
convert mobilenet_v2 "$nsfwjs/mobilenet_v2.h5" --no-top --scaling unit
convert xception "$kitchenware"/trained_models/*.keras --no-top --scaling tf

# The table compares whole backbones: no layer is left out.
"$xception" train --show-recipe linear-probe | grep -v '^leave_out' >"$folder/whole-probe.toml"

runs=()
for network in vgg16 inception_v3 mobilenet_v2 xception; do
    for seed in "${seeds[@]}"; do
        run=$folder/$network-$seed
        [ -f "$run/model.bpk.card.toml" ] ||
            "$xception" train "$stamps" --weights "$folder/$network.bpk" --recipe "$folder/whole-probe.toml" \
                --test-fraction 0.3 --seed "$seed" --output "$run"
        [ "$seed" != "${seeds[0]}" ] || runs+=(--weights "$run")
    done
done
"$xception" evaluate "$stamps" "${runs[@]}"
