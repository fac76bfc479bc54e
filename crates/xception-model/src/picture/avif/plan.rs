//! What of a file is decoded: the tiles of the colours and of the transparency, with libavif's rules
//! (`avifDecoderReset` of `read.c`).

use std::{borrow::Cow, collections::HashMap};

use image::metadata::Orientation;

use super::{
    super::error::PictureError,
    container::Container,
    fault::{damaged, unsupported},
    meta::{Item, Meta},
    metadata::Metadata,
    properties::{Coding, Colours, Properties},
    reader::Reader,
    sequence::colours_of,
};

/// A stream of AV1 with one picture.
pub(super) struct Tile<'b> {
    pub stream: Cow<'b, [u8]>,
    pub width: u32,
    pub height: u32,
    pub operating_point: u8,
}

/// Tiles in rows from the top left; one alone has a grid of its own size.
pub(super) struct Grid<'b> {
    pub tiles: Vec<Tile<'b>>,
    pub columns: u32,
    pub rows: u32,
    pub width: u32,
    pub height: u32,
    /// Whether the file calls it a grid, even one of a single tile.
    pub has_tiles: bool,
}

pub(super) struct Plan<'b> {
    pub colours: Grid<'b>,
    pub alpha: Option<Grid<'b>>,
    /// How the colours are meant.
    pub meaning: Colours,
    pub coding: Coding,
    pub is_premultiplied: bool,
    pub orientation: Orientation,
}

impl<'b> Plan<'b> {
    pub(super) fn of(container: &Container<'b>) -> Result<Self, PictureError> {
        if container.is_animation {
            Self::of_tracks(container)
        } else {
            Self::of_items(container)
        }
    }

    fn of_tracks(container: &Container<'b>) -> Result<Self, PictureError> {
        let with_properties = || {
            container
                .tracks
                .iter()
                .filter_map(|track| Some((track, track.properties()?)))
        };
        let (track, properties) = with_properties()
            .find(|(track, _)| track.auxiliary_for == 0)
            .ok_or_else(|| damaged("it has no track of AV1 frames"))?;
        let alpha = with_properties().find(|(other, properties)| {
            let may_be_alpha = properties.auxiliary().is_none() || properties.name_alpha();
            may_be_alpha && other.auxiliary_for == track.id
        });
        if track.timescale == 0 {
            return Err(damaged("its animation has no unit of time"));
        }
        let metadata = Metadata::find(&track.meta, None, container.bytes)?;
        let single = |stream, width, height| Grid::single(Cow::Borrowed(stream), width, height, 0);
        let colours = single(track.frame(container.bytes)?, track.width, track.height);
        let alpha_grid = match alpha {
            Some((alpha, _)) => Some(single(alpha.frame(container.bytes)?, alpha.width, alpha.height)),
            None => None,
        };
        let is_premultiplied = alpha.is_some_and(|(alpha, _)| track.premultiplied_by == alpha.id);
        let alpha = alpha.map(|(_, properties)| properties);
        Self::new(colours, alpha_grid, properties, alpha, &metadata, is_premultiplied)
    }

    fn of_items(container: &Container<'b>) -> Result<Self, PictureError> {
        let meta = &container.meta;
        check_sizes(meta)?;
        let item = meta.item(meta.primary).filter(|item| !item.is_skipped());
        let item = item.ok_or_else(|| damaged("its primary picture is missing"))?;
        let tiles = TilesOf::new(meta);
        let source = Source { container, tiles };
        let colours = source.grid(item)?;
        if meta.properties_of(item).size() != Some((colours.width, colours.height)) {
            return Err(damaged("its grid has another size than the picture"));
        }
        let alpha = source.alpha(item, &colours)?;
        let metadata = Metadata::find(meta, Some(item.id), container.bytes)?;
        let mut properties = meta.properties_of(item);
        let coding = source.check(item, &properties)?;
        properties = properties.with_coding(coding);
        let (alpha, alpha_properties, is_premultiplied) = match alpha {
            Some(Alpha::Item(alpha, grid)) => {
                let properties = meta.properties_of(alpha);
                source.check(alpha, &properties)?;
                (Some(grid), Some(properties), item.premultiplied_by == alpha.id)
            }
            Some(Alpha::Tiles(grid)) => (Some(grid), None, false),
            None => (None, None, false),
        };
        let alpha_properties = alpha_properties.as_ref();
        Self::new(
            colours,
            alpha,
            &properties,
            alpha_properties,
            &metadata,
            is_premultiplied,
        )
    }

    fn new(
        colours: Grid<'b>,
        alpha: Option<Grid<'b>>,
        properties: &Properties<'b>,
        alpha_properties: Option<&Properties<'b>>,
        metadata: &Metadata<'b>,
        is_premultiplied: bool,
    ) -> Result<Self, PictureError> {
        let named = properties.colours()?;
        if let Some(alpha) = alpha_properties {
            check_transforms(properties, alpha)?;
        }
        let first = colours.tiles.first().and_then(|tile| colours_of(&tile.stream));
        Ok(Self {
            meaning: named.or(first).unwrap_or(Colours::UNSPECIFIED),
            coding: properties.coding().ok_or_else(|| damaged("its coding is missing"))?,
            orientation: metadata.orientation(properties)?,
            colours,
            alpha,
            is_premultiplied,
        })
    }
}

/// Every picture has its size.
fn check_sizes(meta: &Meta<'_>) -> Result<(), PictureError> {
    for item in meta.items.iter().filter(|item| !item.is_skipped()) {
        match meta.properties_of(item).size() {
            Some((1.., 1..)) => {}
            _ => return Err(damaged("a picture has no size")),
        }
    }
    Ok(())
}

/// Refuses a transparency that is turned or mirrored, unless the colours are turned and mirrored alike.
fn check_transforms(colours: &Properties<'_>, alpha: &Properties<'_>) -> Result<(), PictureError> {
    let of = |properties: &Properties<'_>| {
        (
            properties.aperture().map(<[u8]>::to_vec),
            properties.turn(),
            properties.mirror(),
        )
    };
    let transforms = of(alpha);
    if transforms == (None, None, None) || transforms == of(colours) {
        Ok(())
    } else {
        Err(unsupported(
            "its transparency is turned or cut in another way than its colours",
        ))
    }
}

/// The items of each grid, in the order of the file.
struct TilesOf<'m> {
    tiles: HashMap<u32, Vec<&'m Item>>,
    alphas: HashMap<u32, Vec<&'m Item>>,
}

impl<'m> TilesOf<'m> {
    fn new(meta: &'m Meta<'_>) -> Self {
        let mut tiles = HashMap::<_, Vec<_>>::new();
        let mut alphas = HashMap::<_, Vec<_>>::new();
        for item in &meta.items {
            if item.tile_of != 0 {
                tiles.entry(item.tile_of).or_default().push(item);
            }
            if item.auxiliary_for != 0 && meta.properties_of(item).name_alpha() {
                alphas.entry(item.auxiliary_for).or_default().push(item);
            }
        }
        Self { tiles, alphas }
    }

    fn tiles(&self, id: u32) -> &[&'m Item] {
        self.tiles.get(&id).map_or(&[], Vec::as_slice)
    }

    fn alphas(&self, id: u32) -> &[&'m Item] {
        self.alphas.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// Where the transparency is.
enum Alpha<'m, 'b> {
    /// In an item of its own.
    Item(&'m Item, Grid<'b>),
    /// In an item for each tile.
    Tiles(Grid<'b>),
}

struct Source<'m, 'b> {
    container: &'m Container<'b>,
    tiles: TilesOf<'m>,
}

impl<'m, 'b> Source<'m, 'b> {
    fn meta(&self) -> &'m Meta<'b> {
        &self.container.meta
    }

    /// The tiles of an item, in the order of the grid.
    fn grid(&self, item: &'m Item) -> Result<Grid<'b>, PictureError> {
        let (width, height) = self.meta().properties_of(item).size().unwrap_or_default();
        if &item.kind != b"grid" {
            let tile = self.tile(item, (width, height))?;
            return Ok(Grid::single(tile.stream, width, height, tile.operating_point));
        }
        let content = self.meta().content(item, self.container.bytes)?;
        let mut grid = Grid::read(&content)?;
        let items = in_order(self.tiles.tiles(item.id), grid.count())?;
        if items.iter().any(|item| item.has_unknown_essentials()) {
            return Err(unsupported("a tile has unknown essential properties"));
        }
        grid.tiles = items
            .into_iter()
            .map(|item| self.tile(item, (0, 0)))
            .collect::<Result<_, _>>()?;
        Ok(grid)
    }

    fn tile(&self, item: &'m Item, size: (u32, u32)) -> Result<Tile<'b>, PictureError> {
        if &item.kind != b"av01" {
            return Err(damaged("a tile is no AV1 stream"));
        }
        let properties = self.meta().properties_of(item);
        let (width, height) = properties.size().unwrap_or(size);
        if properties.layer().is_some() {
            return Err(unsupported("it chooses one of several layers"));
        }
        if let Some(lengths) = properties.layer_lengths() {
            check_layers(lengths, item.length)?;
        }
        Ok(Tile {
            stream: self.meta().content(item, self.container.bytes)?,
            width,
            height,
            operating_point: properties.operating_point(),
        })
    }

    fn alpha(&self, item: &'m Item, colours: &Grid<'b>) -> Result<Option<Alpha<'m, 'b>>, PictureError> {
        let whole = self.tiles.alphas(item.id).iter().find(|alpha| !alpha.is_skipped());
        if let Some(&alpha) = whole {
            return self.grid(alpha).map(|grid| Some(Alpha::Item(alpha, grid)));
        }
        if !colours.has_tiles {
            return Ok(None);
        }
        let mut items = Vec::new();
        for tile in in_order(self.tiles.tiles(item.id), colours.count())? {
            match self.tiles.alphas(tile.id) {
                [] => return Ok(None),
                [alpha] if alpha.tile_of == 0 => items.push(*alpha),
                _ => return Err(damaged("a tile's transparency stands twice")),
            }
        }
        self.common_coding(&items)?;
        let tiles = items
            .into_iter()
            .map(|item| self.tile(item, (0, 0)))
            .collect::<Result<_, _>>()?;
        Ok(Some(Alpha::Tiles(Grid { tiles, ..*colours })))
    }

    /// Checks an item's coding, and that its tiles have the same one.
    fn check(&self, item: &'m Item, properties: &Properties<'b>) -> Result<Coding, PictureError> {
        let missing = || damaged("its coding is missing");
        let coding = if &item.kind == b"grid" {
            self.common_coding(self.tiles.tiles(item.id))?
        } else {
            properties.coding().ok_or_else(missing)?
        };
        if properties.depth().is_some_and(|depth| depth != coding.depth()) {
            return Err(damaged("its planes have another number of bits than its coding"));
        }
        if properties.coding().is_some_and(|own| own != coding) {
            return Err(damaged("its tiles are coded in another way than it says"));
        }
        Ok(coding)
    }

    fn common_coding(&self, tiles: &[&'m Item]) -> Result<Coding, PictureError> {
        let mut codings = tiles.iter().map(|tile| self.meta().properties_of(tile).coding());
        let first = codings
            .next()
            .flatten()
            .ok_or_else(|| damaged("its coding is missing"))?;
        if codings.any(|coding| coding != Some(first)) {
            return Err(damaged("its tiles are coded in different ways"));
        }
        Ok(first)
    }
}

/// The tiles of a grid by their places.
fn in_order<'m>(tiles: &[&'m Item], count: usize) -> Result<Vec<&'m Item>, PictureError> {
    let mut tiles = tiles.to_vec();
    tiles.sort_by_key(|tile| tile.tile_index);
    let mut places = tiles.iter().map(|tile| usize::from(tile.tile_index));
    if tiles.len() != count || !places.by_ref().eq(0..count) {
        return Err(damaged("its grid lacks tiles"));
    }
    Ok(tiles)
}

fn check_layers(lengths: [u32; 3], whole: u64) -> Result<(), PictureError> {
    let mut rest = whole;
    for length in lengths.map(u64::from).into_iter().take_while(|&length| length != 0) {
        if length >= rest {
            return Err(damaged("its layers are longer than its data"));
        }
        rest -= length;
    }
    Ok(())
}

impl<'b> Grid<'b> {
    fn single(stream: Cow<'b, [u8]>, width: u32, height: u32, operating_point: u8) -> Self {
        Self {
            tiles: vec![Tile {
                stream,
                width,
                height,
                operating_point,
            }],
            columns: 1,
            rows: 1,
            width,
            height,
            has_tiles: false,
        }
    }

    fn read(content: &[u8]) -> Result<Self, PictureError> {
        let mut content = Reader::new(content);
        if content.u8()? != 0 {
            return Err(unsupported("its grid has an unknown version"));
        }
        let is_long = content.u8()? & 1 != 0;
        let [rows, columns] = [content.u8()?, content.u8()?].map(|number| u32::from(number) + 1);
        let [width, height] = [content.short_or_long(is_long)?, content.short_or_long(is_long)?];
        if width == 0 || height == 0 || !content.rest().is_empty() {
            return Err(damaged("its grid has an impossible size"));
        }
        Ok(Self {
            tiles: Vec::new(),
            columns,
            rows,
            width,
            height,
            has_tiles: true,
        })
    }

    fn count(&self) -> usize {
        (self.columns * self.rows) as usize
    }
}
