//! The planes of a picture: the tiles of a grid side by side.

use super::{
    super::error::PictureError,
    fault::{damaged, unsupported},
    plan::{Grid, Plan},
    sequence::colours_of,
    stream::{Frame, Layout, Streams},
};

/// A plane of samples of 8 bits or of 16.
pub(super) struct Plane {
    pub width: usize,
    pub height: usize,
    bytes: Vec<u8>,
    bytes_per_sample: usize,
}

pub(super) struct Planes {
    pub width: u32,
    pub height: u32,
    pub depth: u8,
    pub layout: Layout,
    /// One plane of grey, or three.
    pub colours: Vec<Plane>,
    pub alpha: Option<Plane>,
}

impl Plane {
    fn new(width: usize, height: usize, depth: u8) -> Self {
        let bytes_per_sample = if depth > 8 { 2 } else { 1 };
        Self {
            width,
            height,
            bytes: vec![0; width * height * bytes_per_sample],
            bytes_per_sample,
        }
    }

    /// The samples of a row.
    pub(super) fn row(&self, y: usize, samples: &mut Vec<u16>) {
        let length = self.width * self.bytes_per_sample;
        let row = &self.bytes[y * length..][..length];
        samples.clear();
        if self.bytes_per_sample == 1 {
            samples.extend(row.iter().map(|&byte| u16::from(byte)));
        } else {
            samples.extend(row.as_chunks().0.iter().map(|&sample| u16::from_ne_bytes(sample)));
        }
    }

    /// Copies as much of a decoded plane as fits, to a place.
    fn put(&mut self, plane: &[u8], stride: usize, size: (usize, usize), (left, top): (usize, usize)) {
        let width = size.0.min(self.width - left) * self.bytes_per_sample;
        let height = size.1.min(self.height - top);
        for y in 0..height {
            let start = ((top + y) * self.width + left) * self.bytes_per_sample;
            self.bytes[start..start + width].copy_from_slice(&plane[y * stride..][..width]);
        }
    }

    /// Stretches samples between 16 and 235 (of 8 bits) to all levels (`avifLimitedToFullY`).
    fn stretch(&mut self, depth: u8) {
        let scale = i32::from(depth) - 8;
        let (black, white, largest) = (16 << scale, 235 << scale, (256 << scale) - 1);
        let range = white - black;
        let stretched = |sample: i32| (((sample - black) * largest + range / 2) / range).clamp(0, largest);
        if self.bytes_per_sample == 1 {
            for byte in &mut self.bytes {
                *byte = stretched(i32::from(*byte)) as u8;
            }
        } else {
            for sample in self.bytes.as_chunks_mut().0 {
                *sample = (stretched(i32::from(u16::from_ne_bytes(*sample))) as u16).to_ne_bytes();
            }
        }
    }
}

/// The size of a plane of a picture.
fn plane_size(layout: Layout, component: usize, width: usize, height: usize) -> (usize, usize) {
    match (component, layout) {
        (0, _) | (_, Layout::Grey | Layout::Whole) => (width, height),
        (_, Layout::HalfWidth) => (width.div_ceil(2), height),
        (_, Layout::Halved) => (width.div_ceil(2), height.div_ceil(2)),
    }
}

/// Decodes all tiles.
pub(super) fn decode(plan: &Plan<'_>) -> Result<Planes, PictureError> {
    let is_shared = is_shared(plan);
    let mut streams = None;
    let mut planes = decode_colours(&plan.colours, &mut streams, is_shared)?;
    if plan.coding.is_grey() != (planes.layout == Layout::Grey) {
        return Err(damaged("its stream has other planes than its coding says"));
    }
    if let Some(alpha) = &plan.alpha {
        planes.alpha = Some(decode_alpha(alpha, &planes, &mut streams, is_shared)?);
    }
    Ok(planes)
}

/// Whether one decoder decodes all tiles: it goes on with what it knows from the tile before
/// (`avifTilesCanBeDecodedWithSameCodecInstance`).
fn is_shared(plan: &Plan<'_>) -> bool {
    let grids = || [Some(&plan.colours), plan.alpha.as_ref()].into_iter().flatten();
    let has_single = grids().any(|grid| grid.tiles.len() == 1);
    let points = || grids().flat_map(|grid| &grid.tiles).map(|tile| tile.operating_point);
    let first = points().next();
    (plan.alpha.is_none() || !has_single) && points().all(|point| Some(point) == first)
}

/// The frames of the tiles, one after the other, each with its number.
fn decode_tiles(
    grid: &Grid<'_>,
    streams: &mut Option<Streams>,
    is_shared: bool,
    mut use_frame: impl FnMut(usize, Frame) -> Result<(), PictureError>,
) -> Result<(), PictureError> {
    let largest = grid
        .tiles
        .iter()
        .map(|tile| tile.width.saturating_mul(tile.height))
        .max();
    for (index, tile) in grid.tiles.iter().enumerate() {
        if !is_shared {
            *streams = None;
        }
        let mut decoder = match streams.take() {
            Some(decoder) => decoder,
            None => Streams::new(tile.operating_point, largest.unwrap_or_default())?,
        };
        use_frame(index, decoder.decode(tile)?)?;
        *streams = Some(decoder);
    }
    Ok(())
}

/// Whether the tiles cover the picture, with no row or column too many.
fn check_grid(grid: &Grid<'_>, layout: Layout) -> Result<(), PictureError> {
    if !grid.has_tiles {
        return Ok(());
    }
    let tile = &grid.tiles[0];
    let covers = |tile: u32, count: u32, whole: u32| {
        let (tile, count, whole) = (u64::from(tile), u64::from(count), u64::from(whole));
        tile * count >= whole && tile * (count - 1) < whole
    };
    if !covers(tile.width, grid.columns, grid.width) || !covers(tile.height, grid.rows, grid.height) {
        return Err(damaged("its tiles do not cover the picture"));
    }
    let is_odd = |one: u32, other: u32| !(one.is_multiple_of(2) && other.is_multiple_of(2));
    let is_broken = match layout {
        Layout::Halved => is_odd(tile.width, grid.width) || is_odd(tile.height, grid.height),
        Layout::HalfWidth => is_odd(tile.width, grid.width),
        _ => false,
    };
    if is_broken || tile.width < 64 || tile.height < 64 {
        return Err(damaged("its tiles have impossible sizes"));
    }
    Ok(())
}

fn decode_colours(grid: &Grid<'_>, streams: &mut Option<Streams>, is_shared: bool) -> Result<Planes, PictureError> {
    let (width, height) = (grid.width as usize, grid.height as usize);
    let mut planes: Option<Planes> = None;
    let first = &grid.tiles[0];
    let first_colours = colours_of(&first.stream);
    decode_tiles(grid, streams, is_shared, |index, frame| {
        let (depth, layout) = (frame.depth(), frame.layout());
        let planes = match &mut planes {
            Some(planes) => planes,
            none => {
                check_grid(grid, layout)?;
                let count = if layout == Layout::Grey { 1 } else { 3 };
                let plane = |component| {
                    let (width, height) = plane_size(layout, component, width, height);
                    Plane::new(width, height, depth)
                };
                none.insert(Planes {
                    width: grid.width,
                    height: grid.height,
                    depth,
                    layout,
                    colours: (0..count).map(plane).collect(),
                    alpha: None,
                })
            }
        };
        let tile = &grid.tiles[index];
        let is_equal = (depth, layout, tile.width, tile.height)
            == (planes.depth, planes.layout, first.width, first.height)
            && colours_of(&tile.stream) == first_colours;
        if !is_equal {
            return Err(damaged("its tiles differ"));
        }
        for (component, plane) in planes.colours.iter_mut().enumerate() {
            put_tile(plane, &frame, grid, (component, layout, index));
        }
        Ok(())
    })?;
    planes.ok_or_else(|| damaged("it has no tiles"))
}

/// Copies a component of a tile to its place.
fn put_tile(plane: &mut Plane, frame: &Frame, grid: &Grid<'_>, (component, layout, index): (usize, Layout, usize)) {
    let tile = &grid.tiles[0];
    let (column, row) = (index % grid.columns as usize, index / grid.columns as usize);
    let size = plane_size(layout, component, tile.width as usize, tile.height as usize);
    let (bytes, stride) = frame.plane(component);
    plane.put(bytes.as_ref(), stride, size, (column * size.0, row * size.1));
}

fn decode_alpha(
    grid: &Grid<'_>,
    planes: &Planes,
    streams: &mut Option<Streams>,
    is_shared: bool,
) -> Result<Plane, PictureError> {
    if (grid.width, grid.height) != (planes.width, planes.height) {
        return Err(unsupported("its transparency has another size than its colours"));
    }
    let mut alpha = Plane::new(grid.width as usize, grid.height as usize, planes.depth);
    let first = &grid.tiles[0];
    let mut is_limited = None;
    decode_tiles(grid, streams, is_shared, |index, frame| {
        let tile = &grid.tiles[index];
        check_grid(grid, Layout::Grey)?;
        if frame.depth() != planes.depth || (tile.width, tile.height) != (first.width, first.height) {
            return Err(damaged("its transparency has another size or depth than its colours"));
        }
        if *is_limited.get_or_insert(!frame.is_full_range()) == frame.is_full_range() {
            return Err(unsupported("its tiles of transparency have different ranges"));
        }
        put_tile(&mut alpha, &frame, grid, (0, Layout::Grey, index));
        Ok(())
    })?;
    if is_limited == Some(true) {
        alpha.stretch(planes.depth);
    }
    Ok(alpha)
}
