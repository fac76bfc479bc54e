//! `ImageNet`'s validation pictures, which lie in one folder and have their classes in a file.

mod labels;
mod lines;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use trainer::evaluate::Labelled;
use xception_model::labels::Label;

use self::labels::PictureClasses;
use self::lines::lines;

/// The beginning of the pictures' names: `ILSVRC2012_val_00000001.JPEG`.
const PREFIX: &str = "ILSVRC2012_val_";

/// The pictures of a flat folder, with their classes from a file of labels as numbers of the network's outputs.
pub fn validation(folder: &Path, labels: &Path, known: &[Label]) -> anyhow::Result<Vec<Labelled>> {
    let pictures = pictures(folder)?;
    let classes = PictureClasses::read(labels)?;
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
            let wnid = classes.wnid(number, &path, &in_order);
            let wnid = wnid.ok_or_else(|| anyhow!("{} has no class for {}", labels.display(), path.display()))?;
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

/// The numbers of pictures to leave out, one per line: the ILSVRC devkit's blacklist, as in the Xception paper (Chollet
/// 2017, section 4.5.1).
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
    // Names of copies sorted by class may end with the wnid: `ILSVRC2012_val_00000001_n01751748.JPEG`.
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
            "{} holds no pictures called {PREFIX}00000001.JPEG; --imagenet-labels is for pictures of these names; \
             data with one folder per class does not need it",
            folder.display()
        );
    }
    pictures.sort_unstable();
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use super::labels::DEVKIT_CLASSES;
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
        let found = validation(folder, &file, &labels()).map_err(|error| crate::io::message::sentence(&error))?;
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
