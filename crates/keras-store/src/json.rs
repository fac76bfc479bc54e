//! Parses JSON from a file, within limits on the memory that it takes.

use serde_json::Value;

/// The largest model of `keras.applications`, `NASNetLarge`, has a config of 1.0 MB with 20,000 objects and lists and
/// 44,000 commas. The limits here are four, three and six times as large.
pub(crate) const MAX_BYTES: u64 = 4 << 20;
/// An object takes 0.7 kB in memory; `{"":0}` takes 6 bytes in the file.
const MAX_CONTAINERS: usize = 1 << 16;
/// A value in a list takes at least 32 bytes in memory; in the file it takes one byte and a comma.
const MAX_COMMAS: usize = 1 << 18;

/// Parses a text within the limits above.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    if text.len() as u64 > MAX_BYTES {
        return Err(format!(
            "it has {} bytes, more than the {MAX_BYTES} a model's config can need",
            text.len()
        ));
    }
    let count = |wanted: &[u8]| text.iter().filter(|byte| wanted.contains(byte)).count();
    let (containers, commas) = (count(b"{["), count(b","));
    if containers > MAX_CONTAINERS || commas > MAX_COMMAS {
        return Err(format!(
            "it has {containers} objects and lists and {commas} commas, more than the {MAX_CONTAINERS} and \
             {MAX_COMMAS} a model's config can need"
        ));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_grows_in_memory_is_refused() {
        for (piece, count, part) in [
            ("{\"\":0},", MAX_CONTAINERS, "objects and lists"),
            ("0,", MAX_COMMAS + 1, "commas"),
            ("      ", 1 << 20, "bytes, more than"),
        ] {
            let text = format!("[{}0]", piece.repeat(count));
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(parse(format!("[{}0]", "{\"\":0},".repeat(1 << 15)).as_bytes()).is_ok());
        assert!(parse(b"[0,").unwrap_err().contains("EOF"));
    }
}
