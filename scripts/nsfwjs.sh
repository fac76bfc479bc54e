#!/usr/bin/env bash
# Fetches two trained networks of Keras 2.2: an Inception V3 (299 x 299) and a MobileNet V2 (224 x 224), with weights
# of 8 bits, from the npm package nsfwjs (MIT), and writes them as Keras files. Prints the folder with inception_v3.h5
# and mobilenet_v2.h5. Pictures are scaled to 0..1 (--scaling unit). The package's classes are of no use here: the
# networks serve as backbones, and to compare numbers.
#
#     models=$(scripts/nsfwjs.sh)
#     xception embed photos/ --weights "$models/inception_v3.h5" --scaling unit --preset pil-bilinear -o out.npy
#
# Needs npm with node, and python3 with h5py and numpy; where these are missing, python3's own venv and pip put them
# into the cache. PYTHON names another Python. Runs offline the second time.
set -euo pipefail

version=4.4.0
package=nsfwjs-$version.tgz
package_sha256=585cd178f3b994337c4d10a87b080d342fc52f8b9bf0085c4d1f345a3a1c5382

scripts=$(cd "$(dirname "$0")" && pwd)
cache=${XCEPTION_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xception}/nsfwjs
mkdir -p "$cache"
cd "$cache"

holds() { # FILE SHA256
    python3 - "$@" <<'PYTHON'
import hashlib, pathlib, sys
file = pathlib.Path(sys.argv[1])
sys.exit(not (file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == sys.argv[2]))
PYTHON
}

if [ ! -f inception_v3.h5 ] || [ ! -f mobilenet_v2.h5 ]; then
    if ! holds "$package" "$package_sha256"; then
        command -v npm >/dev/null || {
            echo "error: npm fetches the networks and is not installed; on Debian: sudo apt-get install npm" >&2
            exit 1
        }
        echo "fetching nsfwjs $version (25 MB)" >&2
        # Fetches the package alone, without those that it depends on, and runs none of its code.
        npm pack --silent "nsfwjs@$version" >/dev/null
        holds "$package" "$package_sha256" || {
            echo "error: the SHA-256 of $cache/$package is not the expected one; delete it and run this again" >&2
            exit 1
        }
    fi
    python=${PYTHON:-python3}
    if ! "$python" -c 'import h5py, numpy' 2>/dev/null; then
        python=$cache/python/bin/python
        if [ ! -x "$python" ] || ! "$python" -c 'import h5py, numpy' 2>/dev/null; then
            echo "installing h5py and numpy in $cache/python" >&2
            python3 -m venv "$cache/python"
            "$python" -m pip install --quiet h5py numpy >&2
        fi
    fi
    unpacked=$cache/unpacked.$$
    trap 'rm -rf "$unpacked"' EXIT
    mkdir "$unpacked"
    tar -xzf "$package" -C "$unpacked" package/dist/models
    for network in inception_v3 mobilenet_v2; do
        # Each file of the package is a module of JavaScript that returns a table or a text in base64. They become the
        # folder that TensorFlow.js reads: model.json and binary shards.
        node - "$unpacked/package/dist/models/$network" <<'NODE'
const fs = require("fs"), path = require("path"), folder = process.argv[2];
const model = require(path.join(folder, "model.min.js"));
fs.writeFileSync(path.join(folder, "model.json"), JSON.stringify(model));
for (const name of model.weightsManifest.flatMap((group) => group.paths)) {
    const shard = Buffer.from(require(path.join(folder, name + ".min.js")), "base64");
    fs.writeFileSync(path.join(folder, name), shard);
}
NODE
        "$python" "$scripts/tfjs_to_keras.py" "$unpacked/package/dist/models/$network" "$network.h5.$$"
        mv "$network.h5.$$" "$network.h5"
    done
fi
echo "$cache"
