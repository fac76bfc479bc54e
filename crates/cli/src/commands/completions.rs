//! `xception completions`.

mod class_names;

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use self::class_names::class_names;
use crate::args::values::{AUGMENTATIONS, RECIPES, WEIGHTS};
use crate::args::{Cli, CompletionsArgs};
use crate::exit::ExitStatus;
use crate::io::message::printable;
use crate::io::output::Output;

pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitStatus> {
    if let Some(words) = &args.class_names {
        let mut output = Output::stdout();
        for name in class_names(args.shell, words) {
            writeln!(output, "{}", printable(&name))?;
        }
        output.finish()?;
        return Ok(ExitStatus::Complete);
    }
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "xception", &mut script);
    let script = with_files(args.shell, &String::from_utf8(script)?);
    let script = with_classes(args.shell, &script);
    let mut output = Output::stdout();
    output.write_all(script.as_bytes())?;
    output.finish()?;
    Ok(ExitStatus::Complete)
}

/// Lets the script ask this program for the classes of the weights on the line, where `explain --class` takes one.
fn with_classes(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => {
            // Other commands have no such option.
            let Some((before, explain)) = script.split_once("        xception__subcmd__explain)\n") else {
                return script.to_owned();
            };
            let names = "local IFS=$'\\n'\n                    COMPREPLY=($(xception completions bash --class-names \
                         \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))";
            let explain = ["--class", "-c"].iter().fold(explain.to_owned(), |explain, flag| {
                let case = format!("                {flag})\n                    ");
                let files = format!("{case}COMPREPLY=($(compgen -f \"${{cur}}\"))");
                explain.replacen(&files, &format!("{case}{names}"), 1)
            });
            format!("{before}        xception__subcmd__explain)\n{explain}")
        }
        Shell::Zsh => script.replace(
            ":NAME|N:_default'",
            ":NAME|N:{local -a names; names=(${(f)\"$(xception completions zsh --class-names ${(Q)words} \
             2>/dev/null)\"}); compadd -a names}'",
        ),
        Shell::Fish => script.replace(
            "-s c -l class -d ",
            "-s c -l class -f -a \"(xception completions fish --class-names (commandline -opc)[2..] 2>/dev/null)\" -d ",
        ),
        _ => script.to_owned(),
    }
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
