//! What this binary was built from.

use std::sync::LazyLock;

use crate::device;

/// Burn's version: the workspace's `Cargo.toml` pins it, and a test compares.
pub const BURN: &str = "0.22.1";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burns_version_is_the_one_in_the_workspace() {
        let workspace = include_str!("../../../Cargo.toml");
        assert!(workspace.contains(&format!("burn = {{ version = \"={BURN}\"")));
    }
}
