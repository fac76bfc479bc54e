//! The tables of the README that a test writes and checks.
#![allow(
    dead_code,
    missing_docs,
    reason = "shared by several test binaries, each of which uses a part"
)]

use std::fmt::Write as _;
use std::fs;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

/// Whether tests write the README's tables instead of checking them.
pub fn is_updated() -> bool {
    std::env::var_os("UPDATE_README").is_some()
}

/// A table between the comments `NAME: begin` and `NAME: end`.
pub struct ReadmeTable {
    before: String,
    table: String,
    after: String,
}

impl ReadmeTable {
    /// Reads the table `name`.
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(README).unwrap();
        let begin = format!("<!-- {name}: begin -->\n");
        let start = text.find(&begin).expect("the README has the table's begin") + begin.len();
        let end = text
            .find(&format!("<!-- {name}: end -->"))
            .expect("the README has the table's end");
        Self {
            before: text[..start].to_owned(),
            table: text[start..end].to_owned(),
            after: text[end..].to_owned(),
        }
    }

    /// The cells of each row below the heading.
    pub fn rows(&self) -> Vec<Vec<&str>> {
        let lines = self.table.lines().skip(2);
        lines
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect()
    }

    /// The cells of the column `heading`, by the row's first cell.
    pub fn column(&self, heading: &str) -> Vec<(&str, &str)> {
        let place = self.place(heading);
        self.rows().into_iter().map(|cells| (cells[0], cells[place])).collect()
    }

    /// The number of a column.
    fn place(&self, heading: &str) -> usize {
        let first = self.table.lines().next().expect("the table has headings");
        let mut cells = first.trim_matches('|').split('|').map(str::trim);
        cells
            .position(|cell| cell == heading)
            .expect("the table has this column")
    }

    /// Compares the cells of one column with `cell` of the row's first cell, and writes them with `UPDATE_README`.
    pub fn check_column(&self, heading: &str, cell: impl Fn(&str) -> String) {
        let place = self.place(heading);
        let mut table: String = self.table.split_inclusive('\n').take(2).collect();
        for mut cells in self.rows() {
            let new = cell(cells[0]);
            cells[place] = &new;
            writeln!(table, "| {} |", cells.join(" | ")).unwrap();
        }
        self.check(&table);
    }

    /// Compares the README's table with `table`; with `UPDATE_README` it is written instead.
    pub fn check(&self, table: &str) {
        if is_updated() {
            fs::write(README, [&self.before, table, &self.after].concat()).unwrap();
        } else {
            assert_eq!(self.table, table, "UPDATE_README=1 writes the README's table anew");
        }
    }
}
