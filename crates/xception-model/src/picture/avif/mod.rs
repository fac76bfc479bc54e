//! AVIF, with the pixels of libavif and libyuv as Pillow uses them (`AvifImagePlugin.py`, `_avif.c`).
//!
//! The [`container`] names streams of AV1, of which the [`plan`] is made; the crate `re_rav1d` decodes them to
//! [`planes`], which are [converted](convert) to RGB with libyuv's [whole numbers](fixed) or libavif's [floating-point
//! ones](floating).

mod container;
mod convert;
mod fault;
mod fixed;
mod floating;
mod meta;
mod metadata;
mod plan;
mod planes;
mod properties;
mod reader;
mod sequence;
mod stream;
mod track;

use image::{RgbImage, metadata::Orientation};

use self::{
    container::Container,
    convert::picture,
    fault::damaged,
    plan::{Grid, Plan},
    stream::frames_in_memory,
};
use super::{
    error::PictureError,
    flatten::flatten,
    limits::{DecodeLimits, check_size},
    options::DecodeOptions,
    warning::PictureWarning,
};

/// The pixels before orientation, and the orientation.
pub(super) fn decode_avif(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<(RgbImage, Orientation), PictureError> {
    let container = Container::read(bytes)?;
    let plan = Plan::of(&container)?;
    check(&plan, &options.limits)?;
    let planes = planes::decode(&plan)?;
    let picture = picture(&planes, plan.meaning, plan.is_premultiplied)?;
    drop(planes);
    let picture = flatten(picture, options.reading, warnings);
    let picture = picture.ok_or_else(|| damaged("its samples have an unknown type"))?;
    Ok((picture, plan.orientation))
}

/// Checks the sizes that the container names, which the streams may not exceed.
fn check(plan: &Plan<'_>, limits: &DecodeLimits) -> Result<(), PictureError> {
    let bytes_per_sample = if plan.coding.depth() > 8 { 2 } else { 1 };
    // The planes and their alpha, RGB, its alpha, and RGBA.
    check_size(
        plan.colours.width,
        plan.colours.height,
        4 * bytes_per_sample + 8,
        limits,
    )?;
    let bytes_of = |width: u32, height: u32| u64::from(width) * u64::from(height) * 4 * u64::from(bytes_per_sample);
    let planes = bytes_of(plan.colours.width, plan.colours.height);
    let grids = [Some(&plan.colours), plan.alpha.as_ref()];
    for tile in grids.into_iter().flatten().flat_map(|grid: &Grid<'_>| &grid.tiles) {
        check_size(tile.width, tile.height, 1, limits)?;
        let frames = frames_in_memory(&tile.stream) as u64;
        if planes + bytes_of(tile.width, tile.height) * frames > limits.max_bytes {
            return Err(PictureError::TooMuchMemory {
                limit: limits.max_bytes,
            });
        }
    }
    Ok(())
}
