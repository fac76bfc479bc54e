//! From paths and patterns to pictures.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::bail;
use trainer::data::pictures_of_table;
use walkdir::WalkDir;
use xception_model::picture::{ENDINGS, SkippedFiles, hidden_pictures, is_hidden, is_named_as_picture};

use crate::args;
use crate::io::message;
use crate::io::path::missing;
use crate::pictures::source::PictureSource;

/// The pictures in order, and the number of problems: arguments and folders without pictures, already reported.
pub fn find(paths: &[OsString]) -> anyhow::Result<(Vec<PictureSource>, usize)> {
    let FoundPictures {
        sources,
        mut problems,
        skipped,
    } = FoundPictures::expand(paths);
    for (folder, skipped) in skipped {
        message::print("warning", &format!("{}: {skipped}", folder.display()));
    }
    let failed = problems.len();
    // Without any picture, the last problem is the error that ends the program.
    let last = sources.is_empty().then(|| problems.pop());
    for problem in &problems {
        message::print("error", problem);
    }
    match last {
        None => Ok((sources, failed)),
        Some(problem) => bail!(problem.unwrap_or_else(|| "no pictures are given".to_owned())),
    }
}

/// Pictures and problems found so far.
#[derive(Default)]
struct FoundPictures {
    /// The pictures in order.
    sources: Vec<PictureSource>,
    /// A sentence for each argument and folder without pictures.
    problems: Vec<String>,
    /// The folders in which files are skipped.
    skipped: Vec<(PathBuf, SkippedFiles)>,
}

impl FoundPictures {
    fn expand(paths: &[OsString]) -> Self {
        if paths.iter().filter(|path| *path == "-").count() > 1 {
            args::wrong_usage("standard input (-) can be read once only");
        }
        let mut found = Self::default();
        for path in paths {
            if path == "-" {
                found.sources.push(PictureSource::Stdin);
                continue;
            }
            let path = Path::new(path);
            // The name of an existing file may contain brackets.
            if path.exists() || !is_pattern(path) {
                found.add(path.to_owned());
                continue;
            }
            match matches(path) {
                Ok(paths) => paths.into_iter().for_each(|path| found.add(path)),
                Err(problem) => found.problems.push(problem),
            }
        }
        found
    }

    /// Adds a file, or the pictures in a folder.
    fn add(&mut self, path: PathBuf) {
        if path.is_dir() {
            self.add_folder(&path);
            return;
        }
        if path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
            && path.is_file()
        {
            self.add_table(&path);
            return;
        }
        // Whether the file is a picture is found out when it is opened.
        match missing(&path) {
            None => self.sources.push(PictureSource::File(path)),
            Some(problem) => self.problems.push(problem),
        }
    }

    /// Adds the pictures of a table that `xception train` reads.
    fn add_table(&mut self, path: &Path) {
        match pictures_of_table(path) {
            Ok(pictures) => self.sources.extend(pictures.into_iter().map(PictureSource::File)),
            Err(error) => self.problems.push(error.to_string()),
        }
    }

    fn add_folder(&mut self, folder: &Path) {
        let before = [self.sources.len(), self.problems.len()];
        let mut skipped = SkippedFiles::default();
        let walk = WalkDir::new(folder)
            .follow_links(true)
            .sort_by(|a, b| alphanumeric_sort::compare_os_str(a.file_name(), b.file_name()))
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()));
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_file() && is_named_as_picture(entry.path()) => {
                    self.sources.push(PictureSource::File(entry.into_path()));
                }
                Ok(entry) if entry.file_type().is_file() => skipped.add(entry.path()),
                Ok(_) => {}
                Err(error) => self.problems.push(walk_problem(&error)),
            }
        }
        // Notes and tables beside the pictures are skipped without a word.
        if skipped.pictures() > 0 {
            self.skipped.push((folder.to_owned(), skipped));
        }
        if before == [self.sources.len(), self.problems.len()] {
            self.problems.push(format!(
                "{} holds no pictures ({}){}",
                folder.display(),
                ENDINGS.map(|ending| format!(".{ending}")).join(", "),
                match hidden_pictures(folder) {
                    0 => String::new(),
                    count => format!("; hidden pictures passed over: {count}"),
                }
            ));
        }
    }
}

fn walk_problem(error: &walkdir::Error) -> String {
    match error.path() {
        Some(place) if error.loop_ancestor().is_some() => {
            format!("{} is a link to a folder that contains it", place.display())
        }
        Some(place) => {
            let problem = error.io_error().map_or_else(String::new, ToString::to_string);
            format!("cannot read {}: {problem}", place.display())
        }
        None => error.to_string(),
    }
}

/// Whether the program must expand the path: shells on Windows do not, and quotes keep other shells from it.
fn is_pattern(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|text| text.contains(['*', '?', '[']) && glob::Pattern::new(text).is_ok())
}

/// The files that match a pattern, in natural order. Names need not be text.
fn matches(path: &Path) -> Result<Vec<PathBuf>, String> {
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        require_literal_separator: true,
        ..glob::MatchOptions::new()
    };
    // The folders before the first wildcard are walked from, the rest is matched.
    let is_plain = |part: &Component<'_>| {
        !part
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .any(|byte| b"*?[".contains(byte))
    };
    let parts: Vec<Component<'_>> = path.components().collect();
    let plain = parts.iter().take_while(|&part| is_plain(part)).count();
    let (start, rest): (PathBuf, PathBuf) = (parts[..plain].iter().collect(), parts[plain..].iter().collect());
    let text = slashed(&rest);
    let pattern = glob::Pattern::new(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let depth = if text.contains("**") {
        usize::MAX
    } else {
        parts.len() - plain
    };
    let from: &Path = if plain == 0 { Path::new(".") } else { &start };
    let mut paths = Vec::new();
    for entry in WalkDir::new(from).follow_links(true).min_depth(1).max_depth(depth) {
        match entry {
            Ok(entry) => {
                let below = entry.path().strip_prefix(from).unwrap_or(entry.path());
                if pattern.matches_with(&slashed(below), options) {
                    paths.push(start.join(below));
                }
            }
            // A link to a folder that contains it, and a link to nothing, hold no file.
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error)
                if error
                    .io_error()
                    .is_some_and(|error| error.kind() == ErrorKind::NotFound) => {}
            Err(error) => return Err(walk_problem(&error)),
        }
    }
    if paths.is_empty() {
        return Err(format!("no file matches `{}`", path.display()));
    }
    alphanumeric_sort::sort_path_slice(&mut paths);
    Ok(paths)
}

/// A path as text with `/` between its parts, as patterns have it.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::fs;

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

    /// Expands `argument` in `folder`. Names are relative to the folder.
    fn names(folder: &Path, argument: &str) -> (Vec<String>, Vec<String>) {
        let FoundPictures { sources, problems, .. } = FoundPictures::expand(&[folder.join(argument).into_os_string()]);
        let prefix = format!("{}/", folder.display());
        let names = sources.iter().map(|source| source.name().replace(&prefix, ""));
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
            found.is_empty() && problems[0].contains("holds no pictures (.jpg, ") && problems[0].ends_with(')'),
            "{problems:?}"
        );
        let hidden = self::folder(&["a/.1.jpg", ".b/2.jpg", "@eaDir/3.jpg", "__MACOSX/4.jpg"]);
        let (found, problems) = names(hidden.path(), "");
        assert!(
            found.is_empty() && problems[0].ends_with("; hidden pictures passed over: 4"),
            "{problems:?}"
        );
        let (found, problems) = names(folder.path(), "lost.jpg");
        assert!(
            found.is_empty() && problems[0].contains("lost.jpg: cannot be read: "),
            "{problems:?}"
        );
        let FoundPictures { sources, problems, .. } = FoundPictures::expand(&["https://example.org/cat.jpg".into()]);
        assert!(
            sources.is_empty() && problems[0].starts_with("https://example.org/cat.jpg: URLs are not read"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_table_names_its_pictures() {
        let folder = folder(&["a/1.jpg", "a/2.jpg", "b/3.jpg"]);
        fs::write(folder.path().join("some.csv"), "path,label\na/2.jpg,x\nb/3.jpg,y\n").unwrap();
        let (found, problems) = names(folder.path(), "some.csv");
        assert_eq!(
            (found.as_slice(), problems.len()),
            (&["a/2.jpg".to_owned(), "b/3.jpg".to_owned()][..], 0)
        );
        fs::write(folder.path().join("some.csv"), "file\n1.jpg\n").unwrap();
        let (found, problems) = names(folder.path(), "some.csv");
        assert!(
            found.is_empty() && problems[0].contains("there is no column"),
            "{problems:?}"
        );
    }

    #[test]
    fn skipped_files_are_counted_by_format() {
        let folder = folder(&["1.jpg", "notes.txt", "a/2.txt"]);
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        for name in ["1.heic", "2.HEIC", "a/3"] {
            fs::write(folder.path().join(name), heic).unwrap();
        }
        fs::write(folder.path().join("photo.dat"), b"\xff\xd8\xff\xe0").unwrap();
        let found = FoundPictures::expand(&[folder.path().as_os_str().to_owned()]);
        assert_eq!(found.sources.len(), 1);
        let [(place, skipped)] = &found.skipped[..] else {
            panic!("{} folders", found.skipped.len());
        };
        assert_eq!(place, folder.path());
        let sentence = skipped.to_string();
        assert!(
            sentence.starts_with("skipped 3 HEIC, 1 JPEG without a usual ending, 2 other files; for HEIC: python -c "),
            "{sentence}"
        );
    }

    /// The glob crate panics at the first of these names.
    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_no_text_are_matched_too() {
        use std::os::unix::ffi::OsStrExt;

        let folder = folder(&["1.png", "b/c/2.png", "b/.3.png"]);
        let odd = std::ffi::OsStr::from_bytes(b"caf\xe9.png");
        fs::write(folder.path().join(odd), "").unwrap();
        fs::create_dir(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff"))).unwrap();
        let found = FoundPictures::expand(&[folder.path().join("*.png").into_os_string()]);
        assert_eq!(
            found.sources,
            [
                PictureSource::File(folder.path().join("1.png")),
                PictureSource::File(folder.path().join(odd))
            ]
        );
        assert_eq!(names(folder.path(), "**/*.png").0.len(), 3);
        assert_eq!(names(folder.path(), "b/*/*.png").0, ["b/c/2.png"]);
        assert_eq!(names(folder.path(), "b/.*").0, ["b/.3.png"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_circles_reported() {
        let folder = folder(&["a/1.jpg", "elsewhere/2.jpg"]);
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), folder.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("a/c")).unwrap();
        let (found, problems) = names(folder.path(), "a");
        assert_eq!(found, ["a/1.jpg", "a/b/2.jpg"]);
        assert!(
            problems[0].ends_with("is a link to a folder that contains it"),
            "{problems:?}"
        );
    }
}
