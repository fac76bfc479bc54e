//! The boxes of a file, as far as they are needed (`avifParse` of libavif's `read.c`).

use super::{super::error::PictureError, fault::damaged, meta::Meta, reader::Reader, track::Track};

pub(super) struct Container<'b> {
    pub bytes: &'b [u8],
    pub meta: Meta<'b>,
    pub tracks: Vec<Track<'b>>,
    /// Whether the first frame of the tracks counts, and not the primary item.
    pub is_animation: bool,
}

/// The names of what a file holds.
struct Brands<'b> {
    major: [u8; 4],
    others: &'b [[u8; 4]],
}

impl Brands<'_> {
    fn name(&self, brand: [u8; 4]) -> bool {
        self.major == brand || self.others.contains(&brand)
    }
}

impl<'b> Container<'b> {
    pub(super) fn read(bytes: &'b [u8]) -> Result<Self, PictureError> {
        let mut brands = None;
        let mut meta = None;
        let mut tracks = None;
        let mut rest = Reader::new(bytes);
        while !rest.rest().is_empty() {
            let (kind, length) = rest.box_header()?;
            let is_needed = [b"ftyp", b"meta", b"moov"].contains(&&kind);
            if brands.is_none() && [b"meta", b"moov", b"free", b"skip", b"mdat"].contains(&&kind) {
                return Err(damaged("its first box does not name its kind"));
            }
            let whole = rest.rest().len() as u64;
            let Some(length) = length.or(is_needed.then_some(whole)) else {
                return Err(damaged("a box is missing"));
            };
            if length > whole {
                return Err(damaged("the data end early"));
            }
            let content = rest.bytes(length as usize)?;
            match &kind {
                b"ftyp" if brands.is_none() => brands = Some(read_brands(content)?),
                b"meta" if meta.is_none() => {
                    let mut found = Meta::default();
                    found.read(content)?;
                    meta = Some(found);
                }
                b"moov" if tracks.is_none() => tracks = Some(Track::read_all(content)?),
                b"ftyp" | b"meta" | b"moov" => return Err(damaged("a box stands twice")),
                _ => {}
            }
            if brands
                .as_ref()
                .is_some_and(|brands| is_complete(brands, meta.as_ref(), tracks.is_some()))
            {
                break;
            }
        }
        let brands = brands.ok_or_else(|| damaged("its first box does not name its kind"))?;
        if !is_complete(&brands, meta.as_ref(), tracks.is_some()) {
            return Err(damaged("the data end early"));
        }
        let is_animation = match &brands.major {
            b"avis" => true,
            b"avif" => false,
            _ => tracks.is_some(),
        };
        Ok(Self {
            bytes,
            meta: meta.unwrap_or_default(),
            tracks: tracks.unwrap_or_default(),
            is_animation,
        })
    }
}

fn read_brands(content: &[u8]) -> Result<Brands<'_>, PictureError> {
    let mut content = Reader::new(content);
    let major = content.kind()?;
    content.u32()?;
    let (others, []) = content.rest().as_chunks() else {
        return Err(damaged("its first box has an impossible length"));
    };
    let brands = Brands { major, others };
    if brands.name(*b"avif") || brands.name(*b"avis") {
        Ok(brands)
    } else {
        Err(damaged("its first box does not name AVIF"))
    }
}

/// Whether everything that the brands promise has been seen: libavif reads no further.
fn is_complete(brands: &Brands<'_>, meta: Option<&Meta<'_>>, has_tracks: bool) -> bool {
    let has_map = || meta.is_some_and(|meta| meta.items.iter().any(|item| &item.kind == b"tmap"));
    (!brands.name(*b"avif") || meta.is_some())
        && (!brands.name(*b"avis") || has_tracks)
        && (!brands.name(*b"tmap") || has_map())
}
