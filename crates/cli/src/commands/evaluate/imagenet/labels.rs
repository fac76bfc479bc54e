//! The three forms of files that say which class each validation picture shows.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, anyhow};

use crate::commands::evaluate::imagenet::lines::lines;

/// The file of the devkit that says which class each of its numbers is: lines as `n02119789 1 kit_fox`.
pub const DEVKIT_CLASSES: &str = "map_clsloc.txt";

/// The numbered lines of a file.
type Lines = [(usize, String)];

/// The classes of the validation pictures.
pub enum PictureClasses {
    /// Of each picture by its name: the place of its class in the order of the wnids, from 0.
    ByName(HashMap<String, usize>),
    /// The wnid of each picture, in the order of the pictures' numbers.
    ByNumber(Vec<String>),
}

impl PictureClasses {
    /// Reads Caffe's `val.txt` (`ILSVRC2012_val_00000001.JPEG 65`, classes from 0 in the order of their wnids), one
    /// wnid per line, or the devkit's ground truth: one number per line, from 1 in the devkit's own order, which
    /// `map_clsloc.txt` beside the file explains.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let lines = lines(path)?;
        let (_, first) = lines.first().with_context(|| format!("{} is empty", path.display()))?;
        if first.split_whitespace().count() == 2 {
            return caffe(path, &lines).map(Self::ByName);
        }
        let wnids = if is_wnid(first) {
            wnids(path, &lines)
        } else {
            devkit(path, &lines)
        };
        wnids.map(Self::ByNumber)
    }

    /// The class of a picture; `in_order` holds all wnids, sorted.
    pub fn wnid<'a>(&'a self, number: usize, path: &Path, in_order: &[&'a str]) -> Option<&'a str> {
        match self {
            Self::ByName(classes) => {
                let class = classes.get(path.file_name()?.to_string_lossy().as_ref())?;
                in_order.get(*class).copied()
            }
            Self::ByNumber(classes) => classes.get(number.checked_sub(1)?).map(String::as_str),
        }
    }
}

fn caffe(path: &Path, lines: &Lines) -> anyhow::Result<HashMap<String, usize>> {
    let parse = |(line, text): &(usize, String)| {
        let (name, class) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let class = class.trim().parse();
        let class = class.map_err(|_| unexpected(path, *line, text, "a picture's name and the number of its class"))?;
        Ok((name.to_owned(), class))
    };
    lines.iter().map(parse).collect()
}

fn wnids(path: &Path, lines: &Lines) -> anyhow::Result<Vec<String>> {
    let parse = |(line, text): &(usize, String)| {
        let wnid = Some(text.clone()).filter(|text| is_wnid(text));
        wnid.ok_or_else(|| unexpected(path, *line, text, "a wnid such as n01440764"))
    };
    lines.iter().map(parse).collect()
}

fn devkit(path: &Path, lines: &Lines) -> anyhow::Result<Vec<String>> {
    let classes = devkit_classes(&path.with_file_name(DEVKIT_CLASSES)).with_context(|| {
        format!(
            "{} numbers classes in the devkit's own order, which {DEVKIT_CLASSES} beside it explains; copy it there, \
             or use Caffe's val.txt",
            path.display()
        )
    })?;
    let parse = |(line, text): &(usize, String)| {
        let wnid = text.parse().ok().and_then(|number: usize| classes.get(&number));
        wnid.cloned()
            .ok_or_else(|| unexpected(path, *line, text, "a class's number"))
    };
    lines.iter().map(parse).collect()
}

/// The wnid of each of the devkit's numbers.
fn devkit_classes(path: &Path) -> anyhow::Result<HashMap<usize, String>> {
    let parse = |(line, text): (usize, String)| {
        let mut fields = text.split_whitespace();
        match (fields.next(), fields.next().map(str::parse)) {
            (Some(wnid), Some(Ok(number))) if is_wnid(wnid) => Ok((number, wnid.to_owned())),
            _ => Err(unexpected(path, line, &text, "a wnid and its number")),
        }
    };
    lines(path)?.into_iter().map(parse).collect()
}

fn unexpected(path: &Path, line: usize, text: &str, expected: &str) -> anyhow::Error {
    anyhow!("{} line {line}: expected {expected}, found `{text}`", path.display())
}

fn is_wnid(text: &str) -> bool {
    let digits = text.strip_prefix('n').unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
}
