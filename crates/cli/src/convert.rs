//! `xception convert`, `verify` and `inspect`: the converter's commands, which also know the registry's names.

use converter::{OutputFormat, command};

use crate::args::{ConvertArgs, InspectArgs, VerifyArgs};
use crate::device::DeviceName;
use crate::output::{Outcome, Target};
use crate::weights;

pub fn convert(args: ConvertArgs) -> anyhow::Result<Outcome> {
    let mut convert = args.convert;
    // Refused before anything is fetched.
    OutputFormat::of(&convert.output)?;
    Target::new(&convert.output, convert.force)?;
    convert.input = weights::file(convert.input.as_os_str(), &args.cache, &DeviceName::default().open()?)?;
    command::convert(&convert).map(outcome)
}

pub fn verify(args: &VerifyArgs) -> anyhow::Result<Outcome> {
    if let Some(path) = &args.json {
        Target::new(path, args.force)?;
    }
    command::verify(args).map(outcome)
}

pub fn inspect(args: &InspectArgs) -> anyhow::Result<Outcome> {
    command::inspect(args).map(outcome)
}

fn outcome(good: bool) -> Outcome {
    if good { Outcome::Complete } else { Outcome::Incomplete }
}
