//! From what was typed to the pictures that are meant.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use walkdir::{DirEntry, WalkDir};

use crate::args;
use crate::output;

/// The endings of the formats that are read, for folders. A file that is named itself may be called anything.
const ENDINGS: [&str; 11] = [
    "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "png", "tif", "tiff", "webp",
];

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    File(PathBuf),
    Stdin,
}

impl Input {
    /// What it is called in results.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Stdin => "-".to_owned(),
        }
    }
}

/// The pictures in order, and how many arguments and folders gave none; each of those is reported.
pub fn find(paths: &[OsString]) -> anyhow::Result<(Vec<Input>, usize)> {
    let (inputs, mut problems) = expand(paths);
    let failed = problems.len();
    // Where nothing is left to do, the last one is how the program ends.
    let end = inputs.is_empty().then(|| problems.pop());
    for problem in &problems {
        output::complain("error", problem);
    }
    match end {
        None => Ok((inputs, failed)),
        Some(problem) => bail!(problem.unwrap_or_else(|| "there are no pictures to work on".to_owned())),
    }
}

/// A sentence on a path that leads nowhere.
pub fn missing(path: &Path) -> Option<String> {
    let error = fs::metadata(path).err()?;
    Some(url_problem(path).unwrap_or_else(|| format!("{}: cannot be read: {error}", path.display())))
}

/// A sentence on what is no path at all.
pub fn url_problem(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    is_url.then(|| format!("{text}: URLs are not read: download it, and name the file"))
}

/// The pictures in order, and a sentence for each argument and folder that gave none.
fn expand(paths: &[OsString]) -> (Vec<Input>, Vec<String>) {
    if paths.iter().filter(|path| *path == "-").count() > 1 {
        args::wrong_usage("standard input (-) can be read once only");
    }
    let mut inputs = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        if path == "-" {
            inputs.push(Input::Stdin);
            continue;
        }
        let path = Path::new(path);
        // A file may well have brackets in its name.
        if path.exists() || !is_pattern(path) {
            add(path.to_owned(), &mut inputs, &mut problems);
            continue;
        }
        match matches(path) {
            Ok(paths) => {
                for path in paths {
                    add(path, &mut inputs, &mut problems);
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    (inputs, problems)
}

fn add(path: PathBuf, inputs: &mut Vec<Input>, problems: &mut Vec<String>) {
    if !path.is_dir() {
        // Whether it is a picture is found out when it is opened.
        match missing(&path) {
            None => inputs.push(Input::File(path)),
            Some(problem) => problems.push(problem),
        }
        return;
    }
    let before = inputs.len();
    let walk = WalkDir::new(&path)
        .follow_links(true)
        .sort_by(|a, b| alphanumeric_sort::compare_os_str(a.file_name(), b.file_name()))
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry));
    let problems_before = problems.len();
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_file() && has_ending(entry.path()) => {
                inputs.push(Input::File(entry.into_path()));
            }
            Ok(_) => {}
            Err(error) => problems.push(match error.path() {
                Some(place) if error.loop_ancestor().is_some() => {
                    format!("{} is a link to a folder it is in", place.display())
                }
                Some(place) => {
                    let problem = error.io_error().map_or_else(String::new, ToString::to_string);
                    format!("cannot read {}: {problem}", place.display())
                }
                None => error.to_string(),
            }),
        }
    }
    if inputs.len() == before && problems.len() == problems_before {
        problems.push(format!(
            "{} holds no pictures ({})",
            path.display(),
            ENDINGS.map(|ending| format!(".{ending}")).join(", ")
        ));
    }
}

/// Shells on Windows, and quotes elsewhere, leave patterns to the program.
fn is_pattern(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|text| text.contains(['*', '?', '[']) && glob::Pattern::new(text).is_ok())
}

fn matches(path: &Path) -> Result<Vec<PathBuf>, String> {
    let pattern = path.to_string_lossy();
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        require_literal_separator: true,
        ..glob::MatchOptions::new()
    };
    let found = glob::glob_with(&pattern, options).map_err(|error| format!("`{pattern}`: {error}"))?;
    let mut paths = found
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("cannot read {}: {}", error.path().display(), error.error()))?;
    if paths.is_empty() {
        return Err(format!("no file matches `{pattern}`"));
    }
    alphanumeric_sort::sort_path_slice(&mut paths);
    Ok(paths)
}

/// Also what macOS leaves beside every picture on other disks (`._photo.jpg`).
fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn has_ending(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    /// The names below `folder` of what `argument`, also below it, expands to.
    fn names(folder: &Path, argument: &str) -> (Vec<String>, Vec<String>) {
        let (inputs, problems) = expand(&[folder.join(argument).into_os_string()]);
        let prefix = format!("{}/", folder.display());
        let names = inputs.iter().map(|input| input.name().replace(&prefix, ""));
        (names.collect(), problems)
    }

    #[test]
    fn folders_are_walked_in_natural_order() {
        let folder = folder(&[
            "10.jpg",
            "9.PNG",
            "a/2.jpg",
            "a/b/1.webp",
            "notes.txt",
            ".hidden.jpg",
            "._9.PNG",
            ".git/1.jpg",
        ]);
        let (names, problems) = names(folder.path(), "");
        assert_eq!(names, ["9.PNG", "10.jpg", "a/2.jpg", "a/b/1.webp"]);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn patterns_that_the_shell_left() {
        let folder = folder(&["10.jpg", "9.jpg", "9.png", "a/8.jpg", "x[1].jpg"]);
        assert_eq!(names(folder.path(), "[0-9]*.jpg").0, ["9.jpg", "10.jpg"]);
        assert_eq!(names(folder.path(), "**/8.jpg").0, ["a/8.jpg"]);
        assert_eq!(
            names(folder.path(), "x[1].jpg").0,
            ["x[1].jpg"],
            "a file of this name comes first"
        );
        let (found, problems) = names(folder.path(), "*.gif");
        assert!(
            found.is_empty() && problems.len() == 1 && problems[0].starts_with("no file matches `"),
            "{problems:?}"
        );
        let (_, problems) = names(folder.path(), "[");
        assert!(
            problems[0].contains("cannot be read"),
            "no pattern, so the name of a file: {problems:?}"
        );
    }

    #[test]
    fn a_folder_without_pictures_a_lost_file_and_a_url_are_problems() {
        let folder = folder(&["notes.txt"]);
        let (found, problems) = names(folder.path(), "");
        assert!(
            found.is_empty() && problems[0].contains("holds no pictures (.bmp, "),
            "{problems:?}"
        );
        let (found, problems) = names(folder.path(), "lost.jpg");
        assert!(
            found.is_empty() && problems[0].contains("lost.jpg: cannot be read: "),
            "{problems:?}"
        );
        let (found, problems) = expand(&["https://example.org/cat.jpg".into()]);
        assert!(
            found.is_empty() && problems[0].starts_with("https://example.org/cat.jpg: URLs are not read"),
            "{problems:?}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_circles_reported() {
        let folder = folder(&["a/1.jpg", "elsewhere/2.jpg"]);
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), folder.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("a/c")).unwrap();
        let (found, problems) = names(folder.path(), "a");
        assert_eq!(found, ["a/1.jpg", "a/b/2.jpg"]);
        assert!(problems[0].ends_with("is a link to a folder it is in"), "{problems:?}");
    }
}
