//! `xception devices`.

use std::io::Write;

use serde::Serialize;

use crate::args::{DevicesArgs, ListFormat};
use crate::compute::backend::{self, BACKENDS, Backend};
use crate::compute::device::DeviceName;
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
                row(number, format!("{}{}", backend.about, backend::identity(device)), true)
            })
            .collect(),
        Err(problem) => vec![row(
            None,
            format!("{}: not to be used, {problem}", backend.about),
            false,
        )],
    }
}
