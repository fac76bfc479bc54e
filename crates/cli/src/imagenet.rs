//! `ImageNet`'s validation pictures, which lie in one folder and have their classes in a file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use trainer::evaluate::Labelled;
use xception_model::labels::Label;

/// What the names of the pictures begin with: `ILSVRC2012_val_00000001.JPEG`.
const PREFIX: &str = "ILSVRC2012_val_";

/// The file of the devkit that says which class each of its numbers is: lines as `n02119789 1 kit_fox`.
const DEVKIT_CLASSES: &str = "map_clsloc.txt";

/// Files of labels are text of at most this length: `ImageNet`'s largest has 1.6 MB.
const MAX_BYTES: u64 = 64 << 20;

/// The pictures of a flat folder and their classes by a file of labels, as the network's outputs count them.
///
/// Three forms are read: Caffe's `val.txt` (`ILSVRC2012_val_00000001.JPEG 65`, classes from 0 in the order of their wnids),
/// one wnid a line, and the devkit's ground truth (one number a line, from 1 in the devkit's own order, which
/// `map_clsloc.txt` beside it explains).
pub fn validation(folder: &Path, labels: &Path, known: &[Label]) -> anyhow::Result<Vec<Labelled>> {
    let pictures = pictures(folder)?;
    let wnids = wnids(labels)?;
    let outputs: HashMap<&str, usize> = known
        .iter()
        .enumerate()
        .filter_map(|(output, label)| Some((label.id.as_deref()?, output)))
        .collect();
    if outputs.is_empty() {
        bail!("the network's labels have no wnids (n01440764, ...), by which ImageNet's classes are found");
    }
    let in_order = {
        let mut ids: Vec<&str> = outputs.keys().copied().collect();
        ids.sort_unstable();
        ids
    };
    pictures
        .into_iter()
        .map(|(number, path)| {
            let named = match &wnids {
                Wnids::ByName(classes) => path
                    .file_name()
                    .and_then(|name| classes.get(name.to_string_lossy().as_ref()))
                    .and_then(|class| in_order.get(*class))
                    .copied(),
                Wnids::ByNumber(classes) => number
                    .checked_sub(1)
                    .and_then(|index| classes.get(index))
                    .map(String::as_str),
            };
            let wnid = named.ok_or_else(|| anyhow!("{} has no class for {}", labels.display(), path.display()))?;
            let output = outputs.get(wnid).copied();
            let output = output.ok_or_else(|| {
                anyhow!(
                    "{}: its class {wnid} is none of the network's {} classes",
                    path.display(),
                    known.len()
                )
            })?;
            Ok(Labelled {
                path,
                classes: vec![output],
            })
        })
        .collect()
}

/// The numbers of pictures to leave out, one a line: the ILSVRC devkit's blacklist, which the Xception paper leaves out too
/// (Chollet 2017, section 4.5.1).
pub fn blacklist(path: &Path) -> anyhow::Result<Vec<usize>> {
    lines(path)?
        .into_iter()
        .map(|(line, text)| {
            let number = text.parse().ok();
            number.ok_or_else(|| {
                anyhow!(
                    "{} line {line}: expected a picture's number, found `{text}`",
                    path.display()
                )
            })
        })
        .collect()
}

/// The number in a validation picture's name.
pub fn number(path: &Path) -> Option<usize> {
    let digits = path.file_stem()?.to_str()?.strip_prefix(PREFIX)?;
    // Copies sorted by class may carry the wnid at the end: `ILSVRC2012_val_00000001_n01751748.JPEG`.
    let digits = digits.split('_').next()?;
    (digits.len() == 8).then(|| digits.parse().ok()).flatten()
}

/// The validation pictures of a folder by their numbers, ascending.
fn pictures(folder: &Path) -> anyhow::Result<Vec<(usize, PathBuf)>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut pictures = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        if let Some(number) = number(&path) {
            pictures.push((number, path));
        }
    }
    if pictures.is_empty() {
        bail!(
            "{} holds no pictures called {PREFIX}00000001.JPEG; --imagenet-labels is for those, a folder a class needs it not",
            folder.display()
        );
    }
    pictures.sort_unstable();
    Ok(pictures)
}

enum Wnids {
    /// Classes from 0 in the order of their wnids, by the picture's name.
    ByName(HashMap<String, usize>),
    /// The wnid of each picture in the order of their numbers.
    ByNumber(Vec<String>),
}

fn wnids(path: &Path) -> anyhow::Result<Wnids> {
    let lines = lines(path)?;
    let (_, first) = lines.first().with_context(|| format!("{} is empty", path.display()))?;
    let wrong = |line: usize, text: &str, expected: &str| {
        anyhow!("{} line {line}: expected {expected}, found `{text}`", path.display())
    };
    if first.split_whitespace().count() == 2 {
        let named = lines.iter().map(|(line, text)| {
            let (name, class) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            let class = class.trim().parse();
            let class = class.map_err(|_| wrong(*line, text, "a picture's name and the number of its class"))?;
            Ok((name.to_owned(), class))
        });
        return named.collect::<anyhow::Result<_>>().map(Wnids::ByName);
    }
    if is_wnid(first) {
        let classes = lines.into_iter().map(|(line, text)| {
            if is_wnid(&text) {
                Ok(text)
            } else {
                Err(wrong(line, &text, "a wnid such as n01440764"))
            }
        });
        return classes.collect::<anyhow::Result<_>>().map(Wnids::ByNumber);
    }
    let classes = devkit_classes(&path.with_file_name(DEVKIT_CLASSES)).with_context(|| {
        format!(
            "{} numbers classes in the devkit's own order, which {DEVKIT_CLASSES} beside it explains; copy it there, or use \
             Caffe's val.txt",
            path.display()
        )
    })?;
    let numbers = lines.into_iter().map(|(line, text)| {
        let wnid = text.parse().ok().and_then(|number: usize| classes.get(&number));
        wnid.cloned().ok_or_else(|| wrong(line, &text, "a class's number"))
    });
    numbers.collect::<anyhow::Result<_>>().map(Wnids::ByNumber)
}

/// The devkit's numbers and their wnids.
fn devkit_classes(path: &Path) -> anyhow::Result<HashMap<usize, String>> {
    let parse = |(line, text): (usize, String)| {
        let mut fields = text.split_whitespace();
        match (fields.next(), fields.next().map(str::parse)) {
            (Some(wnid), Some(Ok(number))) if is_wnid(wnid) => Ok((number, wnid.to_owned())),
            _ => Err(anyhow!(
                "{} line {line}: expected a wnid and its number, found `{text}`",
                path.display()
            )),
        }
    };
    lines(path)?.into_iter().map(parse).collect()
}

fn is_wnid(text: &str) -> bool {
    let digits = text.strip_prefix('n').unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text file's lines and their numbers, without blank ones.
fn lines(path: &Path) -> anyhow::Result<Vec<(usize, String)>> {
    let read = || -> std::io::Result<String> {
        if fs::metadata(path)?.len() > MAX_BYTES {
            return Err(std::io::Error::other("it is too large for a list of labels"));
        }
        fs::read_to_string(path)
    };
    let text = read().with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().map(str::trim).zip(1..);
    let lines = lines.filter(|(text, _)| !text.is_empty());
    Ok(lines.map(|(text, line)| (line, text.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pictures, and a network whose outputs are not in the order of the wnids.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00000001.JPEG", "00000003.jpeg", "00000002.JPEG", "x.JPEG"] {
            fs::write(folder.path().join(format!("{PREFIX}{name}")), "").unwrap();
        }
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        folder
    }

    fn labels() -> Vec<Label> {
        ["n00000300", "n00000100", "n00000200"]
            .map(|id| Label {
                id: Some(id.to_owned()),
                name: format!("class {id}"),
            })
            .to_vec()
    }

    fn outputs(folder: &Path, text: &str) -> Result<Vec<usize>, String> {
        let file = folder.join("labels.txt");
        fs::write(&file, text).unwrap();
        let found = validation(folder, &file, &labels()).map_err(|error| crate::output::sentence(&error))?;
        assert!(found.is_sorted_by_key(|picture| number(&picture.path)));
        Ok(found.into_iter().flat_map(|picture| picture.classes).collect())
    }

    #[test]
    fn three_forms_of_labels_give_the_same_classes() {
        let folder = folder();
        // wnid 300, 100, 200 for pictures 1, 2, 3: outputs 0, 1, 2.
        let caffe = format!("{PREFIX}00000003.jpeg 1\n{PREFIX}00000001.JPEG 2\n{PREFIX}00000002.JPEG 0\n");
        assert_eq!(outputs(folder.path(), &caffe).unwrap(), [0, 1, 2]);
        let wnids = "n00000300\nn00000100\r\nn00000200\n\n";
        assert_eq!(outputs(folder.path(), wnids).unwrap(), [0, 1, 2]);
        let without = outputs(folder.path(), "3\n1\n2\n").unwrap_err();
        assert!(without.contains("map_clsloc.txt beside it explains"), "{without}");
        fs::write(
            folder.path().join(DEVKIT_CLASSES),
            "n00000100 1 kit_fox\nn00000200 2 setter\nn00000300 3 husky\n",
        )
        .unwrap();
        assert_eq!(outputs(folder.path(), "3\n1\n2\n").unwrap(), [0, 1, 2]);
    }

    #[test]
    fn wrong_labels_are_named_by_their_line() {
        let folder = folder();
        let error = |text: &str| outputs(folder.path(), text).unwrap_err();
        assert!(
            error("n00000300\nn00000100\n").contains("labels.txt has no class for"),
            "{}",
            error("n00000300\n")
        );
        assert!(error("n00000300\nnonsense\n").contains("line 2: expected a wnid"));
        assert!(error(&format!("{PREFIX}00000001.JPEG x\n")).contains("line 1: expected a picture's name"));
        assert!(error("n00000300\nn00000100\nn00000400").contains("n00000400 is none of the network's 3 classes"));
        assert!(error("\n").ends_with("labels.txt is empty"));
    }

    #[test]
    fn numbers_are_read_from_names_and_lists() {
        assert_eq!(number(Path::new("a/ILSVRC2012_val_00000036.JPEG")), Some(36));
        assert_eq!(number(Path::new("n02/ILSVRC2012_val_00000036_n02.JPEG")), Some(36));
        for other in ["a/36.JPEG", "ILSVRC2012_val_36.JPEG", "ILSVRC2012_val_0000003x.JPEG"] {
            assert_eq!(number(Path::new(other)), None, "{other}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "36\n50\n").unwrap();
        assert_eq!(blacklist(file.path()).unwrap(), [36, 50]);
        fs::write(file.path(), "36\nx\n").unwrap();
        let error = blacklist(file.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("line 2: expected a picture's number, found `x`"),
            "{error}"
        );
    }
}
