#!/usr/bin/env bash
# This project's networks against the engines people use, on this machine: builds both, checks that they agree, times
# them in turn, prints the table and keeps it under benches/runs/. Needs Rust and python3 (3.11 to 3.13) with pip; 4 GB
# of disk.
#
#     scripts/peers/bench_peers.sh                            all engines but PyTorch, 20 minutes
#     scripts/peers/bench_peers.sh --quick                    fewer engines, rounds and runs, 5 minutes
#     scripts/peers/bench_peers.sh --engines onnxruntime,openvino --threads 2 --batch 1 --rounds 10
#     scripts/peers/bench_peers.sh --engines all              with torch.compile, which needs a C++ compiler; on Linux
#                                                             pip takes 5 GB for it unless PIP_EXTRA_INDEX_URL names
#                                                             PyTorch's index of CPU wheels
#     scripts/peers/bench_peers.sh --network resnet50         another network of the zoo, in ONNX Runtime and OpenVINO
#     scripts/peers/bench_peers.sh --network all --rounds 3   the networks of the paper's Table 1 and their descendants
#     scripts/peers/bench_peers.sh --train                    training steps, TensorFlow's and PyTorch's too, 1 hour
#     scripts/peers/bench_peers.sh --help                     also after --train
#
# XCEPTION_BENCH    folder of the Python environment and the network's files [default: the user's cache folder]
# XCEPTION_BIN      a program that is built already; `examples/random_weights` is expected beside it
# XCEPTION_FEATURES adds backends to the build, as everywhere in scripts/
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
peers=$here/bench_peers.py
if [ "${1:-}" = --train ]; then
    peers=$here/bench_training.py
    shift
fi
requirements=$here/requirements.txt

fail() {
    echo "error: $*" >&2
    exit 1
}

# Help needs no build, and a wrong option is reported before the build.
command -v python3 >/dev/null || fail "there is no python3; 3.11 to 3.13 have all the packages"
case " $* " in *" -h "* | *" --help "*) exec python3 "$peers" --help ;; esac
engines=$(python3 "$peers" "$@" --list-engines)

cache=${XCEPTION_BENCH:-${XDG_CACHE_HOME:-$HOME/.cache}/xception-bench}
mkdir -p "$cache" || fail "the cache folder cannot be made; XCEPTION_BENCH names another"
cache=$(cd "$cache" && pwd)
python=$cache/python/bin/python

# The lines that the file has for one engine.
requirements_for() {
    awk -v engine="$1" '
        /^# for: / { wanted = index(substr($0, 7) " ", " " engine " ") > 0; next }
        wanted && /^[^#]/ { print }
    ' "$requirements"
}

install() { # ENGINE
    local stamp=$cache/installed-$1 options= wanted
    wanted=$(requirements_for "$1")
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        echo "installing $(echo "$wanted" | paste -sd ' ' -)" >&2
        # What ncnn's `pnnx` asks for is PyTorch, which it needs for other inputs than ours.
        [ "$1" != ncnn ] || options=--no-deps
        # shellcheck disable=SC2086 # one word a line
        "$python" -m pip install --quiet --disable-pip-version-check --constraint "$requirements" \
            $options $wanted >&2 || return 1
        echo "$wanted" >"$stamp"
    fi
}

# Also made again when an earlier try stopped half way, or when its Python is gone.
if ! "$python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$cache/python" "$cache"/installed-*
    python3 -m venv "$cache/python" >&2 ||
        fail "python3 cannot make an environment in $cache/python; on Debian: sudo apt-get install python3-venv"
fi
install all ||
    fail "pip cannot install what every engine needs into $cache/python ($("$python" --version); 3.11 to 3.13 work)"
ready=
for engine in $engines; do
    if install "$engine"; then
        ready+=${ready:+,}$engine
    else
        echo "warning: $engine cannot be installed here and is left out" >&2
    fi
done
[ -n "$ready" ] || fail "no engine can be installed"

if [ -z "${XCEPTION_BIN:-}" ]; then
    (cd "$root" && cargo build --release --workspace --bins --example random_weights \
        --features "${XCEPTION_FEATURES:-}") || fail "xception cannot be built"
    XCEPTION_BIN=$(cd "$root" && cd "${CARGO_TARGET_DIR:-target}/release" && pwd)/xception
fi
options=()
if [ "$peers" = "$here/bench_peers.py" ]; then
    options+=(--random-weights "$(dirname "$XCEPTION_BIN")/examples/random_weights")
fi
exec "$python" "$peers" "$@" --xception "$XCEPTION_BIN" --cache "$cache" --engines "$ready" "${options[@]}"
