//! Decodes AV1 streams with the crate `re_rav1d`, a port of dav1d, as libavif does with dav1d (`codec_dav1d.c`).

use re_rav1d::dav1d::{Decoder, Error, Picture, PixelLayout, PlanarImageComponent, Settings, pixel::YUVRange};

use super::{
    super::error::PictureError,
    fault::{damaged, unsupported},
    plan::Tile,
    sequence::frames_of,
};

/// Most frames of a stream. A picture has one, the first frame of an animation a few that are not shown; each takes as
/// long as a picture.
const MOST_FRAMES: usize = 64;

/// Frames that a decoder keeps to predict others from.
const KEPT_FRAMES: usize = 8;

/// How the chroma planes are halved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Grey,
    /// 4:4:4.
    Whole,
    /// 4:2:2.
    HalfWidth,
    /// 4:2:0.
    Halved,
}

/// A decoder of one stream after the other.
pub(super) struct Streams {
    decoder: Decoder,
    has_failed: bool,
}

/// A decoded frame.
pub(super) struct Frame {
    picture: Picture,
}

/// Frames in memory at once while a stream is decoded.
pub(super) fn frames_in_memory(stream: &[u8]) -> usize {
    frames_of(stream).clamp(1, KEPT_FRAMES) + 1
}

impl Streams {
    /// `pixels` is the size of the largest frame.
    pub(super) fn new(operating_point: u8, pixels: u32) -> Result<Self, PictureError> {
        let mut settings = Settings::new();
        // With one thread the same file gives the same pixels, and a damaged one the same error.
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        settings.set_frame_size_limit(pixels);
        settings.set_operating_point(u32::from(operating_point));
        settings.set_all_layers(false);
        let decoder = Decoder::with_settings(&settings).map_err(damaged)?;
        Ok(Self {
            decoder,
            has_failed: false,
        })
    }

    /// The first frame that a stream shows. The others are decoded too, and have to be undamaged.
    pub(super) fn decode(&mut self, tile: &Tile<'_>) -> Result<Frame, PictureError> {
        if self.has_failed {
            return Err(damaged("a stream before it is damaged"));
        }
        let frames = frames_of(&tile.stream);
        if frames > MOST_FRAMES {
            return Err(unsupported(format!(
                "its stream has {frames} frames, more than {MOST_FRAMES}"
            )));
        }
        let frame = self.first_frame(tile.stream.to_vec());
        self.has_failed = frame.is_err();
        let frame = frame.map_err(|_| damaged("its AV1 stream is broken, or larger than announced"))?;
        if (frame.width(), frame.height()) != (tile.width, tile.height) {
            return Err(unsupported(format!(
                "its stream has {} x {} pixels, which would have to be scaled to {} x {}",
                frame.width(),
                frame.height(),
                tile.width,
                tile.height
            )));
        }
        Ok(Frame { picture: frame })
    }

    fn first_frame(&mut self, stream: Vec<u8>) -> Result<Picture, Error> {
        let mut first = None;
        let mut sent = self.decoder.send_data(stream, None, None, None);
        // Every round takes a frame at least.
        for _ in 0..=2 * MOST_FRAMES {
            if let Err(error) = sent
                && !error.is_again()
            {
                return Err(error);
            }
            loop {
                match self.decoder.get_picture() {
                    Ok(picture) => first = first.or(Some(picture)),
                    Err(error) if error.is_again() => break,
                    Err(error) => return Err(error),
                }
            }
            if sent.is_ok() {
                return first.ok_or(Error::InvalidArgument);
            }
            sent = self.decoder.send_pending_data();
        }
        Err(Error::InvalidArgument)
    }
}

impl Frame {
    pub(super) fn depth(&self) -> u8 {
        self.picture.bit_depth() as u8
    }

    pub(super) fn layout(&self) -> Layout {
        match self.picture.pixel_layout() {
            PixelLayout::I400 => Layout::Grey,
            PixelLayout::I420 => Layout::Halved,
            PixelLayout::I422 => Layout::HalfWidth,
            PixelLayout::I444 => Layout::Whole,
        }
    }

    pub(super) fn is_full_range(&self) -> bool {
        self.picture.color_range() == YUVRange::Full
    }

    /// The bytes of a plane, and those from one row to the next.
    pub(super) fn plane(&self, component: usize) -> (impl AsRef<[u8]>, usize) {
        let component = PlanarImageComponent::from(component);
        (self.picture.plane(component), self.picture.stride(component) as usize)
    }
}
