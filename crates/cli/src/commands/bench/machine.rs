//! The machine that is measured.

use std::io::{self, Write};

use kernels::Isa;
use serde::Serialize;

use crate::compute::threads::cores;

/// The machine, and the program that runs on it.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub version: &'static str,
    pub burn: &'static str,
    pub processor: Option<String>,
    pub cores: usize,
    pub device: String,
    /// The instruction set of our kernels.
    pub instructions: &'static str,
}

impl Machine {
    pub fn with_device(device: String) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            burn: trainer::BURN,
            processor: processor(),
            cores: cores(),
            device,
            instructions: Isa::detect().name(),
        }
    }

    /// Writes one line.
    pub fn write(&self, output: &mut impl Write) -> io::Result<()> {
        writeln!(
            output,
            "{}, {} cores, {}; device {}; xception {} on Burn {}",
            self.processor.as_deref().unwrap_or(std::env::consts::ARCH),
            self.cores,
            self.instructions,
            self.device,
            self.version,
            self.burn
        )
    }
}

/// The processor's name, where Linux tells it.
pub fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
