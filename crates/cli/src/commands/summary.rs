//! `xception summary`.

use std::io::Write;

use serde_json::{Value, json};
use xception_model::Summary;

use crate::args::{ListFormat, SummaryArgs};
use crate::compute::device::DeviceName;
use crate::exit::ExitStatus;
use crate::io::json;
use crate::io::output::Output;
use crate::weights::network;

pub fn summary(args: &SummaryArgs) -> anyhow::Result<ExitStatus> {
    let device = DeviceName::default().open()?;
    let (network, input) = if let Some(weights) = &args.weights {
        let known = args.known.known(args.size);
        let (network, spec) = network::load_for_tensors(weights, &known, &args.cache, &device)?;
        (network, spec.input)
    } else {
        let architecture = args.architecture.architecture().with_num_classes(args.classes)?;
        (architecture.init(&device)?, args.architecture.input())
    };
    let (height, width) = args
        .size
        .map_or((input.height, input.width), |size| (size.height, size.width));
    let summary = network.summary(height, width)?;

    let mut output = Output::stdout();
    match args.format {
        ListFormat::Text => writeln!(output, "{summary}")?,
        ListFormat::Json => json::write(&mut output, &as_json(&summary))?,
    }
    output.finish()?;
    Ok(ExitStatus::Complete)
}

fn as_json(summary: &Summary) -> Value {
    let layers: Vec<_> = summary
        .rows
        .iter()
        .map(|row| {
            json!({
                "name": row.name,
                "block": row.block,
                "class": row.class,
                "output": row.output,
                "trainable": row.trainable,
                "non_trainable": row.non_trainable,
                "multiply_adds": row.multiply_adds,
            })
        })
        .collect();
    json!({
        "input": summary.input,
        "parameters": summary.params(),
        "trainable_parameters": summary.trainable_params(),
        "multiply_adds": summary.multiply_adds(),
        "layers": layers,
    })
}
