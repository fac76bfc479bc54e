//! `xception train`.

mod data;
mod instead;
mod new_run;
mod recipe;
mod resources;

use std::path::PathBuf;

use clap::{Args, ValueHint};

use self::data::DataArgs;
use self::instead::InsteadArgs;
use self::new_run::NewRunArgs;
pub use self::recipe::RecipeArgs;
pub use self::resources::{PictureCache, ResourceArgs};
use crate::args::cache::CacheArgs;
use crate::args::compute::ComputeArgs;
use crate::args::known::KnownArgs;
use crate::args::layout::LayoutArgs;
use crate::args::reading::ReadingArgs;
use crate::compute::device::DeviceName;

/// Train a classifier on your own pictures
///
/// DATA is a folder with one folder of pictures per class, or a CSV file with the columns path and label. Folders
/// `train`, `val` and `test` in DATA, or a column `split` with these words, are kept as they are; otherwise the
/// pictures are split. A picture with several labels has them in one cell, `cat;dog`, in a column called `labels`.
/// Other columns are ignored. docs/training.md lists other folders and tables, and what to type for them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception train flowers/                                    A classifier of your folders, and a report to look at
  xception train flowers/ --recipe linear-probe              The same in a minute or two
  xception train flowers/ --weights mine.keras --scaling tf  From other weights
  xception train --resume runs/flowers                       Continue a run that was stopped
  xception classify new.jpg --weights runs/flowers           Use the trained network

Ctrl-C finishes the step, saves and ends with exit status 130 (143 after SIGTERM); a second Ctrl-C ends at once.")]
pub struct TrainArgs {
    #[command(flatten)]
    pub new: NewRunArgs,
    /// Continue a run that was stopped, with the settings it was started with
    // A group's id is its struct's name: every argument of these structs is recorded in the run, or starts something
    // else.
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = [
            "NewRunArgs", "RecipeArgs", "DataArgs", "LayoutArgs", "ReadingArgs", "InsteadArgs", "KnownArgs", "CacheArgs"
        ],
        value_hint = ValueHint::DirPath
    )]
    pub resume: Option<PathBuf>,
    /// With --resume: where the pictures lie now, if they were moved or copied
    #[arg(
        long = "data",
        id = "moved-data",
        value_name = "DATA",
        requires = "resume",
        help_heading = "More options",
        value_hint = ValueHint::AnyPath
    )]
    pub moved_data: Option<PathBuf>,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten, next_help_heading = "More options")]
    pub layout: LayoutArgs,
    #[command(flatten, next_help_heading = "More options")]
    pub reading: ReadingArgs,
    #[command(flatten)]
    pub resources: ResourceArgs,
    /// Only check the data: print its counts and problems, and end
    #[arg(long, help_heading = "More options")]
    pub check: bool,
    #[command(flatten)]
    pub instead: InsteadArgs,
    #[command(flatten, next_help_heading = "More options")]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten, next_help_heading = "More options")]
    pub cache: CacheArgs,
}

impl TrainArgs {
    /// The devices that compute the steps.
    pub fn devices(&self) -> Vec<&DeviceName> {
        match self.resources.devices.as_slice() {
            [] => vec![&self.compute.device],
            devices => devices.iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;
    use clap::error::ErrorKind;

    use super::*;

    /// What may differ from the run that is resumed, because no number of the result depends on it.
    const FREE: [&str; 11] = [
        "data",
        "time-budget",
        "picture-cache",
        "checkpoint-minutes",
        "keep",
        "dashboard",
        "gradient-checkpointing",
        "devices",
        "check",
        "device",
        "threads",
    ];

    #[test]
    fn a_resumed_run_keeps_its_settings() {
        let command = TrainArgs::augment_args(Command::new("train"));
        let mut flags = 0;
        for argument in command.get_arguments() {
            let Some(flag) = argument.get_long().filter(|flag| *flag != "resume") else {
                continue;
            };
            flags += 1;
            let mut typed = vec![
                "train".to_owned(),
                "--resume".to_owned(),
                "run".to_owned(),
                format!("--{flag}"),
            ];
            if argument.get_action().takes_values() {
                typed.push(match (flag, argument.get_possible_values().first()) {
                    ("device" | "devices", _) => DeviceName::default().to_string(),
                    ("show-augmentation", _) => "light".to_owned(),
                    (_, Some(choice)) => choice.get_name().to_owned(),
                    (_, None) => "1".to_owned(),
                });
            }
            let refused = command.clone().try_get_matches_from(typed).err();
            let refused = refused.map(|error| error.kind());
            let expected = (!FREE.contains(&flag)).then_some(ErrorKind::ArgumentConflict);
            assert_eq!(refused, expected, "--{flag}");
        }
        assert!(flags > 30, "{flags}");
    }
}
