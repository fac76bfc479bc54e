#!/usr/bin/env bash
# This project's Xception against the engines people use, on this machine: builds both, checks that they agree, times them in
# turn, prints the table and keeps it under benches/runs/. Needs Rust and python3 (3.11 to 3.13) with pip; 4 GB of disk.
#
#     scripts/bench_peers.sh                            all engines but PyTorch, 15 minutes
#     scripts/bench_peers.sh --quick                    fewer rounds, 4 minutes
#     scripts/bench_peers.sh --engines onnxruntime,openvino --threads 2 --batch 1 --rounds 10
#     scripts/bench_peers.sh --engines all              with torch.compile; on Linux pip takes 5 GB for it unless
#                                                       PIP_EXTRA_INDEX_URL names PyTorch's index of CPU wheels
#     scripts/bench_peers.sh --help
#
# XCEPTION_BENCH    folder of the Python environment and the network's files [default: the user's cache folder]
# XCEPTION_BIN      a program that is built already
# XCEPTION_FEATURES adds backends to the build, as everywhere in scripts/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${XCEPTION_BENCH:-${XDG_CACHE_HOME:-$HOME/.cache}/xception-bench}
requirements=scripts/requirements-bench.txt
everything=onnxruntime,openvino,litert,ncnn,tensorflow,torch

# `bench_peers.py` reads the arguments; only what must be installed is looked for here.
engines=${everything%,torch}
chosen=
previous=
for argument in "$@"; do
    case $previous:$argument in
        *:-h | *:--help) exec python3 scripts/bench_peers.py --help ;;
        --engines:*) engines=$argument chosen=1 ;;
        *:--engines=*) engines=${argument#--engines=} chosen=1 ;;
        *:--quick) [ -n "$chosen" ] || engines=${everything%,tensorflow,torch} ;;
    esac
    previous=$argument
done
[ "$engines" != all ] || engines=$everything

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
        "$cache/python/bin/python" -m pip install --quiet --disable-pip-version-check $options $wanted >&2 || return 1
        echo "$wanted" >"$stamp"
    fi
}

mkdir -p "$cache"
if [ ! -x "$cache/python/bin/python" ]; then
    rm -rf "$cache/python" "$cache"/installed-*
    python3 -m venv "$cache/python"
fi
install all
ready=
for engine in ${engines//,/ }; do
    if [ -z "$(requirements_for "$engine")" ]; then
        echo "error: there is no engine $engine; there are ${everything//,/, }" >&2
        exit 2
    elif install "$engine"; then
        ready+=${ready:+,}$engine
    else
        echo "warning: $engine cannot be installed here and is left out" >&2
    fi
done

if [ -z "${XCEPTION_BIN:-}" ]; then
    cargo build --release --workspace --features "${XCEPTION_FEATURES:-}"
    XCEPTION_BIN=${CARGO_TARGET_DIR:-target}/release/xception
fi

exec "$cache/python/bin/python" scripts/bench_peers.py "$@" \
    --xception "$XCEPTION_BIN" --cache "$cache" --engines "$ready"
