//! `xception completions`.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::values::{AUGMENTATIONS, RECIPES, WEIGHTS};
use crate::args::{Cli, CompletionsArgs};
use crate::exit::ExitStatus;
use crate::io::output::Output;

pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "xception", &mut script);
    let script = with_files(args.shell, &String::from_utf8(script)?);
    let mut output = Output::stdout();
    output.write_all(script.as_bytes())?;
    output.finish()?;
    Ok(ExitStatus::Complete)
}

/// Adds files to what the script offers where a name or a file may stand: clap offers either names or files.
fn with_files(shell: Shell, script: &str) -> String {
    [WEIGHTS, RECIPES, AUGMENTATIONS]
        .iter()
        .filter(|suggested| suggested.or_file)
        .fold(script.to_owned(), |script, suggested| {
            let names = (suggested.names)();
            let list = names.join(" ");
            match shell {
                Shell::Bash => script.replace(&format!("compgen -W \"{list}\""), &format!("compgen -f -W \"{list}\"")),
                Shell::Zsh => script.replace(&format!(":({list})"), &format!(":{{compadd -- {list}; _files}}")),
                Shell::Fish => {
                    let lines: Vec<String> = names.iter().map(|name| format!("{name}\\t''")).collect();
                    let offered = format!("-a \"{}", lines.join("\n"));
                    script.replace(&format!("-f {offered}"), &format!("-F {offered}"))
                }
                _ => script,
            }
        })
}
