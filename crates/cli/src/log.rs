//! The log on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging when `-v` or `RUST_LOG` asks for it.
pub fn start(verbose: u8) {
    let filter = match verbose {
        0 => match EnvFilter::try_from_default_env() {
            Ok(filter) => filter,
            Err(_) => return,
        },
        1 => EnvFilter::new("xception=debug,info"),
        _ => EnvFilter::new("debug"),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(verbose != 1)
        .init();
}
