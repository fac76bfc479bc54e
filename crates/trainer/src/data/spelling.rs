//! Names that a reader takes for the same one.

use unicode_normalization::UnicodeNormalization;

/// The name without the differences that a reader does not see or does not mean: upper and lower case, blanks,
/// characters without width, and the two ways of Unicode to write an accent (macOS writes `é` as two characters).
pub(crate) fn spelling(name: &str) -> String {
    composed(&visible(name).to_lowercase())
}

/// The name with one blank between its words, without characters that cannot be seen, in Unicode's composed form.
pub(super) fn tidy(name: &str) -> String {
    composed(&visible(name))
}

/// The name in lower case, without accents.
pub(super) fn without_accents(name: &str) -> String {
    let kept = name.to_lowercase();
    kept.nfd().filter(|char| !is_accent(*char)).nfc().collect()
}

/// In what two names of one spelling differ, for a sentence.
pub(super) fn differences(first: &str, second: &str) -> String {
    let unlike = |form: &dyn Fn(&str) -> String| form(first) != form(second);
    let parts = [
        (unlike(&tidy), "upper and lower case"),
        (
            unlike(&|name| composed(&name.to_lowercase())),
            "blanks and characters that cannot be seen",
        ),
        (
            unlike(&|name| visible(&name.to_lowercase())),
            "the Unicode characters of their accents",
        ),
    ];
    let parts: Vec<&str> = parts
        .iter()
        .filter(|(differs, _)| *differs)
        .map(|(_, part)| *part)
        .collect();
    parts.join(", ")
}

fn visible(name: &str) -> String {
    let kept: String = name.chars().filter(|char| !has_no_width(*char)).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn composed(name: &str) -> String {
    name.nfc().collect()
}

fn has_no_width(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Unicode's block of combining diacritical marks.
fn is_accent(char: char) -> bool {
    matches!(char, '\u{300}'..='\u{36f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_have_one_spelling() {
        for (first, second, by) in [
            ("Cats", "cats", "upper and lower case"),
            ("caf\u{e9}", "cafe\u{301}", "the Unicode characters of their accents"),
            (
                "a\u{327}\u{301}",
                "a\u{301}\u{327}",
                "the Unicode characters of their accents",
            ),
            (
                "\u{d55c}",
                "\u{1112}\u{1161}\u{11ab}",
                "the Unicode characters of their accents",
            ),
            ("cats", " cats", "blanks and characters that cannot be seen"),
            ("hot dog", "hot\u{a0} dog", "blanks and characters that cannot be seen"),
            ("cats", "ca\u{200b}ts", "blanks and characters that cannot be seen"),
            (
                "\u{c9}t\u{e9}",
                "e\u{301}te\u{301} ",
                "upper and lower case, blanks and characters that cannot be seen, the Unicode characters of their \
                 accents",
            ),
        ] {
            assert_eq!(spelling(first), spelling(second), "{first} {second}");
            assert_eq!(differences(first, second), by, "{first} {second}");
        }
        for (first, second) in [("cafe", "caf\u{e9}"), ("hotdog", "hot dog"), ("cup", "cups")] {
            assert_ne!(spelling(first), spelling(second));
        }
    }
}
