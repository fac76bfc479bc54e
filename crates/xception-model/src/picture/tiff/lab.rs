//! CIE L*a*b* as sRGB, with the numbers of Little CMS, to which Pillow leaves this conversion (`Image.convert`).
//!
//! For bytes Little CMS computes the exact conversion at 33 levels of each channel alone, with the roundings of its
//! steps (`XFormSampler16`), and interpolates between these (`TetrahedralInterp16`). So does this; all 2^24 colours
//! are equal to Pillow 13's.

use std::sync::OnceLock;

type Matrix = [[f64; 3]; 3];

/// Levels of each channel (`_cmsReasonableGridpointsByColorspace`).
const LEVELS: usize = 33;
/// The largest level's number.
const LAST: i32 = LEVELS as i32 - 1;

/// The white of the profile connection space, D50 (`lcms2.h`).
const WHITE: [f64; 3] = [0.9642, 1.0, 0.8249];
/// sRGB's white, D65, and its red, green and blue, each as x and y (`cmsCreate_sRGBProfileTHR`).
const SRGB_WHITE: [f64; 2] = [0.3127, 0.3290];
const SRGB_PRIMARIES: [[f64; 2]; 3] = [[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]];
/// Bradford's cone responses (`_cmsAdaptationMatrix`).
const BRADFORD: Matrix = [
    [0.8951, 0.2664, -0.1614],
    [-0.7502, 1.7135, 0.0367],
    [0.0389, -0.0685, 1.0296],
];
/// The value of the largest code for X, Y and Z (`MAX_ENCODEABLE_XYZ`).
const LARGEST_XYZ: f64 = 1.0 + 32_767.0 / 32_768.0;

/// L* with its whole range in a byte, and a* and b* with 128 for 0.
pub(in crate::picture) fn to_rgb(lab: [u8; 3]) -> [u8; 3] {
    static GRID: OnceLock<Grid> = OnceLock::new();
    GRID.get_or_init(Grid::new).interpolate(lab)
}

/// RGB in 16 bits at each level of L*, a* and b*.
struct Grid(Vec<[i32; 3]>);

impl Grid {
    fn new() -> Self {
        let to_srgb = xyz_to_srgb();
        let level = |number: usize| f64::from(to_word((number * 65_535) as f64 / f64::from(LAST)));
        let mut colours = Vec::with_capacity(LEVELS * LEVELS * LEVELS);
        for lightness in 0..LEVELS {
            for a in 0..LEVELS {
                for b in 0..LEVELS {
                    colours.push(exact([lightness, a, b].map(level), &to_srgb));
                }
            }
        }
        Self(colours)
    }

    fn interpolate(&self, lab: [u8; 3]) -> [u8; 3] {
        let (mut place, mut parts) = (0, [(0, 0); 3]);
        for (channel, (part, code)) in parts.iter_mut().zip(lab).enumerate() {
            let step = LEVELS.pow(2 - channel as u32);
            let scaled = i32::from(code) * 257 * LAST;
            let fixed = scaled + (scaled + 0x7fff) / 0xffff;
            place += (fixed >> 16) as usize * step;
            // The last level has no next one, and nothing is left of the code there.
            *part = (fixed & 0xffff, if code == u8::MAX { 0 } else { step });
        }
        // From the level below the code to the one above it, along the channel with the largest part first.
        let [l, a, b] = parts;
        let order = if l.0 >= a.0 {
            if a.0 >= b.0 {
                [l, a, b]
            } else if b.0 >= l.0 {
                [b, l, a]
            } else {
                [l, b, a]
            }
        } else if l.0 >= b.0 {
            [a, l, b]
        } else if a.0 >= b.0 {
            [a, b, l]
        } else {
            [b, a, l]
        };
        let start = self.0[place];
        let mut sums = [0x8001; 3];
        let mut from = start;
        for (part, step) in order {
            place += step;
            let to = self.0[place];
            for ((sum, from), to) in sums.iter_mut().zip(from).zip(to) {
                *sum += (to - from) * part;
            }
            from = to;
        }
        let mut rgb = [0; 3];
        for ((byte, start), sum) in rgb.iter_mut().zip(start).zip(sums) {
            let word = (start + ((sum + (sum >> 16)) >> 16)) as u16;
            // `FROM_16_TO_8`
            *byte = ((u32::from(word) * 65_281 + 8_388_608) >> 24) as u8;
        }
        rgb
    }
}

/// The conversion of codes from 0 to 65,535. Each step of Little CMS keeps 32 bits.
fn exact(codes: [f64; 3], to_srgb: &Matrix) -> [i32; 3] {
    let [lightness, a, b] = codes.map(|code| f64::from((code / 65_535.0) as f32));
    let (lightness, a, b) = (lightness * 100.0, a * 255.0 - 128.0, b * 255.0 - 128.0);
    let of_y = (lightness + 16.0) / 116.0;
    let mut xyz = [of_y + 0.002 * a, of_y, of_y - 0.005 * b];
    for (value, white) in xyz.iter_mut().zip(WHITE) {
        let response = if *value <= 24.0 / 116.0 {
            (108.0 / 841.0) * (*value - 16.0 / 116.0)
        } else {
            *value * *value * *value
        };
        *value = f64::from((response * white / LARGEST_XYZ) as f32);
    }
    product(to_srgb, xyz).map(|light| to_word(f64::from(gamma(f64::from(light as f32)) as f32) * 65_535.0))
}

/// sRGB's curve from light to code (parametric curve 4, the other way round).
fn gamma(light: f64) -> f64 {
    const EXPONENT: f64 = 2.4;
    const FACTOR: f64 = 1.0 / 1.055;
    const OFFSET: f64 = 0.055 / 1.055;
    const SLOPE: f64 = 1.0 / 12.92;
    if light >= (FACTOR * 0.04045 + OFFSET).powf(EXPONENT) {
        (light.powf(1.0 / EXPONENT) - OFFSET) / FACTOR
    } else {
        light / SLOPE
    }
}

/// `_cmsQuickSaturateWord`, which keeps 16 bits behind the point before it cuts them.
fn to_word(value: f64) -> i32 {
    let value = value + 0.5;
    if value <= 0.0 {
        0
    } else if value >= 65_535.0 {
        65_535
    } else {
        (((value - 32_767.0) * 65_536.0).round_ties_even() as i64 >> 16) as i32 + 32_767
    }
}

/// From X, Y and Z under D50, as shares of the largest code, to linear sRGB (`BuildRGBOutputMatrixShaper`).
fn xyz_to_srgb() -> Matrix {
    let [x, y] = SRGB_WHITE;
    let white = [x / y, 1.0, (1.0 - x - y) / y];
    let primaries = [
        SRGB_PRIMARIES.map(|[x, _]| x),
        SRGB_PRIMARIES.map(|[_, y]| y),
        SRGB_PRIMARIES.map(|[x, y]| 1.0 - x - y),
    ];
    let shares = product(&inverse(&primaries), white);
    let srgb_to_xyz = primaries.map(|row| [0, 1, 2].map(|column| shares[column] * row[column]));
    let (from, to) = (product(&BRADFORD, white), product(&BRADFORD, WHITE));
    let scaled = [0, 1, 2].map(|row| BRADFORD[row].map(|value| to[row] / from[row] * value));
    let adapted = times(&times(&inverse(&BRADFORD), &scaled), &srgb_to_xyz);
    inverse(&adapted).map(|row| row.map(|value| value * LARGEST_XYZ))
}

fn product(matrix: &Matrix, vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2])
}

fn times(left: &Matrix, right: &Matrix) -> Matrix {
    left.map(|[a, b, c]| [0, 1, 2].map(|column| a * right[0][column] + b * right[1][column] + c * right[2][column]))
}

/// `_cmsMAT3inverse`
fn inverse(m: &Matrix) -> Matrix {
    // The minor without a row and a column, with the sign of its place.
    let minor = |row: usize, column: usize| {
        let (r, c) = ([(row + 1) % 3, (row + 2) % 3], [(column + 1) % 3, (column + 2) % 3]);
        m[r[0]][c[0]] * m[r[1]][c[1]] - m[r[0]][c[1]] * m[r[1]][c[0]]
    };
    let determinant = m[0][0] * minor(0, 0) + m[0][1] * minor(0, 1) + m[0][2] * minor(0, 2);
    [0, 1, 2].map(|row| [0, 1, 2].map(|column| minor(column, row) / determinant))
}
