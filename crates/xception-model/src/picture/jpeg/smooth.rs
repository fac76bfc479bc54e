//! Guesses at the coefficients that a progressive file without its last scans leaves open (`decompress_smooth_data`).

use super::{
    coefficients::{Block, Coefficients},
    segments::{Coding, Frame},
};

/// The places in natural order of the first ten coefficients.
const PLACES: [usize; 10] = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24];

/// The weights of the 25 mean values around a block, row by row, for each of the first ten coefficients: where nothing
/// but mean values is known, and where some coefficients are.
#[rustfmt::skip]
const FROM_MEANS: [[i64; 25]; 10] = [
    [-2, -6, -8, -6, -2,  -6, 6, 42, 6, -6,  -8, 42, 152, 42, -8,  -6, 6, 42, 6, -6,  -2, -6, -8, -6, -2],
    [-1, -1, 0, 1, 1,  -3, 13, 0, -13, 3,  -3, 38, 0, -38, 3,  -3, 13, 0, -13, 3,  -1, -1, 0, 1, 1],
    [-1, -3, -3, -3, -1,  -1, 13, 38, 13, -1,  0, 0, 0, 0, 0,  1, -13, -38, -13, 1,  1, 3, 3, 3, 1],
    [0, 0, 1, 0, 0,  0, 2, 7, 2, 0,  0, -5, -14, -5, 0,  0, 2, 7, 2, 0,  0, 0, 1, 0, 0],
    [-1, 0, 0, 0, 1,  0, 9, 0, -9, 0,  0, 0, 0, 0, 0,  0, -9, 0, 9, 0,  1, 0, 0, 0, -1],
    [0, 0, 0, 0, 0,  0, 2, -5, 2, 0,  1, 7, -14, 7, 1,  0, 2, -5, 2, 0,  0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0,  0, 1, 0, -1, 0,  0, 2, 0, -2, 0,  0, 1, 0, -1, 0,  0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0,  0, 1, -3, 1, 0,  0, 0, 0, 0, 0,  0, -1, 3, -1, 0,  0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0,  0, 1, 0, -1, 0,  0, -3, 0, 3, 0,  0, 1, 0, -1, 0,  0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0,  0, 1, 2, 1, 0,  0, 0, 0, 0, 0,  0, -1, -2, -1, 0,  0, 0, 0, 0, 0],
];
#[rustfmt::skip]
const FROM_MORE: [[i64; 25]; 6] = [
    [0; 25],
    [0, 0, 0, 0, 0,  0, 0, 0, 0, 0,  -7, 50, 0, -50, 7,  0, 0, 0, 0, 0,  0, 0, 0, 0, 0],
    [0, 0, -7, 0, 0,  0, 0, 50, 0, 0,  0, 0, 0, 0, 0,  0, 0, -50, 0, 0,  0, 0, 7, 0, 0],
    [0, 0, -1, 0, 0,  0, 0, 13, 0, 0,  0, 0, -24, 0, 0,  0, 0, 13, 0, 0,  0, 0, -1, 0, 0],
    [0, -1, 0, 1, 0,  -1, 10, 0, -10, 1,  0, 0, 0, 0, 0,  1, -10, 0, 10, -1,  0, 1, 0, -1, 0],
    [0, 0, 0, 0, 0,  0, 0, 0, 0, 0,  -1, 13, -24, 13, -1,  0, 0, 0, 0, 0,  0, 0, 0, 0, 0],
];

pub(super) struct Smoothing<'p> {
    frame: &'p Frame,
    coefficients: &'p Coefficients,
}

impl<'p> Smoothing<'p> {
    /// `smoothing_ok`: `None` where nothing is open, or too much.
    pub(super) fn of(frame: &'p Frame, coefficients: &'p Coefficients) -> Option<Self> {
        if frame.coding != Coding::Progressive {
            return None;
        }
        let mut useful = false;
        for (component, unknown) in frame.components.iter().zip(&coefficients.unknown_bits) {
            let quant = component.quant.as_ref()?;
            if PLACES.iter().any(|&place| quant[place] == 0) || unknown[0] < 0 {
                return None;
            }
            useful |= unknown[1..10].iter().any(|&bits| bits != 0);
        }
        useful.then_some(Self { frame, coefficients })
    }

    /// Hands over every block of a row with its guesses.
    pub(super) fn each_block(&self, index: usize, row: usize, mut take: impl FnMut(usize, &Block)) {
        let component = &self.frame.components[index];
        let Some(quant) = &component.quant else {
            return;
        };
        let stride = self.coefficients.strides[index];
        let all = &self.coefficients.blocks[index];
        let (unit_row, last_unit_row) = (row / component.down, self.frame.units_down - 1);
        let unknown = if unit_row <= self.coefficients.last_good_row {
            &self.coefficients.unknown_bits[index]
        } else if self.coefficients.scans > 1 {
            &self.coefficients.unknown_before[index]
        } else {
            &[-1; 64]
        };
        let from_means = unknown[1..10].iter().all(|&bits| bits == -1);

        // libjpeg counts the rows as if all units had this height.
        let height = if unit_row < last_unit_row {
            component.down
        } else {
            match component.blocks_down % component.down {
                0 => component.down,
                rest => rest,
            }
        };
        let (counted, rows) = (unit_row * height + row % component.down, height * self.frame.units_down);
        let above = if counted > 0 { row - 1 } else { row };
        let above_above = if counted > 1 { row - 2 } else { above };
        let below = if counted + 1 < rows { row + 1 } else { row };
        let below_below = if counted + 2 < rows { row + 2 } else { below };
        let lines = [above_above, above, row, below, below_below]
            .map(|line| &all[line * stride..line * stride + component.blocks_across]);

        let last_column = component.blocks_across - 1;
        for (column, block) in lines[2].iter().enumerate() {
            let mut block = *block;
            let columns = [
                column.saturating_sub(2),
                column.saturating_sub(1),
                column,
                (column + 1).min(last_column),
                (column + 2).min(last_column),
            ];
            let mut means = [0_i64; 25];
            for (means, line) in means.chunks_exact_mut(5).zip(&lines) {
                for (mean, &column) in means.iter_mut().zip(&columns) {
                    *mean = line[column][0].into();
                }
            }
            let weights: &[[i64; 25]] = if from_means { &FROM_MEANS } else { &FROM_MORE };
            let guess = |coefficient: usize| {
                let weights = weights[coefficient].iter().zip(&means);
                let sum = i64::from(quant[0]) * weights.map(|(weight, mean)| weight * mean).sum::<i64>();
                let step = i64::from(quant[PLACES[coefficient]]);
                let mut guess = ((step << 7) + sum.abs()) / (step << 8);
                let bits = unknown[coefficient];
                if coefficient > 0 && bits > 0 {
                    guess = guess.min((1 << bits) - 1);
                }
                (if sum >= 0 { guess } else { -guess }) as i16
            };
            for coefficient in 1..weights.len() {
                if unknown[coefficient] != 0 && block[PLACES[coefficient]] == 0 {
                    block[PLACES[coefficient]] = guess(coefficient);
                }
            }
            if from_means {
                block[0] = guess(0);
            }
            take(column, &block);
        }
    }
}
