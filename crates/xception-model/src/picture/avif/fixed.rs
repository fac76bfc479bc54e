//! YCbCr to RGB with the whole numbers of libyuv (`row_common.cc`, `scale_common.cc`, `convert_argb.cc` of version
//! 1924), as libavif calls it for RGB and RGBA of 8 bits (`reformat_libyuv.c`).

use super::{
    planes::{Plane, Planes},
    properties::Colours,
    stream::Layout,
};

/// Factors of 64ths, and of 65,536ths for Y.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    y: u32,
    offset: i32,
    u_to_blue: i32,
    u_to_green: i32,
    v_to_green: i32,
    v_to_red: i32,
}

const fn factors(y: u32, offset: i32, [u_to_blue, u_to_green, v_to_green, v_to_red]: [i32; 4]) -> Factors {
    Factors {
        y,
        offset,
        u_to_blue,
        u_to_green,
        v_to_green,
        v_to_red,
    }
}

/// `kYuvJPEGConstants`, `kYuvF709Constants`, `kYuvV2020Constants`.
const FULL: [Factors; 3] = [
    factors(16_320, 32, [113, 22, 46, 90]),
    factors(16_320, 32, [119, 12, 30, 101]),
    factors(16_320, 32, [120, 11, 37, 94]),
];

/// `kYuvI601Constants`, `kYuvH709Constants`, `kYuv2020Constants`.
const LIMITED: [Factors; 3] = [
    factors(18_997, -1_160, [128, 25, 52, 102]),
    factors(18_997, -1_160, [128, 14, 34, 115]),
    factors(19_003, -1_160, [128, 12, 42, 107]),
];

impl Factors {
    /// The factors for a matrix of ITU-T H.273, if libyuv has them.
    pub(super) fn of(colours: Colours, is_grey: bool) -> Option<Self> {
        let matrix = match (colours.matrix, colours.primaries) {
            (0, _) if is_grey => 0,
            (2 | 5 | 6, _) | (12, 5 | 6) => 0,
            (1, _) | (12, 1 | 2) => 1,
            (9, _) | (12, 9) => 2,
            _ => return None,
        };
        let table = if colours.is_full_range { &FULL } else { &LIMITED };
        Some(table[matrix])
    }

    /// Y of 16 bits, and U and V of 8.
    fn rgb(self, y: u32, u: u16, v: u16) -> [u8; 3] {
        let y = ((y * self.y) >> 16) as i32 + self.offset;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let red = y + v * self.v_to_red;
        let green = y - (u * self.u_to_green + v * self.v_to_green);
        let blue = y + u * self.u_to_blue;
        [red, green, blue].map(|level| (level >> 6).clamp(0, 255) as u8)
    }

    fn grey(self, y: u16) -> u8 {
        let y = ((u32::from(y) * 0x0101 * self.y) >> 16) as i32;
        ((y + self.offset) >> 6).clamp(0, 255) as u8
    }
}

/// How many bits of the samples count.
#[derive(Clone, Copy)]
enum Bits {
    /// 8, after the lower ones are dropped.
    Eight { dropped: u8 },
    /// 10 or 12 bits of Y; the chroma is cut to 8 bits after it is spread.
    All { depth: u8 },
}

/// The colours, in rows from the top, RGB.
pub(super) fn rgb(planes: &Planes, factors: Factors) -> Vec<u8> {
    let dropped = planes.depth - 8;
    // libavif knows no function for RGB of more bits, but some for RGBA.
    let bits = match (&planes.alpha, planes.depth, planes.layout) {
        (Some(_), depth @ 10, _) | (Some(_), depth @ 12, Layout::Halved) => Bits::All { depth },
        _ => Bits::Eight { dropped },
    };
    let (width, height) = (planes.width as usize, planes.height as usize);
    let mut rgb = Vec::with_capacity(width * height * 3);
    let [mut luma, mut u, mut v] = [const { Vec::new() }; 3];
    let mut spread = Spread::default();
    for y in 0..height {
        planes.colours[0].row(y, &mut luma);
        if planes.layout == Layout::Grey {
            rgb.extend(luma.iter().flat_map(|&sample| [factors.grey(sample >> dropped); 3]));
            continue;
        }
        // Twelve bits with transparency: the chroma is repeated.
        let is_repeated = matches!(bits, Bits::All { depth: 12 });
        for (component, row) in [(1, &mut u), (2, &mut v)] {
            let shift = match bits {
                Bits::Eight { dropped } => dropped,
                Bits::All { .. } => 0,
            };
            let at = Place {
                y,
                layout: planes.layout,
                is_odd: !width.is_multiple_of(2),
                is_repeated,
            };
            spread.row(&planes.colours[component], at, shift, row);
            row.truncate(width);
        }
        let samples = luma.iter().zip(u.iter().zip(&v));
        rgb.extend(samples.flat_map(|(&luma, (&u, &v))| {
            let luma = u32::from(luma);
            match bits {
                Bits::Eight { dropped } => factors.rgb((luma >> dropped) * 0x0101, u, v),
                Bits::All { depth } => {
                    let luma = luma << (16 - depth) | luma >> (2 * depth - 16);
                    let [u, v] = [u, v].map(|sample| (sample >> (depth - 8)).min(255));
                    factors.rgb(luma, u, v)
                }
            }
        }));
    }
    rgb
}

/// A row of the picture.
#[derive(Clone, Copy)]
struct Place {
    y: usize,
    layout: Layout,
    /// Whether the picture's width is odd.
    is_odd: bool,
    /// Whether the chroma is repeated, and not mixed.
    is_repeated: bool,
}

/// Spreads the chroma to all pixels.
#[derive(Default)]
struct Spread {
    near: Vec<u16>,
    far: Vec<u16>,
}

impl Spread {
    /// A row of chroma for row `y` of the picture.
    fn row(&mut self, plane: &Plane, at: Place, dropped: u8, row: &mut Vec<u16>) {
        let Place {
            y,
            layout,
            is_odd,
            is_repeated,
        } = at;
        let (near, far) = match layout {
            Layout::Halved => (
                y / 2,
                if y % 2 == 0 {
                    y.saturating_sub(1) / 2
                } else {
                    y.div_ceil(2)
                },
            ),
            _ => (y, y),
        };
        plane.row(near, &mut self.near);
        // Above the first row of chroma, and below the last one, there is no other.
        plane.row(far.min(plane.height - 1), &mut self.far);
        for sample in self.near.iter_mut().chain(&mut self.far) {
            *sample >>= dropped;
        }
        row.clear();
        if layout == Layout::Whole {
            row.extend(&self.near);
        } else if is_repeated {
            row.extend(self.near.iter().flat_map(|&sample| [sample; 2]));
        } else {
            self.spread(row, near == far.min(plane.height - 1), is_odd);
        }
    }

    /// Two pixels of each sample: three quarters of the sample and one of its neighbour, in both directions.
    fn spread(&self, row: &mut Vec<u16>, is_one_row: bool, is_odd: bool) {
        let (near, far) = (&self.near, &self.far);
        let last = near.len() - 1;
        let mixed = |place: usize, other: usize| {
            let [a, b, c, d] = [near[place], near[other], far[place], far[other]].map(u32::from);
            let mixed = match (is_one_row, place == other) {
                (true, true) => a,
                (true, false) => (3 * a + b + 2) >> 2,
                (false, true) => (3 * a + c + 2) >> 2,
                (false, false) => (9 * a + 3 * b + 3 * c + d + 8) >> 4,
            };
            mixed as u16
        };
        for place in 0..near.len() {
            row.push(mixed(place, place.saturating_sub(1)));
            row.push(mixed(place, (place + 1).min(last)));
        }
        // libyuv mixes the last pixel of an odd row with no neighbour either.
        row[2 * last] = if is_odd { mixed(last, last) } else { row[2 * last] };
    }
}

/// Divides the colours by the transparency (`ARGBUnattenuateRow_AVX2`).
pub(super) fn unpremultiply(rgb: &mut [u8], alpha: &[u8]) {
    for (pixel, &alpha) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(alpha) {
        let inverse = match u32::from(alpha) {
            0 => 0,
            1 => 0xffff,
            255 => 0x100,
            alpha => 0x1_0000 / alpha,
        };
        for level in pixel {
            let product = (u32::from(*level) * 0x0101 * inverse) >> 16;
            // Packed as numbers with a sign.
            *level = if product > 0x7fff { 0 } else { product.min(255) as u8 };
        }
    }
}
