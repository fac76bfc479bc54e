//! The `.keras` archive (`_save_model_to_fileobj` in `keras/src/saving/saving_lib.py` of 3.15.1).

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::json;
use crate::write::hdf5::{NotWritten, Plan};
use crate::write::version::KERAS_VERSION;

/// A config that would not be read back is not written.
pub(crate) fn check_config(config: &str) -> Result<(), String> {
    json::parse(config.as_bytes()).map(drop)
}

/// Members are stored, not deflated, as Keras does: weights are read in place.
pub(crate) fn write<E>(
    file: File,
    config: &str,
    plan: &Plan,
    values: impl FnMut(usize, &mut dyn Write) -> Result<(), NotWritten<E>>,
) -> Result<File, NotWritten<E>> {
    let zipped = |error: zip::result::ZipError| NotWritten::Io(io::Error::other(error));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let metadata = serde_json::json!({ "keras_version": KERAS_VERSION }).to_string();
    let mut zip = ZipWriter::new(Quiet::new(file));
    for (name, text) in [("metadata.json", metadata.as_str()), ("config.json", config)] {
        zip.start_file(name, options).map_err(zipped)?;
        zip.write_all(text.as_bytes()).map_err(NotWritten::Io)?;
    }
    // From 4 GiB on a member needs the longer header of zip64.
    let large = plan.len() >= u64::from(u32::MAX);
    zip.start_file("model.weights.h5", options.large_file(large))
        .map_err(zipped)?;
    plan.write(&mut zip, values)?;
    let quiet = zip.finish().map_err(zipped)?;
    let file = quiet.file.into_inner();
    file.map_err(|error| NotWritten::Io(error.into_error()))
}

/// A file that takes everything after its first failure: a `ZipWriter` ends its archive when it is dropped, and prints on
/// standard error where it can't.
struct Quiet {
    file: BufWriter<File>,
    failed: bool,
    at: u64,
}

impl Quiet {
    fn new(file: File) -> Self {
        Self {
            file: BufWriter::new(file),
            failed: false,
            at: 0,
        }
    }

    /// The result, or `swallowed` after a failure. The first failure itself is told.
    fn unless_failed<T>(
        &mut self,
        swallowed: T,
        act: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.failed {
            return Ok(swallowed);
        }
        let result = act(&mut self.file);
        self.failed = matches!(&result, Err(error) if error.kind() != io::ErrorKind::Interrupted);
        result
    }
}

impl Write for Quiet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.unless_failed(bytes.len(), |file| file.write(bytes))?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_failed((), BufWriter::flush)
    }
}

impl Seek for Quiet {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let swallowed = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) | SeekFrom::End(by) => self.at.saturating_add_signed(by),
        };
        self.at = self.unless_failed(swallowed, |file| file.seek(to))?;
        Ok(self.at)
    }
}
