#!/usr/bin/env bash
# Everything that CI runs, from a clean clone on a bare machine with Rust and python3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One set of features for every step, so that Burn is built once.
export XCEPTION_FEATURES=ndarray,wgpu
# What a test or an example leaves to Burn's choice runs on the CPU; the wgpu tests name their device.
export BURN_DEVICE=flex
step() { printf '\n== %s\n' "$*"; }

# The wgpu tests run on a real device: Mesa's software Vulkan, where there is no other.
if ! ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json >/dev/null 2>&1; then
    step "Installing a software Vulkan device"
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mesa-vulkan-drivers libvulkan1 >/dev/null
    else
        echo "error: no Vulkan driver is installed; on Debian: sudo apt-get install mesa-vulkan-drivers" >&2
        exit 1
    fi
fi

step "Formatting"
cargo fmt --all --check

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

step "The network without std"
cargo check --release --package xception-model --no-default-features

step "Lints and documentation"
cargo clippy --release --workspace --features "$XCEPTION_FEATURES" --all-targets -- --deny warnings
RUSTDOCFLAGS="--deny warnings" cargo doc --release --workspace --features "$XCEPTION_FEATURES" --no-deps --quiet
