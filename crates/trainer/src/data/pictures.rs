//! The files that a table names.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use xception_model::picture::is_named_as_picture;

use super::{folders::all_pictures, spelling::spelling, text::listed};

/// The files that match a name of a table.
pub(super) enum FileMatch {
    File(PathBuf),
    /// Several files match a name that lacks its ending, or is in another case.
    Several(Vec<String>),
    Nothing,
}

/// Finds the pictures of a table.
pub(super) struct Pictures {
    folder: PathBuf,
    /// Whether leading folders that do not exist are left out. The same folders are left out of all names.
    shorten: bool,
    /// The leading folders that are left out.
    left_out: Option<String>,
    /// The content of folders that were searched.
    listings: HashMap<PathBuf, Listing>,
    /// The pictures below the folder by their names and their names without ending, if they were looked for.
    below: Option<HashMap<String, Vec<PathBuf>>>,
}

/// The names in a folder.
#[derive(Default)]
struct Listing {
    files: Vec<String>,
    folders: Vec<String>,
}

impl Pictures {
    /// `given` is the pictures' folder of the options.
    pub fn new(table: &Path, given: Option<&Path>) -> Self {
        let own = table.parent().unwrap_or(Path::new(""));
        Self::in_folder(given.unwrap_or(own), given.is_some())
    }

    fn in_folder(folder: &Path, shorten: bool) -> Self {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        Self {
            folder: folder.to_owned(),
            shorten,
            left_out: None,
            listings: HashMap::new(),
            below: None,
        }
    }

    /// The file of a name: unchanged, with `/` for `\`, in another case or Unicode form, or with the ending of a
    /// picture. If there is none, the file of the name without quotation marks and the codes of URLs; and last, in a
    /// pictures' folder of the options, a file of this name in any folder below.
    pub fn find(&mut self, name: &str) -> FileMatch {
        let found = match self.find_as_written(name) {
            FileMatch::Nothing => match decoded(name) {
                Some(name) => self.find_as_written(&name),
                None => FileMatch::Nothing,
            },
            found => found,
        };
        match found {
            FileMatch::Nothing if self.shorten && !name.contains(['/', '\\']) => self.find_below(name),
            found => found,
        }
    }

    /// The file of a name without folders, in any folder below.
    fn find_below(&mut self, name: &str) -> FileMatch {
        let below = self.below.get_or_insert_with(|| {
            let mut below: HashMap<String, Vec<PathBuf>> = HashMap::new();
            for path in all_pictures(&self.folder) {
                let names = [path.file_name(), path.file_stem()].into_iter().flatten();
                let names: Vec<String> = names.filter_map(|name| Some(name.to_str()?.to_owned())).collect();
                for name in names {
                    below.entry(name).or_default().push(plain(path.clone()));
                }
            }
            below
        });
        match below.get(name).map(Vec::as_slice) {
            None | Some([]) => FileMatch::Nothing,
            Some([only]) => FileMatch::File(only.clone()),
            Some(several) => {
                let mut several: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
                several.sort();
                FileMatch::Several(several)
            }
        }
    }

    fn find_as_written(&mut self, name: &str) -> FileMatch {
        let path = self.folder.join(name);
        if path.is_file() {
            return FileMatch::File(plain(path));
        }
        let name = name.replace('\\', "/");
        let mut start = 0;
        loop {
            let left_out = &name[..start];
            let same = self.left_out.as_deref().is_none_or(|known| known == left_out);
            match self.find_inside(&name[start..]) {
                found if same && !matches!(found, FileMatch::Nothing) => {
                    if start > 0 {
                        self.left_out = Some(left_out.to_owned());
                    }
                    return found;
                }
                _ => {}
            }
            match name[start..].find('/') {
                Some(slash) if self.shorten => start += slash + 1,
                _ => return FileMatch::Nothing,
            }
        }
    }

    fn find_inside(&mut self, name: &str) -> FileMatch {
        // A path from the root is no name inside of the folder, and is looked up unchanged.
        let mut folder = if name.starts_with('/') {
            PathBuf::from("/")
        } else {
            self.folder.clone()
        };
        let mut parts: Vec<&str> = name
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        let Some(wanted) = parts.pop() else {
            return FileMatch::Nothing;
        };
        for part in parts {
            let next = folder.join(part);
            folder = if next.is_dir() {
                next
            } else {
                let alike = self.listing(&folder).folders.iter().filter(|name| alike(name, part));
                match alike.collect::<Vec<_>>()[..] {
                    [only] => folder.join(only),
                    _ => return FileMatch::Nothing,
                }
            };
        }
        if folder.join(wanted).is_file() {
            return FileMatch::File(plain(folder.join(wanted)));
        }
        let files = &self.listing(&folder).files;
        let ways: [&dyn Fn(&str) -> bool; 3] = [
            &|name| stem(name) == Some(wanted),
            &|name| alike(name, wanted),
            &|name| stem(name).is_some_and(|stem| alike(stem, wanted)),
        ];
        for way in ways {
            let mut found: Vec<String> = files.iter().filter(|name| way(name)).cloned().collect();
            match found.len() {
                0 => {}
                1 => return FileMatch::File(plain(folder.join(&found[0]))),
                _ => {
                    found.sort();
                    return FileMatch::Several(found);
                }
            }
        }
        FileMatch::Nothing
    }

    fn listing(&mut self, folder: &Path) -> &Listing {
        self.listings.entry(folder.to_owned()).or_insert_with(|| {
            let mut listing = Listing::default();
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                if entry.path().is_dir() {
                    listing.folders.push(name);
                } else {
                    listing.files.push(name);
                }
            }
            listing
        })
    }

    /// Advice for names without a file: the place where the files may be.
    pub fn advice(&self, names: &[String]) -> String {
        const FLAG: &str = "--skip-missing leaves them out";
        /// This number of names is enough to compare the folders.
        const TRIED: usize = 1000;
        let names = &names[..names.len().min(TRIED)];
        let found_in = |folder: &Path, shorten| {
            let mut pictures = Self::in_folder(folder, shorten);
            let found = names
                .iter()
                .filter(|name| matches!(pictures.find(name), FileMatch::File(_)));
            found.count()
        };
        let folder = self.folder.display();
        let without_ending = |name: &String| Some(name.rsplit_once('.')?.0.to_owned());
        if let Some(name) = names.first().and_then(without_ending)
            && let FileMatch::File(other) = Self::in_folder(&self.folder, self.shorten).find(&name)
        {
            return format!(
                "{} is there, with another ending than in the table: correct the endings, or leave them out of the \
                 table; {FLAG}",
                other.display()
            );
        }
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut folders: Vec<(usize, PathBuf)> = entries
            .map(|entry| plain(entry.path()))
            .filter(|path| path.is_dir())
            .map(|path| (found_in(&path, false), path))
            .filter(|(found, _)| *found > 0)
            .collect();
        folders.sort_by(|(a, left), (b, right)| b.cmp(a).then_with(|| left.cmp(right)));
        let most = folders.first().map_or(0, |(found, _)| *found);
        let everywhere = found_in(&self.folder, true);
        let have_folders = names.iter().any(|name| name.contains(['/', '\\']));
        if everywhere > 0 && have_folders {
            return format!("the first file exists without its leading folders: add --pictures {folder}; {FLAG}");
        }
        if everywhere > most {
            let count = if everywhere < names.len() {
                format!("{everywhere} of them")
            } else {
                "they".to_owned()
            };
            return format!("{count} are in the folders below {folder}: add --pictures {folder}; {FLAG}");
        }
        match folders.as_slice() {
            [] => format!("paths are relative to the table's folder, or to that of --pictures; {FLAG}"),
            [(most, _), (next, _), ..] if next == most => {
                let equal = folders.iter().filter(|(found, _)| found == most);
                let equal: Vec<String> = equal.map(|(_, folder)| folder.display().to_string()).collect();
                format!(
                    "files of these names are in {}: say which folder is meant with --pictures; {FLAG}",
                    listed(&equal)
                )
            }
            [(found, folder), ..] if *found < names.len() => format!(
                "{found} of them are in {0}: add --pictures {0}; {FLAG}",
                folder.display()
            ),
            [(_, folder), ..] => format!("they are in {0}: add --pictures {0}; {FLAG}", folder.display()),
        }
    }
}

/// A name without quotation marks around it, `file://` before it, and codes such as `%20`; `None` if it has none.
fn decoded(name: &str) -> Option<String> {
    let inner = name.strip_prefix('\'').and_then(|name| name.strip_suffix('\''));
    let inner = inner.unwrap_or(name);
    let inner = inner.strip_prefix("file://").unwrap_or(inner);
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%');
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        // Signs are no hexadecimal digits.
        let code = code.filter(|_| after[0].is_ascii_hexdigit());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok().filter(|decoded| decoded != name)
}

/// The path without a leading `./`.
fn plain(path: PathBuf) -> PathBuf {
    path.strip_prefix(".").map(Path::to_owned).unwrap_or(path)
}

fn alike(one: &str, other: &str) -> bool {
    spelling(one) == spelling(other)
}

/// A picture's name without its ending.
fn stem(name: &str) -> Option<&str> {
    let path = Path::new(name);
    is_named_as_picture(path).then(|| path.file_stem()?.to_str()).flatten()
}
