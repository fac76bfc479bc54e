//! The names of files, by their endings.

use std::path::Path;

/// The names that end as weight files do, at most five.
pub(super) fn weight_files<'a>(names: impl IntoIterator<Item = &'a String>, endings: &[&str]) -> Vec<&'a str> {
    let is_weights = |name: &&String| endings.iter().any(|ending| ends(name, ending));
    let weights = names.into_iter().filter(is_weights).map(String::as_str);
    weights.take(5).collect()
}

/// Whether a name has this ending, in upper or lower case.
pub(super) fn ends(name: &str, ending: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(ending))
}
