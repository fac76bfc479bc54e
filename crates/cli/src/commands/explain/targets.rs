//! The files that explanations are written to.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use trainer::plots;

use crate::args::{self, ExplainArgs};
use crate::io::target::Target;
use crate::pictures::source::Source;

/// The file for each picture's explanation. Files that exist are refused before any work is done.
pub fn targets(args: &ExplainArgs, sources: &[Source]) -> anyhow::Result<Vec<Target>> {
    let output = args.output.as_deref();
    let is_file = |path: &&Path| plots::is_png(path) && !path.is_dir();
    if let Some(file) = output.filter(is_file) {
        let [_] = sources else {
            args::wrong_usage(format_args!(
                "{} is one file, and there are {} pictures: name a folder",
                file.display(),
                sources.len()
            ));
        };
        return Ok(vec![Target::new(file, args.force)?]);
    }
    let folder = output.unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    in_folder(args, sources, folder)
}

/// A file in the folder for each picture, named after the picture and the method.
fn in_folder(args: &ExplainArgs, sources: &[Source], folder: &Path) -> anyhow::Result<Vec<Target>> {
    let mut taken = HashSet::new();
    let target = |source: &Source| {
        let stem = match source {
            Source::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            Source::Stdin => "standard-input".to_owned(),
        };
        let name = format!("{stem}.{}.png", args.method);
        let path = folder.join(&name);
        if !taken.insert(name) {
            bail!(
                "two pictures would be written to {}: explain them in two runs",
                path.display()
            );
        }
        Target::new(&path, args.force)
    };
    sources.iter().map(target).collect()
}
