#!/usr/bin/env bash
# Figure 10 of the Xception paper in small: no activation, ReLU or ELU between depthwise and pointwise convolution;
# three seeds each, on 1,797 handwritten digits. Writes figure10.png, .csv and .md to the folder (default: figures).
#
#     scripts/paper/figure10.sh [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo run --release --package trainer --example paper_figures -- 10 "$(scripts/digits.sh)" "${1:-figures}"
