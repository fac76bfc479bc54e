//! How the data is split and checked.

use clap::Args;

/// How the data is split and checked.
#[derive(Debug, Args)]
#[command(next_help_heading = "More options")]
pub struct DataArgs {
    /// Part of the pictures for validation, if the data is not split
    #[arg(long, value_name = "PART", default_value = "0.15", allow_negative_numbers = true)]
    pub val_fraction: f64,
    /// Part of the pictures for the final test, if the data is not split
    #[arg(long, value_name = "PART", default_value = "0.15", allow_negative_numbers = true)]
    pub test_fraction: f64,
    /// Refuse data with unreadable files instead of leaving them out
    #[arg(long)]
    pub strict: bool,
}
