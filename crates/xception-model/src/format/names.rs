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

/// The pattern of the names of all parts of a set of weights, if this is the name of one of several:
/// `model-00001-of-00002.safetensors`.
pub(super) fn other_shards(name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (beginning, number) = rest.rsplit_once('-')?;
    let is_part = number.parse::<u32>().is_ok() && count.parse::<u32>().is_ok_and(|count| count > 1);
    is_part.then(|| format!("{beginning}-*-of-{count}.{ending}"))
}
