//! Trains a classifier on a folder of pictures, a folder a class:
//!
//! ```text
//! cargo run --release --package trainer --example train_folder -- flowers/ weights.bpk runs/flowers
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use trainer::{Event, Recipe, Run, RunOptions, RunSettings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(data), Some(weights), Some(folder)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: train_folder DATA WEIGHTS RUN".into());
    };

    let device = Device::flex();
    let mut settings = RunSettings::new(device.clone());
    settings.observer = Arc::new(|event| {
        if let Event::Epoch { row, .. } = event {
            println!(
                "{:>3} {:<5} loss {:.3} validation {:?}",
                row.epoch, row.phase, row.train_loss, row.val_accuracy
            );
        }
    });
    let run = if folder.join("run.toml").exists() {
        Run::resume(&folder, settings)?
    } else {
        let start = xception_model::load(Path::new(&weights), &device)?;
        Run::new(
            &RunOptions::new(data, &folder, Recipe::load("fine-tune")?),
            settings,
            start,
        )?
    };
    println!("{}", run.report());

    let outcome = run.train(None)?;
    if let Some((split, evaluation)) = outcome.evaluation {
        println!("{split}: {:.1} % right", 100.0 * evaluation.accuracy());
    }
    println!(
        "{} is ready for `xception classify --weights`",
        folder.join(trainer::MODEL).display()
    );
    Ok(())
}
