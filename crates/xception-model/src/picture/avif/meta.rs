//! The `meta` box: items, where their bytes are, what they have and what they belong to, with libavif's rules
//! (`read.c`).

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    super::error::PictureError,
    fault::{damaged, unsupported},
    properties::{Properties, Property, read_properties},
    reader::Reader,
};

/// Most items and most pieces of them. A grid of 256 x 256 tiles with transparency has 131,074.
const MOST: usize = 200_000;

/// A picture, a part of one, or metadata.
#[derive(Default)]
pub(super) struct Item {
    pub id: u32,
    pub kind: [u8; 4],
    /// All pieces together.
    pub length: u64,
    /// The item that this one is a small copy of.
    thumbnail_for: u32,
    /// The item that this one is a plane of.
    pub auxiliary_for: u32,
    /// The item that this one describes.
    pub describes: u32,
    /// The item that this one is a tile of, and which one.
    pub tile_of: u32,
    pub tile_index: u16,
    /// The item whose transparency this one's colours are multiplied with.
    pub premultiplied_by: u32,
    content_type: Vec<u8>,
    has_unknown_essentials: bool,
    has_associations: bool,
    /// Places in [`Meta::properties`].
    properties: Vec<u16>,
    is_in_idat: bool,
    /// Offset and length of each piece.
    pieces: Vec<(u64, u64)>,
}

impl Item {
    /// Whether the item is no picture that can be decoded.
    pub(super) fn is_skipped(&self) -> bool {
        self.length == 0
            || self.has_unknown_essentials
            || ![b"av01", b"grid"].contains(&&self.kind)
            || self.thumbnail_for != 0
    }

    pub(super) fn is_readable(&self) -> bool {
        self.length != 0 && !self.has_unknown_essentials
    }

    pub(super) fn has_unknown_essentials(&self) -> bool {
        self.has_unknown_essentials
    }

    /// Whether the item is EXIF data.
    pub(super) fn is_exif(&self) -> bool {
        &self.kind == b"Exif"
    }

    /// Whether the item is XMP data.
    pub(super) fn is_xmp(&self) -> bool {
        &self.kind == b"mime" && self.content_type == b"application/rdf+xml"
    }
}

/// What a `meta` box holds.
#[derive(Default)]
pub(super) struct Meta<'b> {
    /// In the order in which boxes name them first.
    pub items: Vec<Item>,
    /// Places in `items`, by the item's number.
    places: HashMap<u32, usize>,
    properties: Vec<Property<'b>>,
    idat: Option<&'b [u8]>,
    /// The number of the item that the file shows; zero for none.
    pub primary: u32,
    pieces: usize,
    /// The items whose tiles have been named.
    grids: HashSet<u32>,
}

impl<'b> Meta<'b> {
    pub(super) fn read(&mut self, content: &'b [u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        content.version_zero()?;
        match content.child()? {
            Some((kind, content)) if &kind == b"hdlr" && &handler(content)? == b"pict" => {}
            _ => return Err(damaged("its items are no pictures")),
        }
        let mut seen = Vec::new();
        while let Some((kind, content)) = content.child()? {
            let is_known = [b"hdlr", b"iloc", b"pitm", b"idat", b"iprp", b"iinf", b"iref", b"grpl"].contains(&&kind);
            if is_known && (seen.contains(&kind) || &kind == b"hdlr") {
                return Err(damaged("a box stands twice"));
            }
            seen.extend(is_known.then_some(kind));
            match &kind {
                b"iloc" => self.read_places(content)?,
                b"pitm" => self.read_primary(content)?,
                b"idat" if content.is_empty() || self.idat.is_some() => return Err(damaged("its idat box is empty")),
                b"idat" => self.idat = Some(content),
                b"iprp" => self.read_properties(content)?,
                b"iinf" => self.read_kinds(content)?,
                b"iref" => self.read_references(content)?,
                b"grpl" => check_groups(content)?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn item(&self, id: u32) -> Option<&Item> {
        self.places.get(&id).map(|&place| &self.items[place])
    }

    fn item_mut(&mut self, id: u32) -> Result<&mut Item, PictureError> {
        if id == 0 {
            return Err(damaged("an item has no number"));
        }
        let next = self.items.len();
        let place = *self.places.entry(id).or_insert(next);
        if place == next {
            if next == MOST {
                return Err(unsupported(format!("it has more than {MOST} items")));
            }
            self.items.push(Item { id, ..Item::default() });
        }
        Ok(&mut self.items[place])
    }

    pub(super) fn properties_of(&self, item: &Item) -> Properties<'b> {
        let properties = item.properties.iter();
        Properties::new(properties.map(|&place| self.properties[usize::from(place)]).collect())
    }

    /// The bytes of an item.
    pub(super) fn content(&self, item: &Item, file: &'b [u8]) -> Result<Cow<'b, [u8]>, PictureError> {
        let ends_early = || damaged("the data end early");
        if item.length == 0 || item.length > file.len() as u64 {
            return Err(ends_early());
        }
        let source = if item.is_in_idat {
            self.idat.ok_or_else(ends_early)?
        } else {
            file
        };
        let piece = |&(offset, length): &(u64, u64)| {
            let start = usize::try_from(offset).ok()?;
            source.get(start..start.checked_add(usize::try_from(length).ok()?)?)
        };
        if let [only] = &item.pieces[..] {
            return piece(only).map(Cow::Borrowed).ok_or_else(ends_early);
        }
        let mut whole = Vec::with_capacity(item.length as usize);
        for next in &item.pieces {
            whole.extend(piece(next).ok_or_else(ends_early)?);
        }
        Ok(Cow::Owned(whole))
    }

    /// `iloc`.
    fn read_places(&mut self, content: &[u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        let (version, _) = content.version_and_flags()?;
        if version > 2 {
            return Err(damaged("its iloc box has an unknown version"));
        }
        let [offset_and_length, base_and_index] = [content.u8()?, content.u8()?];
        let [offset, length, base] = [offset_and_length >> 4, offset_and_length & 15, base_and_index >> 4];
        let index = if version == 0 { 0 } else { base_and_index & 15 };
        if [offset, length, base, index]
            .iter()
            .any(|length| ![0, 4, 8].contains(length))
        {
            return Err(damaged("its iloc box has numbers of impossible lengths"));
        }
        for _ in 0..content.short_or_long(version == 2)? {
            let id = content.short_or_long(version == 2)?;
            if !self.item_mut(id)?.pieces.is_empty() {
                return Err(damaged("an item is placed twice"));
            }
            let mut is_in_idat = self.item_mut(id)?.is_in_idat;
            if version > 0 {
                match content.u16()? {
                    0 => {}
                    1 => is_in_idat = true,
                    _ => return Err(damaged("an item is placed in an unknown way")),
                }
            }
            content.u16()?;
            let base = content.sized(base)?;
            let count = content.u16()?;
            self.pieces += usize::from(count);
            if self.pieces > MOST {
                return Err(unsupported(format!("its items have more than {MOST} pieces")));
            }
            let item = self.item_mut(id)?;
            item.is_in_idat = is_in_idat;
            for _ in 0..count {
                content.sized(index)?;
                let start = base.checked_add(content.sized(offset)?);
                let length = content.sized(length)?;
                let sum = item.length.checked_add(length);
                let (Some(start), Some(sum)) = (start, sum) else {
                    return Err(damaged("an item has an impossible place"));
                };
                item.length = sum;
                item.pieces.push((start, length));
            }
        }
        Ok(())
    }

    /// `pitm`.
    fn read_primary(&mut self, content: &[u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        let (version, _) = content.version_and_flags()?;
        if self.primary != 0 {
            return Err(damaged("two items are the primary one"));
        }
        self.primary = content.short_or_long(version != 0)?;
        Ok(())
    }

    /// `iprp`.
    fn read_properties(&mut self, content: &'b [u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        let Some((kind, properties)) = content.child()? else {
            return Err(damaged("it has no properties"));
        };
        if &kind != b"ipco" {
            return Err(damaged("it has no properties"));
        }
        self.properties.extend(read_properties(properties, false)?);
        let mut seen = Vec::new();
        while let Some((kind, content)) = content.child()? {
            let form = content.first_chunk::<4>().copied();
            if &kind != b"ipma" || seen.contains(&form) || seen.len() == 4 {
                return Err(damaged("its properties are associated twice"));
            }
            seen.push(form);
            self.read_associations(content)?;
        }
        Ok(())
    }

    /// `ipma`.
    fn read_associations(&mut self, content: &[u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        let (version, flags) = content.version_and_flags()?;
        let is_long = flags & 1 != 0;
        let mut before = 0;
        for _ in 0..content.u32()? {
            let id = content.short_or_long(version > 0)?;
            if id <= before {
                return Err(damaged("its properties are associated out of order"));
            }
            before = id;
            let item = self.item_mut(id)?;
            if item.has_associations {
                return Err(damaged("its properties are associated twice"));
            }
            item.has_associations = true;
            for _ in 0..content.u8()? {
                let word = if is_long {
                    content.u16()?
                } else {
                    let byte = content.u8()?;
                    u16::from(byte & 0x80) << 8 | u16::from(byte & 0x7f)
                };
                self.associate(id, word & 0x7fff, word & 0x8000 != 0)?;
            }
        }
        Ok(())
    }

    fn associate(&mut self, id: u32, number: u16, is_essential: bool) -> Result<(), PictureError> {
        let Some(place) = number.checked_sub(1) else {
            return if is_essential {
                Err(damaged("no property is essential"))
            } else {
                Ok(())
            };
        };
        let property = self.properties.get(usize::from(place));
        let property = *property.ok_or_else(|| damaged("an item has a property that is not there"))?;
        if !property.may_be(is_essential) {
            return Err(damaged(
                "a property is essential that may not be, or the other way round",
            ));
        }
        let item = self.item_mut(id)?;
        item.properties.push(place);
        item.has_unknown_essentials |= is_essential && matches!(property, Property::Unknown);
        Ok(())
    }

    /// `iinf`.
    fn read_kinds(&mut self, content: &[u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        let (version, _) = content.version_and_flags()?;
        if version > 1 {
            return Err(damaged("its iinf box has an unknown version"));
        }
        for _ in 0..content.short_or_long(version == 1)? {
            let Some((kind, content)) = content.child()? else {
                return Err(damaged("an item is missing"));
            };
            let mut content = Reader::new(content);
            let (version, _) = content.version_and_flags()?;
            if &kind != b"infe" || ![2, 3].contains(&version) {
                return Err(damaged("an item has an unknown version"));
            }
            let id = content.short_or_long(version == 3)?;
            content.u16()?;
            let kind = content.kind()?;
            content.text()?;
            let content_type = if &kind == b"mime" {
                content.text()?.to_vec()
            } else {
                Vec::new()
            };
            let item = self.item_mut(id)?;
            item.kind = kind;
            item.content_type = content_type;
        }
        Ok(())
    }

    /// `iref`. Its boxes name no length that counts: each is read as far as its references go.
    fn read_references(&mut self, content: &[u8]) -> Result<(), PictureError> {
        let mut content = Reader::new(content);
        let (version, _) = content.version_and_flags()?;
        if version > 1 {
            return Ok(());
        }
        while !content.rest().is_empty() {
            let (kind, length) = content.box_header()?;
            if length.is_none_or(|length| length > content.rest().len() as u64) {
                return Err(damaged("a reference ends early"));
            }
            let from = content.short_or_long(version == 1)?;
            self.item_mut(from)?;
            if &kind == b"dimg" && !self.grids.insert(from) {
                return Err(damaged("an item has its tiles twice"));
            }
            for index in 0..content.u16()? {
                let to = content.short_or_long(version == 1)?;
                self.refer(kind, from, to, index)?;
            }
        }
        Ok(())
    }

    fn refer(&mut self, kind: [u8; 4], from: u32, to: u32, index: u16) -> Result<(), PictureError> {
        if to == 0 {
            return Err(damaged("an item has no number"));
        }
        let item = self.item_mut(from)?;
        match &kind {
            b"thmb" => item.thumbnail_for = to,
            b"auxl" => item.auxiliary_for = to,
            b"cdsc" => item.describes = to,
            b"prem" => item.premultiplied_by = to,
            b"dimg" => {
                let tile = self.item_mut(to)?;
                if tile.tile_of == from {
                    return Err(damaged("a tile stands twice in a grid"));
                }
                if tile.tile_of != 0 {
                    return Err(unsupported("a tile belongs to several pictures"));
                }
                (tile.tile_of, tile.tile_index) = (from, index);
            }
            _ => {}
        }
        Ok(())
    }
}

/// `hdlr`: what items or a track are.
pub(super) fn handler(content: &[u8]) -> Result<[u8; 4], PictureError> {
    let mut content = Reader::new(content);
    content.version_zero()?;
    if content.u32()? != 0 {
        return Err(damaged("its handler has reserved bits"));
    }
    let kind = content.kind()?;
    content.bytes(12)?;
    content.text()?;
    Ok(kind)
}

/// `grpl`, of which no group is looked at.
fn check_groups(content: &[u8]) -> Result<(), PictureError> {
    let mut content = Reader::new(content);
    while !content.rest().is_empty() {
        let (_, length) = content.box_header()?;
        if length.is_none_or(|length| length > content.rest().len() as u64) {
            return Err(damaged("a group ends early"));
        }
        content.version_and_flags()?;
        content.u32()?;
        let count = content.u32()? as usize;
        content.bytes(count.checked_mul(4).ok_or_else(|| damaged("a group ends early"))?)?;
    }
    Ok(())
}
