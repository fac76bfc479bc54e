//! What this binary was built from.

use std::sync::LazyLock;

use trainer::BURN;

use crate::device;

/// The text of `--version`.
pub fn long() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}\nBurn {BURN}\nbackends: {}",
            env!("CARGO_PKG_VERSION"),
            device::names().join(", ")
        )
    });
    &TEXT
}
