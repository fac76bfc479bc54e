//! The files that explanations are written to.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use trainer::plots;

use crate::args::{self, ExplainArgs};
use crate::io::target::Target;
use crate::pictures::source::PictureSource;

/// Chooses the file for each picture's explanation.
pub struct Targets<'a> {
    args: &'a ExplainArgs,
    place: Place<'a>,
    /// Names of files in the folder.
    taken: HashSet<String>,
}

enum Place<'a> {
    File(&'a Path),
    Folder(&'a Path),
}

impl<'a> Targets<'a> {
    pub fn new(args: &'a ExplainArgs, pictures: usize) -> anyhow::Result<Self> {
        let output = args.output.as_deref().unwrap_or(Path::new(""));
        let is_file = plots::is_png(output) || output.exists();
        let place = if is_file && !output.is_dir() {
            Place::File(output)
        } else {
            Place::Folder(output)
        };
        match place {
            Place::File(file) if pictures != 1 => args::wrong_usage(format_args!(
                "{} is one file, and there are {pictures} pictures: name a folder",
                file.display()
            )),
            Place::Folder(folder) if !folder.as_os_str().is_empty() => {
                fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            }
            _ => {}
        }
        Ok(Self {
            args,
            place,
            taken: HashSet::new(),
        })
    }

    /// The file for one picture. A file that exists is refused.
    pub fn target(&mut self, source: &PictureSource) -> anyhow::Result<Target> {
        let folder = match self.place {
            Place::File(file) => return Target::new_file(file, self.args.force),
            Place::Folder(folder) => folder,
        };
        let stem = match source {
            PictureSource::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            PictureSource::Stdin => "standard-input".to_owned(),
        };
        let name = format!("{stem}.{}.png", self.args.method);
        let path = folder.join(&name);
        if !self.taken.insert(name) {
            bail!(
                "two pictures would be written to {}: explain them in two runs",
                path.display()
            );
        }
        Target::new(&path, self.args.force)
    }
}
