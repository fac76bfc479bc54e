//! Comma-separated values (RFC 4180, lines ended by `\n`).

use std::io::{self, Write};

use csv_core::{Terminator, WriterBuilder};

/// Writes one line.
pub fn write_row<T: AsRef<str>>(output: &mut impl Write, fields: impl IntoIterator<Item = T>) -> io::Result<()> {
    let mut writer = WriterBuilder::new().terminator(Terminator::Any(b'\n')).build();
    let mut line = Vec::new();
    let mut end = 0;
    for (index, field) in fields.into_iter().enumerate() {
        let field = field.as_ref().as_bytes();
        // A quote and a delimiter for the field before; here every byte doubled and a quote.
        line.resize(end + 2 * field.len() + 3, 0);
        if index > 0 {
            end += writer.delimiter(&mut line[end..]).1;
        }
        end += writer.field(field, &mut line[end..]).2;
    }
    line.resize(end + 3, 0);
    end += writer.terminator(&mut line[end..]).1;
    output.write_all(&line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_has_them() {
        let row = |fields: &[&str]| {
            let mut line = Vec::new();
            write_row(&mut line, fields).unwrap();
            String::from_utf8(line).unwrap()
        };
        assert_eq!(row(&["a", "b c", ""]), "a,b c,\n");
        assert_eq!(row(&["", "", "a"]), ",,a\n");
        assert_eq!(
            row(&["\"\"\"\"", "a,b", "c\nd"]),
            "\"\"\"\"\"\"\"\"\"\",\"a,b\",\"c\nd\"\n"
        );
    }
}
