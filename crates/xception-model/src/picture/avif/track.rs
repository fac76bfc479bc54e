//! The tracks of an animation, of which the first frame is read, with libavif's rules (`read.c`).

use super::{
    super::error::PictureError,
    fault::{damaged, early},
    meta::{Meta, handler},
    properties::{Properties, read_properties},
    reader::Reader,
};

/// Bytes of a sample's description before its properties.
const VISUAL_SAMPLE_ENTRY: usize = 78;

/// Most frames of an animation, as in libavif.
const MOST_FRAMES: u64 = 12 * 3600 * 60;

#[derive(Default)]
pub(super) struct Track<'b> {
    pub id: u32,
    pub width: u32,
    pub height: u32,
    /// The track that this one is a plane of.
    pub auxiliary_for: u32,
    /// The track whose transparency this one's colours are multiplied with.
    pub premultiplied_by: u32,
    /// Units of time in a second.
    pub timescale: u32,
    pub meta: Meta<'b>,
    handler: [u8; 4],
    table: Option<Samples<'b>>,
}

/// Where the frames of a track are.
#[derive(Default)]
struct Samples<'b> {
    chunks: Vec<u64>,
    /// The first chunk of a run, from 1, and the frames in each chunk.
    runs: Vec<(u32, u32)>,
    lengths: Vec<u32>,
    /// The length of every frame; zero if `lengths` hold them.
    one_length: u32,
    /// The properties of the first AV1 stream.
    properties: Option<Properties<'b>>,
}

impl<'b> Track<'b> {
    /// `moov`.
    pub(super) fn read_all(content: &'b [u8]) -> Result<Vec<Self>, PictureError> {
        let mut content = Reader::new(content);
        let mut tracks = Vec::new();
        while let Some((kind, content)) = content.child()? {
            if &kind != b"trak" {
                continue;
            }
            let track = Self::read(content)?;
            let is_picture = [b"pict", b"vide", b"auxv"].contains(&&track.handler);
            if is_picture && (track.width == 0 || track.height == 0) {
                return Err(damaged("a track has no size"));
            }
            tracks.push(track);
        }
        if tracks.is_empty() {
            return Err(damaged("it has no tracks"));
        }
        Ok(tracks)
    }

    fn read(content: &'b [u8]) -> Result<Self, PictureError> {
        let mut track = Self::default();
        let mut content = Reader::new(content);
        let (mut has_header, mut has_edits) = (false, false);
        while let Some((kind, content)) = content.child()? {
            match &kind {
                b"tkhd" if std::mem::replace(&mut has_header, true) => return Err(damaged("a box stands twice")),
                b"edts" if std::mem::replace(&mut has_edits, true) => return Err(damaged("a box stands twice")),
                b"tkhd" => track.read_header(content)?,
                b"meta" => track.meta.read(content)?,
                b"mdia" => track.read_media(content)?,
                b"tref" => track.read_references(content)?,
                b"edts" => check_edits(content)?,
                _ => {}
            }
        }
        if !has_header {
            return Err(damaged("a track has no header"));
        }
        Ok(track)
    }

    fn read_header(&mut self, content: &[u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        let is_long = is_long_form(&mut content)?;
        content.bytes(if is_long { 16 } else { 8 })?;
        self.id = content.u32()?;
        content.bytes(if is_long { 12 } else { 8 } + 52)?;
        [self.width, self.height] = [content.u32()? >> 16, content.u32()? >> 16];
        Ok(())
    }

    fn read_references(&mut self, content: &[u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        while let Some((kind, content)) = content.child()? {
            let mut content = Reader::new(content);
            match &kind {
                b"auxl" => self.auxiliary_for = content.u32()?,
                b"prem" => self.premultiplied_by = content.u32()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_media(&mut self, content: &'b [u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        while let Some((kind, content)) = content.child()? {
            match &kind {
                b"mdhd" => {
                    let mut content = Reader::new(content);
                    let is_long = is_long_form(&mut content)?;
                    content.bytes(if is_long { 16 } else { 8 })?;
                    self.timescale = content.u32()?;
                    content.bytes(if is_long { 8 } else { 4 })?;
                }
                b"hdlr" => self.handler = handler(content)?,
                b"minf" => {
                    let mut content = Reader::new(content);
                    while let Some((kind, content)) = content.child()? {
                        if &kind != b"stbl" {
                            continue;
                        }
                        if self.table.is_some() {
                            return Err(damaged("a box stands twice"));
                        }
                        self.table = Some(Samples::read(content)?);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The properties of the track's stream, if it has frames of AV1.
    pub(super) fn properties(&self) -> Option<&Properties<'b>> {
        let table = self
            .table
            .as_ref()
            .filter(|table| self.id != 0 && !table.chunks.is_empty());
        table.and_then(|table| table.properties.as_ref())
    }

    /// The first frame.
    pub(super) fn frame(&self, file: &'b [u8]) -> Result<&'b [u8], PictureError> {
        let table = self.table.as_ref().ok_or_else(early)?;
        table.check(file.len() as u64)?;
        let length = match table.one_length {
            0 => table.lengths.first().copied().unwrap_or_default(),
            length => length,
        };
        let start = table.chunks.first().and_then(|&chunk| usize::try_from(chunk).ok());
        let frame = start.and_then(|start| file.get(start..start.checked_add(length as usize)?));
        frame
            .filter(|frame| !frame.is_empty())
            .ok_or_else(|| damaged("the data end early"))
    }
}

/// Whether a box has numbers of 64 bits.
fn is_long_form(content: &mut Reader<'_>) -> Result<bool, PictureError> {
    match content.version_and_flags()? {
        (version @ 0..2, _) => Ok(version == 1),
        (version, _) => Err(damaged(format!("a box has the unknown version {version}"))),
    }
}

/// `edts`, which says how often an animation is repeated.
fn check_edits(content: &[u8]) -> Result<(), PictureError> {
    let mut content = Reader::new(content);
    let mut has_list = false;
    while let Some((kind, content)) = content.child()? {
        if &kind != b"elst" {
            continue;
        }
        let mut content = Reader::new(content);
        let (version, flags) = content.version_and_flags()?;
        let is_sound = !std::mem::replace(&mut has_list, true);
        if !is_sound || flags & 1 != 0 && (content.u32()? != 1 || version > 1) {
            return Err(damaged("its list of edits is impossible"));
        }
        if flags & 1 != 0 && content.sized(4 + 4 * version)? == 0 {
            return Err(damaged("its list of edits is impossible"));
        }
    }
    if has_list {
        Ok(())
    } else {
        Err(damaged("it has no list of edits"))
    }
}

impl<'b> Samples<'b> {
    /// `stbl`.
    fn read(content: &'b [u8]) -> Result<Self, PictureError> {
        let mut table = Self::default();
        let mut content = Reader::new(content);
        while let Some((kind, content)) = content.child()? {
            match &kind {
                b"stsd" => table.read_descriptions(content)?,
                b"stco" | b"co64" | b"stsc" | b"stsz" | b"stss" | b"stts" => table.read_numbers(kind, content)?,
                _ => {}
            }
        }
        Ok(table)
    }

    fn read_numbers(&mut self, kind: [u8; 4], content: &[u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        content.version_zero()?;
        if &kind == b"stsz" {
            self.one_length = match content.u32()? {
                0 => self.one_length,
                length => {
                    content.u32()?;
                    self.one_length = length;
                    return Ok(());
                }
            };
        }
        let count = content.u32()?;
        let mut runs = Vec::new();
        for _ in 0..count {
            match &kind {
                b"stco" => self.chunks.push(u64::from(content.u32()?)),
                b"co64" => self.chunks.push(content.u64()?),
                b"stsz" => self.lengths.push(content.u32()?),
                b"stsc" => {
                    let [first, frames, _] = [content.u32()?, content.u32()?, content.u32()?];
                    let is_next = match runs.last() {
                        None => first == 1,
                        Some(&(before, _)) => first > before,
                    };
                    if !is_next {
                        return Err(damaged("its chunks are out of order"));
                    }
                    runs.push((first, frames));
                }
                b"stss" => content.u32().map(drop)?,
                _ => content.u64().map(drop)?,
            }
        }
        // The search for a chunk's run begins at the end, and every list begins with the first chunk.
        if !runs.is_empty() {
            self.runs = runs;
        }
        Ok(())
    }

    /// `stsd`.
    fn read_descriptions(&mut self, content: &'b [u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        is_long_form(&mut content)?;
        for _ in 0..content.u32()? {
            let (kind, content) = content.child()?.ok_or_else(early)?;
            if &kind != b"av01" {
                continue;
            }
            let properties = content.get(VISUAL_SAMPLE_ENTRY..).ok_or_else(early)?;
            let properties = Properties::new(read_properties(properties, true)?);
            self.properties.get_or_insert(properties);
        }
        Ok(())
    }

    /// Whether every frame has its place in the file.
    fn check(&self, file_length: u64) -> Result<(), PictureError> {
        let mut frames = 0_u64;
        let mut next = 0;
        let mut lengths = self.lengths.iter();
        for (index, &chunk) in self.chunks.iter().enumerate() {
            while self
                .runs
                .get(next)
                .is_some_and(|&(first, _)| first as usize <= index + 1)
            {
                next += 1;
            }
            let count = next.checked_sub(1).map_or(0, |run| self.runs[run].1);
            frames += u64::from(count);
            if count == 0 || frames > MOST_FRAMES {
                return Err(damaged("its chunks hold no frames or too many"));
            }
            let mut end = chunk;
            for _ in 0..count {
                let length = match self.one_length {
                    0 => *lengths
                        .next()
                        .ok_or_else(|| damaged("it has fewer frames than announced"))?,
                    length => length,
                };
                end = end.saturating_add(u64::from(length));
                if length == 0 || end > file_length {
                    return Err(damaged("the data end early"));
                }
            }
        }
        Ok(())
    }
}
