//! `xception completions`.

use std::ffi::OsString;

use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception completions bash > ~/.local/share/bash-completion/completions/xception
  xception completions zsh > ~/.zfunc/_xception
  xception completions fish > ~/.config/fish/completions/xception.fish")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
    /// Print the class names that may follow these words, which the scripts ask for
    #[arg(long, hide = true, value_name = "WORDS", num_args = 0.., allow_hyphen_values = true)]
    pub class_names: Option<Vec<OsString>>,
}
