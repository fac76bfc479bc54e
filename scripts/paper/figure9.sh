#!/usr/bin/env bash
# Figure 9 of the Xception paper in small: with and without residual connections; three seeds each, on 1,797 handwritten
# digits. Writes figure9.png, .csv and .md to the folder (default: figures).
#
#     scripts/paper/figure9.sh [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo run --release --package trainer --example paper_figures -- 9 "$(scripts/digits.sh)" "${1:-figures}"
