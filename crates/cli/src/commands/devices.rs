//! `xception devices`.

use std::io::Write;

use kernels::Isa;
use serde::Serialize;

use crate::args::{DevicesArgs, ListFormat};
use crate::commands::bench::machine;
use crate::compute::backend::{self, BACKENDS, Backend};
use crate::compute::device::DeviceName;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::json;
use crate::io::output::Output;

pub fn devices(args: &DevicesArgs) -> anyhow::Result<ExitStatus> {
    let rows: Vec<Row> = BACKENDS.iter().flat_map(rows).collect();
    let mut output = Output::stdout();
    match args.format {
        ListFormat::Text => {
            let width = rows.iter().map(|row| row.device.len()).max().unwrap_or(0);
            for row in &rows {
                let default = if row.default { " (default)" } else { "" };
                writeln!(output, "{:<width$}  {}{default}", row.device, row.about)?;
            }
        }
        ListFormat::Json => json::write(&mut output, &rows)?,
    }
    output.finish()?;
    Ok(ExitStatus::Complete)
}

#[derive(Serialize)]
struct Row {
    /// The value of `--device`.
    device: String,
    about: String,
    available: bool,
    default: bool,
}

fn rows(backend: &'static Backend) -> Vec<Row> {
    let row = |number: Option<usize>, about: String, available: bool| Row {
        device: DeviceName::Local { backend, number }.to_string(),
        about,
        available,
        default: number.is_none_or(|number| number == 0) && backend.name == BACKENDS[0].name,
    };
    match backend.devices() {
        Ok(devices) if devices.is_empty() => vec![row(None, format!("{}: none found", backend.about), false)],
        Ok(devices) => (0..)
            .zip(&devices)
            .map(|(number, device)| {
                let number = (devices.len() > 1 || backend.gpu).then_some(number);
                let machine = if backend.gpu { String::new() } else { processor() };
                row(
                    number,
                    format!("{}{}{machine}", backend.about, backend::identity(device)),
                    true,
                )
            })
            .collect(),
        Err(problem) => vec![row(
            None,
            format!("{}: cannot be used, {problem}", backend.about),
            false,
        )],
    }
}

/// The processor: its cores, the instructions that the kernels use, and the machine's memory where Linux tells it.
fn processor() -> String {
    let name = machine::processor().map_or_else(String::new, |name| format!(" ({name})"));
    let cores = match threads::cores() {
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    };
    let memory = memory().map_or_else(String::new, |[free, total]| {
        format!(", {free:.1} of {total:.1} GiB memory free")
    });
    // The best of them is the last.
    let instructions = Isa::available().last().map_or("", |isa| isa.name());
    format!("{name}: {cores}, {instructions}{memory}")
}

/// The free memory and all memory, in GiB.
fn memory() -> Option<[f64; 2]> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let gib = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / f64::from(1 << 20))
    };
    Some([gib("MemAvailable:")?, gib("MemTotal:")?])
}
