//! Planes of samples to rows of colours (`jdsample.c`, `jdcolor.c`).

use super::{
    fault::Fault,
    plane::Plane,
    segments::{Colours, Component, Frame},
};

/// How a component is brought to the picture's resolution.
#[derive(Debug, Clone, Copy)]
enum Upsampling {
    Full,
    /// `h2v1_fancy_upsample`: three parts of the nearer sample, one of the further.
    Across,
    /// `h1v2_fancy_upsample`
    Down,
    /// `h2v2_fancy_upsample`
    Both,
    /// `int_upsample`: every sample repeated.
    Repeat {
        across: usize,
        down: usize,
    },
}

impl Upsampling {
    /// `jinit_upsampler`
    fn of(component: &Component, frame: &Frame, colours: Colours) -> Result<Self, Fault> {
        let (across, down) = (component.across, component.down);
        if !frame.max_across.is_multiple_of(across) || !frame.max_down.is_multiple_of(down) {
            return Err(Fault::Unsupported(
                "the resolution of a colour is no whole part of another's".to_owned(),
            ));
        }
        Ok(match (frame.max_across / across, frame.max_down / down) {
            (1, 1) => Self::Full,
            (across, down) if colours == Colours::Repeated => Self::Repeat { across, down },
            (2, 1) if component.width > 2 => Self::Across,
            (1, 2) => Self::Down,
            (2, 2) if component.width > 2 => Self::Both,
            (across, down) => Self::Repeat { across, down },
        })
    }
}

/// Reads a component row by row at the picture's resolution.
struct Rows<'p> {
    plane: &'p Plane,
    upsampling: Upsampling,
    /// Samples that are part of the picture.
    width: usize,
    height: usize,
    row: Vec<u8>,
    sums: Vec<u16>,
}

impl<'p> Rows<'p> {
    fn new(plane: &'p Plane, component: &Component, frame: &Frame, colours: Colours) -> Result<Self, Fault> {
        Ok(Self {
            plane,
            upsampling: Upsampling::of(component, frame, colours)?,
            width: component.width,
            height: component.height,
            row: vec![0; component.width * frame.max_across + frame.max_across],
            sums: vec![0; component.width],
        })
    }

    fn samples(&self, row: usize) -> &'p [u8] {
        &self.plane.samples[row * self.plane.stride..][..self.width]
    }

    /// The nearer row's samples three times and the further one's once. Beyond the border the border counts.
    fn nearer_and_further(&mut self, y: usize) {
        let near = y / 2;
        let far = if y.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            (near + 1).min(self.height - 1)
        };
        let (near, far) = (self.samples(near), self.samples(far));
        for ((sum, &near), &far) in self.sums.iter_mut().zip(near).zip(far) {
            *sum = u16::from(near) * 3 + u16::from(far);
        }
    }

    fn get(&mut self, y: usize) -> &[u8] {
        match self.upsampling {
            Upsampling::Full => return self.samples(y),
            Upsampling::Across => {
                let samples = self.samples(y);
                for (sum, &sample) in self.sums.iter_mut().zip(samples) {
                    *sum = sample.into();
                }
                spread(&self.sums, &mut self.row, [1, 2], 2, [0, 0]);
            }
            Upsampling::Down => {
                self.nearer_and_further(y);
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                for (sample, &sum) in self.row.iter_mut().zip(&self.sums) {
                    *sample = ((sum + bias) >> 2) as u8;
                }
            }
            Upsampling::Both => {
                self.nearer_and_further(y);
                spread(&self.sums, &mut self.row, [8, 7], 4, [8, 7]);
            }
            Upsampling::Repeat { across, down } => {
                let samples = self.samples(y / down);
                for (places, &sample) in self.row.chunks_exact_mut(across).zip(samples) {
                    places.fill(sample);
                }
            }
        }
        &self.row
    }
}

/// Two samples for each sum: three parts of it and one of its neighbour on that side, rounded by `bias` in turn. The
/// outermost ones are four parts, with a rounding of their own.
fn spread(sums: &[u16], row: &mut [u8], bias: [u16; 2], shift: u32, outer_bias: [u16; 2]) {
    let row = &mut row[..2 * sums.len()];
    if let (Some(first), Some(last)) = (sums.first(), sums.last()) {
        row[0] = ((first * 4 + outer_bias[0]) >> shift) as u8;
        row[2 * sums.len() - 1] = ((last * 4 + outer_bias[1]) >> shift) as u8;
    }
    // Every two neighbours make the two samples between them.
    for (pair, sums) in row[1..].chunks_exact_mut(2).zip(sums.windows(2)) {
        pair[0] = ((sums[0] * 3 + sums[1] + bias[1]) >> shift) as u8;
        pair[1] = ((sums[1] * 3 + sums[0] + bias[0]) >> shift) as u8;
    }
}

/// RGB, row by row.
pub(super) fn to_rgb(frame: &Frame, planes: &[Plane], colours: Colours) -> Result<Vec<u8>, Fault> {
    let mut rows = planes
        .iter()
        .zip(&frame.components)
        .map(|(plane, component)| Rows::new(plane, component, frame, colours))
        .collect::<Result<Vec<_>, _>>()?;
    let width = frame.width;
    let mut rgb = vec![0; width * frame.height * 3];
    for (y, line) in rgb.chunks_exact_mut(width * 3).enumerate() {
        let pixels = line.as_chunks_mut::<3>().0.iter_mut();
        match &mut rows[..] {
            [grey] => {
                for (pixel, &level) in pixels.zip(grey.get(y)) {
                    *pixel = [level; 3];
                }
            }
            [grey, last] => {
                let samples = if colours == Colours::Last { last } else { grey };
                for (pixel, &level) in pixels.zip(samples.get(y)) {
                    *pixel = [level; 3];
                }
            }
            [first, second, third] => {
                let samples = first.get(y).iter().zip(second.get(y)).zip(third.get(y));
                let samples = samples.map(|((&first, &second), &third)| [first, second, third]);
                if let Colours::Rgb | Colours::Repeated = colours {
                    pixels.zip(samples).for_each(|(pixel, samples)| *pixel = samples);
                } else {
                    pixels
                        .zip(samples)
                        .for_each(|(pixel, samples)| *pixel = ycc_to_rgb(samples));
                }
            }
            [first, second, third, black] => {
                let samples = first
                    .get(y)
                    .iter()
                    .zip(second.get(y))
                    .zip(third.get(y))
                    .zip(black.get(y));
                for (pixel, (((&first, &second), &third), &black)) in pixels.zip(samples) {
                    let mut inks = [first, second, third];
                    if colours == Colours::Ycck {
                        inks = ycc_to_rgb(inks).map(|level| 255 - level);
                    }
                    *pixel = match colours {
                        Colours::Rgb => inks,
                        Colours::Last => [black; 3],
                        Colours::PlainCmyk => inks_to_rgb(inks.map(|ink| 255 - ink), 255 - black),
                        _ => inks_to_rgb(inks, black),
                    };
                }
            }
            _ => {}
        }
    }
    Ok(rgb)
}

/// `build_ycc_rgb_table`, `ycc_rgb_convert`: in units of `2^-16`.
#[inline]
fn ycc_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    [
        y + ((91_881 * cr + HALF) >> 16),
        y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16),
        y + ((116_130 * cb + HALF) >> 16),
    ]
    .map(|level| level.clamp(0, 255) as u8)
}

/// Cyan, magenta, yellow and black to RGB as Pillow does it: JPEG holds inks inverted, by Adobe's custom
/// (`JpegImagePlugin.py`, "assume adobe conventions"), and every ink takes its share of what black leaves
/// (`Convert.c`, `cmyk2rgb`).
pub(in crate::picture) fn inks_to_rgb(inks: [u8; 3], black: u8) -> [u8; 3] {
    let light = u32::from(black);
    inks.map(|ink| {
        let product = u32::from(255 - ink) * light + 128;
        (light - (((product >> 8) + product) >> 8)) as u8
    })
}
