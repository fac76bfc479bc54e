//! YCbCr to RGB with libavif's own floating-point numbers (`reformat.c`), for the matrices that libyuv does not know,
//! and for grey.

use super::{
    planes::{Plane, Planes},
    properties::Colours,
    stream::Layout,
};

/// Which sums make RGB.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    /// G, B and R.
    Identity,
    YCgCo,
    /// In whole numbers, of 10 bits.
    YCgCoReversible,
    YCbCr,
}

/// The numbers of a conversion.
pub(super) struct Conversion {
    pub sums: Sums,
    red: f32,
    green: f32,
    blue: f32,
    luma: Vec<f32>,
    chroma: Vec<f32>,
    largest: u16,
}

/// x and y of red, green, blue and white, by their number in ITU-T H.273.
const PRIMARIES: [(u16, [f32; 8]); 11] = [
    (1, [0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329]),
    (4, [0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316]),
    (5, [0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290]),
    (6, [0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290]),
    (7, [0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290]),
    (8, [0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316]),
    (9, [0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290]),
    (10, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.3333, 0.3333]),
    (11, [0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351]),
    (12, [0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290]),
    (22, [0.630, 0.340, 0.295, 0.605, 0.155, 0.077, 0.3127, 0.3290]),
];

/// The shares of red and blue in grey (`avifColorPrimariesComputeYCoeffs`).
#[allow(clippy::many_single_char_names, clippy::similar_names)]
fn shares_of_primaries(primaries: u16) -> (f32, f32) {
    let found = PRIMARIES.iter().find(|&&(number, _)| number == primaries);
    let [rx, ry, gx, gy, bx, by, wx, wy] = found.unwrap_or(&PRIMARIES[0]).1;
    let [rz, gz, bz, wz] = [(rx, ry), (gx, gy), (bx, by), (wx, wy)].map(|(x, y)| 1.0 - (x + y));
    let below = wy * (rx * (gy * bz - by * gz) + gx * (by * rz - ry * bz) + bx * (ry * gz - gy * rz));
    let red = ry * (wx * (gy * bz - by * gz) + wy * (bx * gz - gx * bz) + wz * (gx * by - bx * gy)) / below;
    let blue = by * (wx * (ry * gz - gy * rz) + wy * (gx * rz - rx * gz) + wz * (rx * gy - gx * ry)) / below;
    (red, blue)
}

impl Conversion {
    /// `None` for colours that libavif does not convert.
    pub(super) fn of(colours: Colours, depth: u8, layout: Layout) -> Option<Self> {
        let sums = match colours.matrix {
            0 if [Layout::Whole, Layout::Grey].contains(&layout) => Sums::Identity,
            8 if colours.is_full_range => Sums::YCgCo,
            16 if colours.is_full_range && depth == 10 => Sums::YCgCoReversible,
            0 | 3 | 8 | 10 | 11 | 13 | 14 | 16.. => return None,
            _ => Sums::YCbCr,
        };
        let (red, blue) = match colours.matrix {
            1 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            7 => (0.212, 0.087),
            9 => (0.2627, 0.0593),
            12 => shares_of_primaries(colours.primaries),
            _ => (0.299, 0.114),
        };
        let largest = u16::MAX >> (16 - depth);
        let scale = depth - 8;
        let (black, range, chroma_range) = if colours.is_full_range {
            (0.0, f32::from(largest), f32::from(largest))
        } else {
            (
                f32::from(16_u16 << scale),
                f32::from(219_u16 << scale),
                f32::from(224_u16 << scale),
            )
        };
        let middle = f32::from(1_u16 << (depth - 1));
        let table = |zero: f32, range: f32| {
            (0..=largest)
                .map(|level| (f32::from(level) - zero) / range)
                .collect::<Vec<_>>()
        };
        let luma = table(black, range);
        let chroma = if sums == Sums::Identity {
            luma.clone()
        } else {
            table(middle, chroma_range)
        };
        Some(Self {
            sums,
            red,
            green: 1.0 - red - blue,
            blue,
            luma,
            chroma,
            largest,
        })
    }

    /// Shares of 1 for red, green and blue.
    fn rgb(&self, level: u16, first: f32, second: f32) -> [f32; 3] {
        let luma = self.luma[usize::from(level)];
        let rgb = match self.sums {
            Sums::Identity => [second, luma, first],
            Sums::YCgCo => {
                let other = luma - first;
                [other + second, luma + first, other - second]
            }
            Sums::YCgCoReversible => {
                let whole = |share: f32| (share * f32::from(self.largest) + 0.5).floor() as i32;
                let (green_part, orange_part) = (whole(first), whole(second));
                let other = i32::from(level) - (green_part >> 1);
                let green = (other + green_part).clamp(0, 255);
                let blue = (other - (orange_part >> 1)).clamp(0, 255);
                let red = (blue + orange_part).clamp(0, 255);
                [red, green, blue].map(|level| level as f32 / 255.0)
            }
            Sums::YCbCr => {
                let (red, green, blue) = (self.red, self.green, self.blue);
                [
                    luma + (2.0 * (1.0 - red)) * second,
                    luma - ((2.0 * ((red * (1.0 - red) * second) + (blue * (1.0 - blue) * first))) / green),
                    luma + (2.0 * (1.0 - blue)) * first,
                ]
            }
        };
        rgb.map(|share| share.clamp(0.0, 1.0))
    }

    /// The colours, in rows from the top, RGB. They are divided by the transparency if there is one here.
    pub(super) fn convert(&self, planes: &Planes, divisor: Option<&Plane>) -> Vec<u8> {
        let (width, height) = (planes.width as usize, planes.height as usize);
        let mut rgb = Vec::with_capacity(width * height * 3);
        let [mut luma, mut alpha] = [const { Vec::new() }; 2];
        let mut chroma = [Chroma::default(), Chroma::default()];
        for y in 0..height {
            planes.colours[0].row(y, &mut luma);
            if let Some(plane) = divisor {
                plane.row(y, &mut alpha);
            }
            for (component, chroma) in planes.colours.iter().skip(1).zip(&mut chroma) {
                chroma.read(component, y, height, planes.layout);
            }
            for (x, &level) in luma.iter().enumerate() {
                let level = level.min(self.largest);
                let mut shares = if planes.layout == Layout::Grey {
                    [self.luma[usize::from(level)].clamp(0.0, 1.0); 3]
                } else {
                    let [first, second] = [0, 1].map(|index| chroma[index].at(x, width, planes.layout, self));
                    self.rgb(level, first, second)
                };
                if let Some(&alpha) = alpha.get(x) {
                    divide(
                        &mut shares,
                        f32::from(alpha.min(self.largest)) / f32::from(self.largest),
                    );
                }
                rgb.extend(shares.map(|share| (0.5 + share * 255.0) as u8));
            }
        }
        rgb
    }
}

fn divide(shares: &mut [f32; 3], alpha: f32) {
    if alpha == 0.0 {
        *shares = [0.0; 3];
    } else if alpha < 1.0 {
        *shares = shares.map(|share| (share / alpha).min(1.0));
    }
}

/// The two rows of chroma that are next to a row of the picture.
#[derive(Default)]
struct Chroma {
    near: Vec<u16>,
    far: Vec<u16>,
}

impl Chroma {
    fn read(&mut self, plane: &Plane, y: usize, height: usize, layout: Layout) {
        let near = if layout == Layout::Halved { y / 2 } else { y };
        let is_edge = y == 0 || (y == height - 1 && !y.is_multiple_of(2)) || layout != Layout::Halved;
        let far = match (is_edge, y % 2) {
            (true, _) => near,
            (false, 0) => near - 1,
            (false, _) => near + 1,
        };
        plane.row(near, &mut self.near);
        plane.row(far, &mut self.far);
    }

    fn at(&self, x: usize, width: usize, layout: Layout, conversion: &Conversion) -> f32 {
        let share = |row: &[u16], place: usize| conversion.chroma[usize::from(row[place].min(conversion.largest))];
        if layout == Layout::Whole {
            return share(&self.near, x);
        }
        let near = x / 2;
        let is_edge = x == 0 || (x == width - 1 && !x.is_multiple_of(2));
        let far = match (is_edge, x % 2) {
            (true, _) => near,
            (false, 0) => near - 1,
            (false, _) => near + 1,
        };
        (share(&self.near, near) * (9.0 / 16.0))
            + (share(&self.near, far) * (3.0 / 16.0))
            + (share(&self.far, near) * (3.0 / 16.0))
            + (share(&self.far, far) * (1.0 / 16.0))
    }
}
