//! `xception devices`.

use clap::Args;

use crate::args::format::ListFormat;

/// List the devices this build can compute on
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception devices
  xception classify photos/ --device wgpu        One of the list")]
pub struct DevicesArgs {
    /// Format of the list
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}
