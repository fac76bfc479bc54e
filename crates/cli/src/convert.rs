//! `xception convert`.

use std::path::Path;

use crate::args::ConvertArgs;
use crate::device::DeviceName;
use crate::output::{Outcome, Target};
use crate::weights;

pub fn convert(args: &ConvertArgs) -> anyhow::Result<Outcome> {
    // `save` makes sure that the record appears complete or not at all; this refuses before the work.
    Target::new(&args.output, args.force)?;
    let mut classifier = weights::find(&args.input, &args.cache, &DeviceName::default().open()?)?;
    weights::apply(&args.spec, &mut classifier.spec)?;
    if classifier.spec.source.is_empty() {
        classifier.spec.source = Path::new(&args.input).display().to_string();
    }
    xception_model::save(&classifier.model, &classifier.spec, &args.output, args.force)?;
    Ok(Outcome::Complete)
}
