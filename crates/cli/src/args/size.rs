//! `--size`.

use std::fmt;
use std::str::FromStr;

/// The longest side of an input: at 4,096 x 4,096 the first feature maps alone take 2 GB.
const MAX_SIDE: usize = 4096;

/// An input's height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub height: usize,
    pub width: usize,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (height, width) = text.split_once(['x', 'X']).unwrap_or((text, text));
        let side = |text: &str| {
            text.parse()
                .ok()
                .filter(|side| (1..=MAX_SIDE).contains(side))
                .ok_or_else(|| format!("expected height x width such as 299x299, each from 1 to {MAX_SIDE} pixels"))
        };
        Ok(Self {
            height: side(height)?,
            width: side(width)?,
        })
    }
}

/// The longest side of an input that is trained.
const MAX_TRAINED: u16 = 2048;

/// The side of pictures that are trained on: `299`, or `299x299` as for other commands.
pub fn square(text: &str) -> Result<u16, String> {
    let Size { height, width } = text.parse()?;
    let side = u16::try_from(height).ok().filter(|side| *side <= MAX_TRAINED);
    side.filter(|_| height == width)
        .ok_or_else(|| format!("training takes square pictures of 1 to {MAX_TRAINED} pixels, such as 299 or 299x299"))
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let size = |height, width| Ok(Size { height, width });
        assert_eq!("299x150".parse(), size(299, 150));
        assert_eq!("150".parse(), size(150, 150));
        assert_eq!([square("150"), square("150x150")], [Ok(150), Ok(150)]);
        for wrong in ["150x151", "2049", "0", "150x"] {
            assert!(square(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "x", "299x", "0x299", "299x4097", "299x299x3", "-299", "299 x 299"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
