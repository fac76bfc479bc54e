//! The report as text.

use std::fmt;

use super::{Alike, DataReport, Member, Sizes};
use crate::data::text::{LISTED, counted, shown};

/// The most classes that are printed; more do not fit a screen.
const CLASSES_SHOWN: usize = 40;

impl fmt::Display for DataReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.class_table(f)?;
        let Sizes { width, height } = self.sizes;
        writeln!(
            f,
            "width {} to {} (median {}), height {} to {} (median {})",
            width.min, width.max, width.median, height.min, height.max, height.median
        )?;
        let unreadable = self.unreadable.iter();
        let unreadable = unreadable.map(|file| format!("{}: {}", file.name, file.reason));
        section(f, ("file", "that cannot be decoded, skipped"), unreadable)?;
        let doubtful = self.doubtful.iter();
        let doubtful = doubtful.map(|file| format!("{}: {}", file.name, file.reason));
        section(f, ("doubtful picture", "(see docs/pictures.md)"), doubtful)?;
        self.groups(f)?;
        for warning in &self.warnings {
            writeln!(f, "warning: {}", shown(warning))?;
        }
        Ok(())
    }
}

impl DataReport {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pictures = self.total.train + self.total.val + self.total.test;
        let kind = if self.multi_label {
            ", any number of them per picture"
        } else {
            ""
        };
        writeln!(
            f,
            "{}\n{}, {} classes{kind}, {}",
            shown(&self.root.display().to_string()),
            counted(pictures, "picture"),
            self.classes.len(),
            self.split_by
        )
    }

    fn class_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = &self.classes[..self.classes.len().min(CLASSES_SHOWN)];
        let names = classes.iter().map(|class| class.name.chars().count());
        let wide = names.max().unwrap_or(0).max("total".len());
        let row = |f: &mut fmt::Formatter<'_>, name: &str, cells: [&dyn fmt::Display; 3]| {
            let [train, val, test] = cells.map(ToString::to_string);
            writeln!(f, "  {name:wide$}  {train:>7} {val:>7} {test:>7}")
        };
        row(f, "class", [&"train", &"val", &"test"])?;
        for class in classes {
            row(f, &class.name, [&class.train, &class.val, &class.test])?;
        }
        if classes.len() < self.classes.len() {
            writeln!(f, "  and {} more classes", self.classes.len() - classes.len())?;
        }
        let total = &self.total;
        row(f, &total.name, [&total.train, &total.val, &total.test])
    }

    /// The numbers of groups of files with the same pixels: all groups, groups in several splits, and groups with
    /// different labels.
    fn groups(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |group: &Alike, text: fn(&Member) -> String| {
            let files: Vec<String> = group.files.iter().map(text).collect();
            files.join(" = ")
        };
        let name = |file: &Member| file.name.clone();
        let split = |file: &Member| format!("{} ({})", file.name, file.split);
        let labels = |file: &Member| format!("{} ({})", file.name, file.labels.join(", "));
        section(
            f,
            ("group", "of files with the same pixels"),
            self.duplicates.iter().map(|group| line(group, name)),
        )?;
        section(
            f,
            (
                "group",
                "of files with the same pixels on both sides of the split, so that results look better than they are",
            ),
            self.leaking.iter().map(|group| line(group, split)),
        )?;
        section(
            f,
            ("group", "of files with the same pixels and different labels"),
            self.conflicting.iter().map(|group| line(group, labels)),
        )
    }
}

/// The number of lines, and the first ten.
fn section(
    f: &mut fmt::Formatter<'_>,
    (thing, what): (&str, &str),
    lines: impl ExactSizeIterator<Item = String>,
) -> fmt::Result {
    let count = lines.len();
    if count == 0 {
        return Ok(());
    }
    writeln!(f, "{} {what}:", counted(count, thing))?;
    for line in lines.take(LISTED) {
        writeln!(f, "  {}", shown(&line))?;
    }
    if count > LISTED {
        writeln!(f, "  and {} more", count - LISTED)?;
    }
    Ok(())
}
