//! SGI, with Pillow's numbers (`SgiImagePlugin.py`, `SgiRleDecode.c`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, turned_over},
    error::PictureError,
    fault::{damaged, early, unsupported},
    limits::DecodeLimits,
    numbers::{big_long, big_short},
};

const FORMAT: &str = "SGI";
const HEADER: usize = 512;

struct Header {
    canvas: Canvas,
    channels: usize,
    /// Bytes of a sample.
    sample_len: usize,
}

pub(super) fn decode_sgi(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let (header, data) = bytes.split_at_checked(HEADER).ok_or_else(|| early(FORMAT))?;
    let number = |at| big_short(header, at).unwrap_or_default();
    let (compression, sample_len) = (header[2], header[3]);
    let (dimensions, channels) = (number(4), number(10));
    let is_known = matches!(
        (sample_len, dimensions, channels),
        (1 | 2, 1 | 2, 1) | (1 | 2, 3, 3 | 4)
    );
    if !is_known {
        let reason = format!("it has {channels} channels of {sample_len} bytes in {dimensions} dimensions");
        return Err(unsupported(FORMAT, reason));
    }
    let header = Header {
        canvas: Canvas::new(FORMAT, [number(6), number(8)], 8, limits)?,
        channels,
        sample_len: sample_len.into(),
    };
    let pixels = match compression {
        0 => header.plain(data).ok_or_else(|| early(FORMAT))?,
        1 => header.runs(data)?,
        _ => {
            return Err(unsupported(
                FORMAT,
                format!("its compression has the number {compression}"),
            ));
        }
    };
    // The lowest row comes first.
    let pixels = turned_over(&pixels, header.canvas.width * channels);
    match channels {
        1 => header.canvas.picture(pixels, DynamicImage::ImageLuma8),
        3 => header.canvas.picture(pixels, DynamicImage::ImageRgb8),
        _ => header.canvas.picture(pixels, DynamicImage::ImageRgba8),
    }
}

impl Header {
    /// Channels one after the other. Of 16 bits the upper ones count, which come first.
    fn plain(&self, data: &[u8]) -> Option<Vec<u8>> {
        let channel_len = self.canvas.pixels() * self.sample_len;
        let data = data.get(..channel_len * self.channels)?;
        let sample =
            |index: usize| (0..self.channels).map(move |channel| data[channel * channel_len + index * self.sample_len]);
        Some((0..self.canvas.pixels()).flat_map(sample).collect())
    }

    /// Rows of each channel at places of their own.
    fn runs(&self, data: &[u8]) -> Result<Vec<u8>, PictureError> {
        let Canvas { width, height, .. } = self.canvas;
        let count = height * self.channels;
        if data.len() < 8 * count {
            return Err(early(FORMAT));
        }
        let mut pixels = vec![0; self.canvas.pixels() * self.channels];
        // What a row leaves out, it has from the row before.
        let mut row = vec![0; width * self.channels];
        'rows: for (y, pixels) in pixels.chunks_exact_mut(row.len()).enumerate() {
            for channel in 0..self.channels {
                let index = y + channel * height;
                let number = |at| big_long(data, at).ok_or_else(|| early(FORMAT));
                let place = number(4 * index)?.checked_sub(HEADER);
                let place = place.ok_or_else(|| damaged(FORMAT, "a row begins in the header"))?;
                let length = number(4 * (count + index))?;
                let samples = row[channel..].iter_mut().step_by(self.channels);
                match self.row(samples, data, place, length)? {
                    Row::Complete => {}
                    Row::Last => break 'rows,
                }
            }
            pixels.copy_from_slice(&row);
        }
        Ok(pixels)
    }

    /// Fills a channel of a row from `length` runs and literals at most. The bounds are Pillow's, which miss the last
    /// byte of a file in places.
    fn row<'r>(
        &self,
        mut row: impl Iterator<Item = &'r mut u8>,
        data: &[u8],
        mut at: usize,
        length: usize,
    ) -> Result<Row, PictureError> {
        let size = self.sample_len;
        let last = data.len() - 1;
        let mut left = self.canvas.width;
        // A length beyond 31 bits is less than 0 for Pillow.
        let length = i32::try_from(length).unwrap_or_default();
        for remaining in (1..=length).rev() {
            if at + size - 1 > last {
                return Err(early(FORMAT));
            }
            let head = data[at + size - 1];
            at += size;
            if remaining == 1 && head != 0 {
                return Ok(Row::Last);
            }
            let count = usize::from(head & 0x7f);
            if count == 0 {
                break;
            }
            left = left
                .checked_sub(count)
                .ok_or_else(|| damaged(FORMAT, "a row is too long"))?;
            let is_literal = head & 0x80 != 0;
            let end = match (is_literal, size) {
                (true, _) => at + size * count,
                (false, 1) => at,
                (false, _) => at + size,
            };
            if end > last {
                return Err(early(FORMAT));
            }
            for (index, sample) in row.by_ref().take(count).enumerate() {
                *sample = data[at + if is_literal { size * index } else { 0 }];
            }
            at += if is_literal { size * count } else { size };
        }
        Ok(Row::Complete)
    }
}

/// What stands behind a row.
enum Row {
    Complete,
    /// Pillow ends the picture here, without an error; the rest is black.
    Last,
}
