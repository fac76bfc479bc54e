//! `xception convert`, `verify` and `inspect`: the converter's commands, which take the registry's names as well.

use converter::{OutputFormat, command};

use crate::args::{ConvertArgs, InspectArgs, VerifyArgs};
use crate::compute::device::DeviceName;
use crate::exit::ExitStatus;
use crate::io::target::Target;
use crate::weights::file;

pub fn convert(args: ConvertArgs) -> anyhow::Result<ExitStatus> {
    let mut convert = args.convert;
    // The output is checked first, because the weights may have to be downloaded.
    OutputFormat::of(&convert.output)?;
    Target::new_file(&convert.output, convert.force)?;
    convert.input = file::find(convert.input.as_os_str(), &args.cache, &DeviceName::default().open()?)?;
    command::convert(&convert).map(status)
}

pub fn verify(args: VerifyArgs) -> anyhow::Result<ExitStatus> {
    let mut verify = args.verify;
    if let Some(path) = &verify.json {
        Target::new_file(path, verify.force)?;
    }
    for path in [&mut verify.input, &mut verify.record] {
        *path = file::find(path.as_os_str(), &args.cache, &DeviceName::default().open()?)?;
    }
    command::verify(&verify).map(status)
}

pub fn inspect(args: InspectArgs) -> anyhow::Result<ExitStatus> {
    let mut inspect = args.inspect;
    inspect.file = file::find(inspect.file.as_os_str(), &args.cache, &DeviceName::default().open()?)?;
    command::inspect(&inspect).map(status)
}

fn status(good: bool) -> ExitStatus {
    if good {
        ExitStatus::Complete
    } else {
        ExitStatus::Incomplete
    }
}
