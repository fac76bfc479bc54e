//! JSON for people and programs.

use std::io::{self, Write};

use serde::Serialize;

/// Writes an indented value and a line break.
pub fn write(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, value)?;
    writeln!(output)
}
