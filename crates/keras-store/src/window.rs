//! A part of a file, readable at offsets.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Mutex;

/// `len` bytes of a file from `start`: a whole `.h5`, or the HDF5 member inside a `.keras`.
pub(crate) struct FileWindow {
    // One handle serves every tensor of the store, from any thread. Each read seeks first.
    file: Mutex<File>,
    start: u64,
    len: u64,
}

impl FileWindow {
    /// The caller has checked that `start + len` lies within the file.
    pub(crate) fn new(file: File, start: u64, len: u64) -> Self {
        Self {
            file: Mutex::new(file),
            start,
            len,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` from `offset`, counted from the window's start.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        let position = self.start.checked_add(offset);
        let (Some(end), Some(position)) = (end, position) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // A panicked reader leaves the handle at an unknown position, which is harmless because every read seeks first.
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(position))?;
        file.read_exact(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn window(start: u64, len: u64) -> FileWindow {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        FileWindow::new(file, start, len)
    }

    #[test]
    fn reads_count_from_the_start_of_the_window() {
        let mut two = [0; 2];
        window(3, 5).read_at(1, &mut two).unwrap();
        assert_eq!(&two, b"45");
    }

    #[test]
    fn reads_end_at_the_end_of_the_window_though_the_file_goes_on() {
        let mut two = [0; 2];
        let error = window(3, 5).read_at(4, &mut two).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(window(3, 5).read_at(u64::MAX, &mut two).is_err());
    }
}
