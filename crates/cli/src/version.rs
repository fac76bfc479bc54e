//! The text of `--version`.

use std::sync::LazyLock;

use trainer::BURN;

use crate::compute::backend;

/// The program's version, Burn's, and the backends of this build.
pub fn long() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}\nBurn {BURN}\nbackends: {}",
            env!("CARGO_PKG_VERSION"),
            backend::names().join(", ")
        )
    });
    &TEXT
}
