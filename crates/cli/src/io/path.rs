//! Paths that cannot be read.

use std::fs;
use std::path::Path;

/// A sentence on a path that cannot be read.
pub fn missing(path: &Path) -> Option<String> {
    let error = fs::metadata(path).err()?;
    Some(url_problem(path).unwrap_or_else(|| format!("{}: cannot be read: {error}", path.display())))
}

/// A sentence on a URL in the place of a path.
pub fn url_problem(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    is_url.then(|| format!("{text}: URLs are not read: download it, and name the file"))
}
