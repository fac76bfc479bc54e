//! The names of classes for the shell's completion of `--class`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap_complete::Shell;
use xception_model::labels;

use crate::args::WeightsFileArgs;
use crate::weights::class_labels;

/// The names that may stand as the last of `words`, which are typed after the program's name in `shell`; none where
/// they cannot be read at once.
pub fn class_names(shell: Shell, words: &[OsString]) -> Vec<String> {
    let labels = match value(words, "--labels", None) {
        Some(path) => labels::read(Path::new(&path)).ok(),
        None => class_labels::at_once(
            value(words, "--weights", Some("-w"))
                .as_deref()
                .unwrap_or(OsStr::new(WeightsFileArgs::DEFAULT)),
        ),
    };
    let names = labels.unwrap_or_default().into_iter().map(|label| label.name);
    if shell != Shell::Bash {
        // These shells filter and quote what they are offered.
        return names.collect();
    }
    let typed = words
        .last()
        .map_or_else(String::new, |word| unquoted(&word.to_string_lossy()));
    names
        .filter(|name| name.starts_with(&typed))
        .map(|name| quoted(&name))
        .collect()
}

/// What is typed behind a flag, or in one word with it.
fn value(words: &[OsString], long: &str, short: Option<&str>) -> Option<OsString> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == long || short.is_some_and(|short| word == short) {
            // Bash hands over the sign as a word.
            return words.find(|word| *word != "=").cloned();
        }
        let word = word.to_string_lossy();
        let rest = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        if let Some(rest) = rest.or_else(|| word.strip_prefix(short?)) {
            return Some(rest.into());
        }
    }
    None
}

/// The text with a backslash before what a shell takes for more than a letter.
fn quoted(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len()), |mut text, char| {
        if char.is_ascii() && !char.is_ascii_alphanumeric() && !"_-./,+@%:".contains(char) {
            text.push('\\');
        }
        text.push(char);
        text
    })
}

/// What a word stands for whose quotes may still be open.
fn unquoted(word: &str) -> String {
    word.chars().filter(|char| !['\\', '"', '\''].contains(char)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn values_of_flags() {
        for line in [
            "explain x.jpg -w run --class cu",
            "explain -wrun --class cu",
            "explain --weights=run --class cu",
            "explain --weights = run --class cu",
            "explain --class cu --weights run",
        ] {
            assert_eq!(
                value(&words(line), "--weights", Some("-w")),
                Some("run".into()),
                "{line}"
            );
        }
        assert_eq!(value(&words("explain --class cu"), "--weights", Some("-w")), None);
    }

    #[test]
    fn names_are_quoted_for_bash() {
        assert_eq!(quoted("great white"), "great\\ white");
        assert_eq!(quoted("jack-o'-lantern"), "jack-o\\'-lantern");
        assert_eq!(quoted("茶碗"), "茶碗");
        assert_eq!(unquoted("\"great wh"), "great wh");
        let mut found = class_names(Shell::Bash, &words("explain --class jack"));
        found.sort();
        assert_eq!(found, ["jack-o\\'-lantern", "jackfruit"]);
        assert_eq!(class_names(Shell::Fish, &words("explain --class jack")).len(), 1000);
        assert!(class_names(Shell::Zsh, &words("explain -w nothing.bpk --class jack")).is_empty());
    }
}
