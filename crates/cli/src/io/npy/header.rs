//! The header of an array file: a Python dictionary.

pub const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// `numpy/lib/format.py`, `ARRAY_ALIGN`: the numbers start at a multiple of it.
const ALIGN: usize = 64;

/// The bytes before the little-endian 32-bit floats of an array.
pub fn header(shape: &[usize]) -> Vec<u8> {
    // Python's tuples: `(2,)`, `(2, 3)`.
    let mut sides = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    if shape.len() == 1 {
        sides.push(',');
    }
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides}), }}");
    let before = MAGIC.len() + 4;
    let length = (before + text.len() + 1).next_multiple_of(ALIGN) - before;
    text.extend(std::iter::repeat_n(' ', length - 1 - text.len()));
    text.push('\n');

    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    // Version 1.0 has 16 bits for the length, and four sides take at most 160 bytes.
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.into_bytes());
    bytes
}

/// The description of the numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    pub descr: String,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads a Python dictionary of the three known keys; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, value) = quoted(rest)?;
            let value = value.trim_start().strip_prefix(':')?.trim_start();
            rest = match key {
                "descr" => {
                    let (text, rest) = quoted(value)?;
                    descr = Some(text.to_owned());
                    rest
                }
                "fortran_order" => {
                    let (flag, rest) = match value.strip_prefix("True") {
                        Some(rest) => (true, rest),
                        None => (false, value.strip_prefix("False")?),
                    };
                    fortran_order = Some(flag);
                    rest
                }
                "shape" => {
                    let (sides, rest) = value.strip_prefix('(')?.split_once(')')?;
                    let sides = sides.trim().trim_end_matches(',');
                    let sides = sides.split(',').filter(|side| !side.is_empty());
                    shape = Some(sides.map(|side| side.trim().parse().ok()).collect::<Option<_>>()?);
                    rest
                }
                _ => return None,
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').or(rest.is_empty().then_some(""))?.trim_start();
        }
        Some(Self {
            descr: descr?,
            fortran_order: fortran_order?,
            shape: shape?,
        })
    }
}

/// A quoted word and the text behind it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    text.get(1..)?.split_once(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_numpys() {
        // `numpy.save(.., numpy.zeros((2, 3), "f4"))` and `numpy.zeros(5, "f4")`, numpy 2.
        let text = |shape: &[usize]| String::from_utf8_lossy(&header(shape)).into_owned();
        let two = text(&[2, 3]);
        assert_eq!(
            two.trim_end(),
            "\u{fffd}NUMPY\u{1}\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
        );
        assert_eq!(header(&[2, 3]).len(), 128);
        assert!(two.ends_with(" \n"));
        assert!(text(&[5]).contains("'shape': (5,), }"));
        assert_eq!(header(&[usize::MAX; 5]).len() % ALIGN, 0);
    }
}
