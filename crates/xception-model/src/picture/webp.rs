//! WebP animations: the first frame, as libwebp's animation decoder shows it.
//!
//! `image` blends the first frame with what is under it, which rounds colours of transparent pixels; libwebp puts it on
//! an empty canvas.

use image::{DynamicImage, RgbaImage, imageops::replace, metadata::Orientation};

use super::orientation::orientation;

/// The first frame of an animation.
pub(super) struct Frame {
    /// The frame as a file of its own.
    pub file: Vec<u8>,
    left: i64,
    top: i64,
    canvas: (u32, u32),
    has_alpha: bool,
}

/// Bits of the header of an extended file.
const ANIMATION: u8 = 2;
const ALPHA: u8 = 16;

/// The name and content of each chunk.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let content = after.get(..length)?;
        rest = after.get(length + length % 2..).unwrap_or_default();
        Some((name, content))
    })
}

/// The orientation, also of an animation.
pub(super) fn orientation_of(bytes: &[u8]) -> Orientation {
    let parts = bytes.get(12..).unwrap_or_default();
    let content = |wanted: &[u8; 4]| {
        chunks(parts)
            .find(|(name, _)| *name == wanted)
            .map(|(_, content)| content)
    };
    // Only an extended file has metadata.
    match chunks(parts).next() {
        Some((b"VP8X", _)) => orientation(content(b"EXIF"), content(b"XMP ")),
        _ => Orientation::NoTransforms,
    }
}

/// Kinds of chunks that a bit of the header promises. Programs that strip a file of them leave the bit.
const PROMISED: [(u8, [u8; 4]); 3] = [(32, *b"ICCP"), (8, *b"EXIF"), (4, *b"XMP ")];

/// The file with a header that promises no chunk that is not there; `None` if the header is right. libwebp passes over
/// such promises.
pub(super) fn without_promises(bytes: &[u8]) -> Option<Vec<u8>> {
    /// The place of the header's flags.
    const FLAGS: usize = 20;

    let parts = bytes.get(12..)?;
    let (b"VP8X", &[flags, ..]) = chunks(parts).next()? else {
        return None;
    };
    let has = |wanted: &[u8; 4]| chunks(parts).any(|(name, _)| name == wanted);
    let broken = PROMISED.iter().filter(|(bit, name)| flags & bit != 0 && !has(name));
    let mut honest = broken.fold(flags, |flags, (bit, _)| flags & !bit);
    let may_be_opaque = flags & (ALPHA | ANIMATION) == ALPHA && has(b"VP8 ");
    if may_be_opaque && !has(b"ALPH") {
        honest &= !ALPHA;
    }
    (honest != flags).then(|| {
        let mut file = bytes.to_vec();
        file[FLAGS] = honest;
        file
    })
}

fn number(bytes: [u8; 3]) -> u32 {
    let [low, middle, high] = bytes.map(u32::from);
    low | (middle << 8) | (high << 16)
}

/// The first frame of an animation; `None` for a still picture.
pub(super) fn first_frame(bytes: &[u8]) -> Option<Frame> {
    let mut chunks_of_file = chunks(bytes.get(12..)?);
    let (b"VP8X", &[flags, _, _, _, ref canvas @ ..]) = chunks_of_file.next()? else {
        return None;
    };
    if flags & ANIMATION == 0 {
        return None;
    }
    let (width, height) = canvas.split_first_chunk::<3>()?;
    let canvas = (number(*width) + 1, number(*height.first_chunk()?) + 1);
    let (_, frame) = chunks_of_file.find(|(name, _)| *name == b"ANMF")?;
    // Left, top, width, height and duration of three bytes each, and flags.
    let (places, parts) = frame.split_at_checked(16)?;
    let place = |index: usize| Some(number(*places.get(3 * index..)?.first_chunk()?));
    let is_picture = |name: &[u8; 4]| [b"ALPH", b"VP8 ", b"VP8L"].contains(&name);
    let has_alpha_part = chunks(parts).any(|(name, _)| name == b"ALPH");
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    let mut append = |name: &[u8; 4], content: &[u8]| {
        file.extend(name);
        file.extend((content.len() as u32).to_le_bytes());
        file.extend(content);
        file.resize(file.len().next_multiple_of(2), 0);
    };
    if has_alpha_part {
        append(b"VP8X", &[&[ALPHA, 0, 0, 0], &places[6..12]].concat());
    }
    for (name, content) in chunks(parts).filter(|(name, _)| is_picture(name)) {
        append(name, content);
    }
    let length = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&length.to_le_bytes());
    Some(Frame {
        file,
        left: i64::from(place(0)?) * 2,
        top: i64::from(place(1)?) * 2,
        canvas,
        has_alpha: flags & ALPHA != 0,
    })
}

impl Frame {
    /// The frame on its canvas, which is transparent, or black in a file without transparency.
    pub fn on_canvas(&self, frame: DynamicImage) -> DynamicImage {
        let mut canvas = RgbaImage::new(self.canvas.0, self.canvas.1);
        replace(&mut canvas, &frame.into_rgba8(), self.left, self.top);
        let canvas = DynamicImage::ImageRgba8(canvas);
        if self.has_alpha {
            canvas
        } else {
            canvas.into_rgb8().into()
        }
    }
}
