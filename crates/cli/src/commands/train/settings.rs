//! The settings of a run that do not change its result.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use trainer::RunSettings;
use trainer::pipeline::Cache;

use crate::args::{PictureCache, TrainArgs};
use crate::commands::train::events::observer;
use crate::commands::train::session::Session;
use crate::compute::device::DeviceName;

/// The most bytes of decoded pictures that `--picture-cache memory` keeps.
const MEMORY_CACHE: u64 = 2 << 30;

pub fn settings(args: &TrainArgs, folder: &Path, session: &Session) -> anyhow::Result<RunSettings> {
    let resources = &args.resources;
    let devices = args.devices();
    Ok(RunSettings {
        device_names: devices.iter().map(ToString::to_string).collect(),
        devices: devices.into_iter().map(DeviceName::open).collect::<Result<_, _>>()?,
        gradient_checkpointing: resources.gradient_checkpointing,
        workers: session.threads,
        cache: match resources.picture_cache {
            PictureCache::None => Cache::None,
            PictureCache::Memory => Cache::Memory { bytes: MEMORY_CACHE },
            PictureCache::Disk => Cache::Disk {
                folder: folder.join(trainer::PICTURES),
            },
        },
        checkpoint_every: minutes(resources.checkpoint_minutes)?,
        keep: usize::from(resources.keep),
        keep_checkpoints: resources.keep_checkpoints,
        calibrate: resources.calibrate,
        budget: resources.time_budget.map(minutes).transpose()?,
        interrupter: session.interrupter.clone(),
        observer: observer(&session.display),
    })
}

fn minutes(minutes: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(minutes * 60.0)
        .with_context(|| format!("{minutes} minutes cannot be a time: give a number from 0 on"))
}
