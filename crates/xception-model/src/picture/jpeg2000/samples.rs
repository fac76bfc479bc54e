//! The components' samples, computed from the decoder's as in `OpenJPEG` (`tcd.c`, `t1.c`, `mct.c`).

use super::{
    super::error::PictureError,
    codestream::{Area, Codestream, Component},
    fault::{damaged, unsupported},
    wavelet::{Plane, floor},
};

/// The samples of a component, from 0 to the largest number of its bits.
pub(super) struct Samples {
    /// On the component's own grid.
    pub(super) area: Area,
    pub(super) values: Vec<u16>,
}

/// Computes the samples of all components. `decoded` are the samples of the [plain](Codestream::plain) codestream, one
/// for each pixel of a row.
pub(super) fn samples(stream: &Codestream, decoded: &[&[f32]]) -> Result<Vec<Samples>, PictureError> {
    let components = stream.components.iter();
    let mut all: Vec<_> = components
        .map(|component| {
            let area = stream.area.sampled(component.across, component.down);
            let values = vec![0; area.width() * area.height()];
            Samples { area, values }
        })
        .collect();
    for &tile in &stream.tiles {
        let components = stream.components.iter().zip(decoded);
        let mut planes = Vec::new();
        for (component, decoded) in components {
            planes.push(plane(stream, component, tile, decoded)?);
        }
        if stream.has_colour_transform {
            mix_colours(stream, &mut planes)?;
        }
        for ((component, samples), plane) in stream.components.iter().zip(&mut all).zip(&planes) {
            samples.put(tile.sampled(component.across, component.down), component, plane);
        }
    }
    Ok(all)
}

/// A component of a tile before the transform of colours.
fn plane(stream: &Codestream, component: &Component, tile: Area, decoded: &[f32]) -> Result<Vec<f32>, PictureError> {
    let area = tile.sampled(component.across, component.down);
    let width = stream.area.width();
    // The decoder adds it to samples with a sign too.
    let middle = (1_u32 << (component.bits - 1)) as f32;
    let mut samples = Vec::with_capacity(area.width() * area.height());
    for y in area.top..area.bottom {
        let row = &decoded[(y * component.down - stream.area.top) as usize * width..][..width];
        let first = (area.left * component.across).saturating_sub(stream.area.left) as usize;
        let row = row.get(first..).unwrap_or_default();
        if component.across == 1 {
            samples.extend(row[..area.width()].iter().map(|sample| sample - middle));
        } else {
            let row = row.iter().step_by(component.across as usize);
            samples.extend(row.take(area.width()).map(|sample| sample - middle));
        }
    }
    let too_large = || unsupported("its coefficients are too large to be computed exactly");
    if stream.is_reversible {
        // OpenJPEG halves a row or column of a single sample to a whole number before the next level.
        if samples.iter().any(|&sample| sample - floor(sample) > 0.0) {
            return Err(unsupported(
                "one of its tiles has a single row or column, coded with loss",
            ));
        }
        if !component.is_small() {
            let mut plane = Plane::new(area, samples.clone());
            plane.analyse(component.levels).ok_or_else(too_large)?;
        }
        return Ok(samples);
    }
    let mut plane = Plane::new(area, samples);
    plane.analyse(component.levels).ok_or_else(too_large)?;
    if !plane.samples.iter().all(|&sample| is_coded(sample)) {
        return Err(damaged("one of its blocks has more passes than bits"));
    }
    plane.scale(component.levels, &component.factors());
    plane.synthesise(component.levels);
    Ok(plane.samples)
}

/// Whether a doubled coefficient with its half can have been coded. Below the highest bit stands another one at least,
/// that of the half, unless bits were read that the file has not: `OpenJPEG` stops before these.
fn is_coded(coefficient: f32) -> bool {
    const FRACTION: u32 = (1 << (f32::MANTISSA_DIGITS - 1)) - 1;

    coefficient == 0.0 || coefficient.to_bits() & FRACTION != 0
}

impl Component {
    /// The factor of each band. Coefficients are doubled, and the gains of the bands are left to the transform.
    fn factors(&self) -> Vec<f32> {
        let factor = |&(exponent, mantissa): &(u32, u32)| {
            let power = 2_f64.powi(self.bits as i32 - exponent as i32);
            0.5 * ((1.0 + f64::from(mantissa) / 2048.0) * power) as f32
        };
        self.steps.iter().map(factor).collect()
    }
}

/// Red, green and blue of the first three components (ISO/IEC 15444-1, annex G).
fn mix_colours(stream: &Codestream, planes: &mut [Vec<f32>]) -> Result<(), PictureError> {
    let [first, second, third, ..] = planes else {
        return Ok(());
    };
    if first.len() != second.len() || first.len() != third.len() {
        return Err(damaged("its colours have different sizes"));
    }
    let pixels = first.iter_mut().zip(second).zip(third);
    for ((first, second), third) in pixels {
        let (y, u, v) = (*first, *second, *third);
        (*first, *second, *third) = if stream.is_reversible {
            let green = y - floor((u + v) * 0.25);
            (v + green, green, u + green)
        } else {
            (y + v * 1.402, (y - u * 0.344_13) - v * 0.714_14, y + u * 1.772)
        };
    }
    Ok(())
}

/// [`f32::round_ties_even`], without a call for each number on machines older than SSE 4.1. Numbers beyond 17 bits come
/// out at the ends of their range.
fn round(number: f32) -> f32 {
    /// Between this number and twice it only whole numbers are to be had.
    const WHOLE: f32 = (3 << 22) as f32;

    (number.clamp(-131_072.0, 131_072.0) + WHOLE) - WHOLE
}

impl Samples {
    /// Rounds the samples of a tile.
    fn put(&mut self, tile: Area, component: &Component, plane: &[f32]) {
        let width = self.area.width();
        let (left, top) = (tile.left - self.area.left, tile.top - self.area.top);
        let middle = (1_u32 << (component.bits - 1)) as f32;
        let largest = ((1_u32 << component.bits) - 1) as f32;
        for (row, samples) in plane.chunks_exact(tile.width().max(1)).enumerate() {
            let target = &mut self.values[(top as usize + row) * width + left as usize..][..samples.len()];
            for (value, sample) in target.iter_mut().zip(samples) {
                *value = (round(*sample) + middle).clamp(0.0, largest) as u16;
            }
        }
    }
}
