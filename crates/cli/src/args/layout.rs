//! How a data set lies in its folder or table.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use trainer::data::{ClassCase, ClassFolders, DataOptions, TableOptions};

use crate::args::values::parsed;

/// Settles what a folder or table of pictures leaves open.
#[derive(Debug, Args)]
pub struct LayoutArgs {
    /// The column of a table that names the files [default: path, file, filename, image, id or the like]
    #[arg(long, value_name = "NAME")]
    pub file_column: Option<String>,
    /// The column of a table that holds the labels [default: label, labels, class, category, breed or the like]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// The column of a table that says train, val or test [default: split, set or the like]
    #[arg(long, value_name = "NAME")]
    pub split_column: Option<String>,
    /// The folder of a table's pictures, if it is not the table's own. Folders that the table names and that do not
    /// exist there are left out of the names
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub pictures: Option<PathBuf>,
    /// A cell of a table may hold several labels, `cat;dog`, whatever its column is called
    #[arg(long)]
    pub multi_label: bool,
    /// A cell of a table holds one label, even if its column is called labels
    #[arg(long, conflicts_with = "multi_label")]
    pub single_label: bool,
    /// Leave out a table's pictures that do not exist, instead of refusing the table
    #[arg(long)]
    pub skip_missing: bool,
    /// Which folder is a picture's class, where folders lie in folders: top (the outermost one), or deepest (the one
    /// that holds the picture)
    #[arg(long, value_name = "WHICH", value_parser = parsed::<ClassFolders>(&["top", "deepest"]))]
    pub class_folders: Option<ClassFolders>,
    /// Classes whose names differ in upper and lower case, blanks or Unicode form alone: merge them, or keep them apart
    #[arg(long, value_name = "HOW", value_parser = parsed::<ClassCase>(&["merge", "keep"]))]
    pub class_case: Option<ClassCase>,
}

impl LayoutArgs {
    /// These options over the others.
    pub fn over(&self, options: DataOptions) -> DataOptions {
        let given = self.table();
        DataOptions {
            table: if given == TableOptions::default() {
                options.table
            } else {
                given
            },
            class_folders: self.class_folders.or(options.class_folders),
            class_case: self.class_case.or(options.class_case),
            ..options
        }
    }

    fn table(&self) -> TableOptions {
        TableOptions {
            file_column: self.file_column.clone(),
            label_column: self.label_column.clone(),
            split_column: self.split_column.clone(),
            pictures: self.pictures.clone(),
            multi_label: (self.multi_label || self.single_label).then_some(self.multi_label),
            skip_missing: self.skip_missing,
        }
    }
}
