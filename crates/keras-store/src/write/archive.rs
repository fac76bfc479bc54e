//! Writes the `.keras` archive (`_save_model_to_fileobj` in `keras/src/saving/saving_lib.py` of 3.15.1).

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::json;
use crate::write::hdf5::{FilePlan, NotWritten};
use crate::write::version::KERAS_VERSION;

/// Refuses a config that this crate could not read back.
pub(crate) fn check_config(config: &str) -> Result<(), String> {
    json::parse(config.as_bytes()).map(drop)
}

/// Writes the archive. Members are stored, not deflated, as in Keras, so that readers can read the weights in place.
pub(crate) fn write<E>(
    file: File,
    config: &str,
    plan: &FilePlan,
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
    // A member of 4 GiB or more needs zip64's longer header.
    let large = plan.len() >= u64::from(u32::MAX);
    zip.start_file("model.weights.h5", options.large_file(large))
        .map_err(zipped)?;
    plan.write(&mut zip, values)?;
    let quiet = zip.finish().map_err(zipped)?;
    let file = quiet.file.into_inner();
    file.map_err(|error| NotWritten::Io(error.into_error()))
}

/// A file that accepts and ignores every write after its first failure. A dropped `ZipWriter` finishes its archive and
/// prints an error to stderr if it cannot; this prevents the print.
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

    /// `result`, or the error `swallowed` if an earlier write failed. The first failure is the one reported.
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
