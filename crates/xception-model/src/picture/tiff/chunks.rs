//! The strips or tiles of a TIFF file, decompressed and put together.

use super::{
    super::{error::PictureError, limits::check_size, options::DecodeOptions},
    chunk::Chunk,
    compression::decompress,
    directory::{Directory, tag},
    fault::{damaged, unsupported},
    header::{FAX, Header, Kind, NONE},
};
use crate::reading::TruncatedMode;

/// Where the parts of a picture lie.
pub(super) struct Chunks<'a> {
    file: &'a [u8],
    offsets: Vec<u64>,
    /// Lengths in bytes; empty if the file does not say them.
    counts: Vec<u64>,
    pub width: u32,
    pub height: u32,
    across: usize,
    down: usize,
    /// Most bytes of memory for a decoder's own use.
    pub max_bytes: u64,
    /// What is missing of uncompressed parts, in whose place Pillow leaves zeros.
    pub damage: Option<&'static str>,
}

/// A part of a plane of a picture.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub plane: usize,
    /// The first column and row.
    pub x: u32,
    pub y: u32,
    /// Columns and rows within the picture; a tile may hold more.
    pub columns: usize,
    pub rows: usize,
}

impl<'a> Chunks<'a> {
    pub fn new(
        file: &'a [u8],
        directory: &Directory<'_>,
        header: &Header,
        options: &DecodeOptions,
    ) -> Result<Self, PictureError> {
        let limits = &options.limits;
        let is_plain = header.compression == NONE;
        let has_strips = directory.has(tag::STRIP_OFFSETS);
        let has_tiles = [tag::TILE_WIDTH, tag::TILE_HEIGHT, tag::TILE_OFFSETS, tag::TILE_COUNTS]
            .into_iter()
            .any(|tag| directory.has(tag));
        if has_strips && has_tiles && !is_plain {
            return Err(damaged("it has strips and tiles"));
        }
        let size = |tag| directory.number(tag).map(|size| size.min(u64::from(u32::MAX)) as u32);
        let (offsets, counts, width, height) = if let Some(offsets) = directory.numbers(tag::STRIP_OFFSETS) {
            let rows = size(tag::ROWS_PER_STRIP).unwrap_or(u32::MAX).min(header.height);
            (offsets, tag::STRIP_COUNTS, header.width, rows)
        } else {
            let offsets = directory.numbers(tag::TILE_OFFSETS);
            let offsets = offsets.ok_or_else(|| damaged("its directory does not say where the pixels are"))?;
            let (width, height) = (size(tag::TILE_WIDTH), size(tag::TILE_HEIGHT));
            (offsets, tag::TILE_COUNTS, width.unwrap_or(0), height.unwrap_or(0))
        };
        if width == 0 || height == 0 {
            return Err(damaged("its parts have no size"));
        }
        let (across, down) = (header.width.div_ceil(width), header.height.div_ceil(height));
        // All columns of the tiles are decompressed, also those beyond the picture.
        let sample_bytes = header.samples.saturating_mul(header.bits.div_ceil(8));
        check_size(
            across.saturating_mul(width),
            header.height,
            u8::try_from(sample_bytes).unwrap_or(u8::MAX),
            limits,
        )?;
        let needed = across as usize * down as usize * if header.is_planar { header.samples } else { 1 };
        if is_plain && offsets.len() > needed {
            // Pillow lets the superfluous parts cover the first ones.
            return Err(damaged("it has more parts than its size needs"));
        }
        // libtiff guesses the length of a single part, and forgives a wrong guess in these kinds alone.
        let is_forgiven = header.kind == Kind::YCbCr || FAX.contains(&header.compression);
        if !is_plain && !directory.has(counts) && (offsets.len() > 1 || is_forgiven) {
            return Err(damaged("its parts have no lengths"));
        }
        let mut chunks = Self {
            file,
            offsets,
            // Pillow takes uncompressed rows wherever they end.
            counts: if is_plain {
                Vec::new()
            } else {
                directory.numbers(counts).unwrap_or_default()
            },
            width,
            height,
            across: across as usize,
            down: down as usize,
            max_bytes: limits.max_bytes,
            damage: None,
        };
        if is_plain {
            chunks.damage = chunks.shortage(header, options.reading.truncated == TruncatedMode::Fill)?;
        }
        Ok(chunks)
    }

    /// What is missing of uncompressed parts. `fill`: as with `LOAD_TRUNCATED_IMAGES`.
    fn shortage(&self, header: &Header, fill: bool) -> Result<Option<&'static str>, PictureError> {
        let planes = if header.is_planar { header.kept() } else { 1 };
        let (mut is_short, mut has_any) = (false, false);
        for place in self.places(header, planes) {
            let is_named = self.index(place) < self.offsets.len();
            let rows = self.complete_rows(header, place);
            if is_named && rows < place.rows && !fill {
                return Err(early());
            }
            is_short |= rows < place.rows;
            has_any |= rows > 0;
        }
        // Zeros are black there, unlike zeros of the file.
        let is_black = !matches!(header.kind, Kind::Grey { inverted: true } | Kind::Lab);
        if is_short && !(has_any && is_black) {
            return Err(early());
        }
        Ok(is_short.then_some("parts of the picture are missing, and are black, white or transparent here"))
    }

    /// The rows of an uncompressed part that end before the file does.
    fn complete_rows(&self, header: &Header, place: Place) -> usize {
        let samples = if header.is_planar { 1 } else { header.samples };
        let row_len = |columns: usize| (columns * samples * header.bits).div_ceil(8);
        let bytes = self.bytes(place).unwrap_or_default();
        let complete = bytes.len().checked_sub(row_len(place.columns));
        complete
            .map_or(0, |more| 1 + more / row_len(self.width as usize))
            .min(place.rows)
    }

    /// The parts of some planes, in the order of the file.
    pub fn places(&self, header: &Header, planes: usize) -> impl Iterator<Item = Place> {
        let (across, down, width, height) = (self.across, self.down, self.width, self.height);
        let (all_columns, all_rows) = (header.width, header.height);
        (0..planes * down * across).map(move |index| {
            let (x, y) = ((index % across) as u32 * width, (index / across % down) as u32 * height);
            Place {
                plane: index / across / down,
                x,
                y,
                columns: width.min(all_columns - x) as usize,
                rows: height.min(all_rows - y) as usize,
            }
        })
    }

    /// The number of a part in the file.
    fn index(&self, place: Place) -> usize {
        (place.plane * self.down + (place.y / self.height) as usize) * self.across + (place.x / self.width) as usize
    }

    /// The compressed bytes of a part, or all that follow if the file does not say how many there are.
    pub fn bytes(&self, place: Place) -> Result<&'a [u8], PictureError> {
        let index = self.index(place);
        let offset = *self.offsets.get(index).ok_or_else(early)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| self.file.get(offset..));
        let rest = rest.ok_or_else(early)?;
        match self.counts.get(index).map(|&count| usize::try_from(count)) {
            // A count of 0 is as good as none.
            None | Some(Ok(0)) => Ok(rest),
            Some(count) => count.ok().and_then(|count| rest.get(..count)).ok_or_else(early),
        }
    }
}

fn early() -> PictureError {
    damaged("the data end early")
}

/// The first `header.kept()` samples of every pixel; `sample` takes one from the bytes of a row by its number. Numbers
/// of several bytes begin with the lowest.
pub(super) fn gather<T: Copy + Default>(
    chunks: &Chunks<'_>,
    directory: &Directory<'_>,
    header: &Header,
    sample: impl Fn(&[u8], usize) -> T,
) -> Result<Vec<T>, PictureError> {
    let (width, height, kept) = (header.width as usize, header.height as usize, header.kept());
    // Samples of a pixel in a part, how many of them are kept, and planes.
    let (stored, taken, planes) = if header.is_planar {
        (1, 1, kept)
    } else {
        (header.samples, kept, 1)
    };
    let row_len = (chunks.width as usize * stored * header.bits).div_ceil(8);
    let mut samples = vec![T::default(); width * height * kept];
    let mut padded: Vec<u8>;
    for (number, place) in chunks.places(header, planes).enumerate() {
        let mut data = vec![0; row_len * place.rows];
        let mut bytes = match chunks.bytes(place) {
            // Zeros for what is missing.
            Err(_) if header.compression == NONE => &[],
            bytes => bytes?,
        };
        if header.compression == NONE && bytes.len() < data.len() {
            data.truncate(row_len * chunks.complete_rows(header, place));
            padded = bytes[..bytes.len().min(data.len())].to_vec();
            // The padding of the last row may be missing.
            padded.resize(data.len(), 0);
            bytes = &padded;
        }
        let chunk = Chunk {
            row_len,
            width: chunks.width as usize,
            is_reversed: header.is_reversed,
            is_first: number == 0,
            options: directory.number(tag::GROUP_3_OPTIONS).unwrap_or(0),
            max_bytes: chunks.max_bytes,
            bytes,
        };
        decompress(&chunk, header.compression, &mut data)?;
        for (index, row) in data.chunks_exact_mut(row_len.max(1)).enumerate() {
            prepare(row, directory.little, header, stored)?;
            let start = ((place.y as usize + index) * width + place.x as usize) * kept + place.plane;
            for column in 0..place.columns {
                for number in 0..taken {
                    samples[start + column * kept + number] = sample(row, column * stored + number);
                }
            }
        }
    }
    Ok(samples)
}

/// Compressions that a predictor goes with: LZW, deflate by two numbers, LZMA and Zstandard.
const PREDICTED: [u64; 5] = [5, 8, 32_946, 34_925, 50_000];

/// Orders the bytes of numbers from low to high, and undoes the predictor.
fn prepare(row: &mut [u8], little: bool, header: &Header, stored: usize) -> Result<(), PictureError> {
    let bytes = header.bits / 8;
    let predictor = if PREDICTED.contains(&header.compression) {
        header.predictor
    } else {
        1
    };
    match (predictor, header.bits) {
        (3, 16 | 32) => {
            // Each row begins with the highest bytes of all its numbers, as differences.
            for index in stored..row.len() {
                row[index] = row[index].wrapping_add(row[index - stored]);
            }
            let count = row.len() / bytes;
            let planes = row.to_vec();
            for (index, number) in row.chunks_exact_mut(bytes).enumerate() {
                for (place, byte) in number.iter_mut().rev().enumerate() {
                    *byte = planes[place * count + index];
                }
            }
            return Ok(());
        }
        (1, _) | (2, 8 | 16 | 32) => {}
        (predictor, bits) => {
            return Err(unsupported(format!(
                "its predictor {predictor} does not go with samples of {bits} bits"
            )));
        }
    }
    if !little && header.bits.is_multiple_of(8) {
        row.chunks_exact_mut(bytes).for_each(<[u8]>::reverse);
    }
    if predictor == 2 {
        for start in (stored * bytes..row.len()).step_by(bytes) {
            let mut carry = 0;
            for index in start..start + bytes {
                let sum = u16::from(row[index]) + u16::from(row[index - stored * bytes]) + carry;
                row[index] = sum as u8;
                carry = sum >> 8;
            }
        }
    }
    Ok(())
}
