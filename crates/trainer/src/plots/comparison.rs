use std::ops::Range;

use image::RgbImage;
use plotters::prelude::*;

use super::canvas::{self, Area, Axis, BLUE, GREEN, GREY, Pen, VERMILION, refused};
use super::error::PlotError;
use crate::judge::metrics::EpochRow;

/// Runs of one kind that differ in their seeds.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The kind's name, for the legend.
    pub name: String,
    /// The epochs of each run.
    pub runs: Vec<Vec<EpochRow>>,
}

/// The colours of the kinds, used again from the first one if there are more.
const COLORS: [RGBColor; 4] = [BLUE, VERMILION, GREEN, GREY];

/// A value of an epoch.
type Value = fn(&EpochRow) -> Option<f64>;

/// The lowest, mean and highest value of the runs in an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    epoch: f64,
    low: f64,
    mean: f64,
    high: f64,
}

pub(super) fn draw(title: &str, kinds: &[Compared]) -> Result<RgbImage, PlotError> {
    if kinds.iter().all(|kind| kind.runs.iter().all(Vec::is_empty)) {
        return Err(PlotError::Nothing {
            what: "a comparison of runs",
            problem: "no epoch is done",
        });
    }
    canvas::sheet([1200, 480], |area, pen| {
        let (left, right) = area.split_horizontally(pen.px(600));
        let accuracy: Value = |row| row.val_accuracy.map(|part| 100.0 * part);
        let names = [title, "% of the validation pictures that are right"];
        panel(&left, pen, kinds, names, accuracy, SeriesLabelPosition::LowerRight)?;
        let names = ["", "loss on the validation pictures"];
        panel(
            &right,
            pen,
            kinds,
            names,
            |row| row.val_loss,
            SeriesLabelPosition::UpperRight,
        )
    })
}

/// The mean of each kind's runs as a line, on the band from the lowest to the highest.
fn panel(
    area: &Area<'_>,
    pen: Pen,
    kinds: &[Compared],
    [title, unit]: [&str; 2],
    value: Value,
    legend: SeriesLabelPosition,
) -> Result<(), PlotError> {
    let spreads: Vec<Vec<Spread>> = kinds.iter().map(|kind| spread(&kind.runs, value)).collect();
    let vertical = Axis {
        name: unit,
        range: canvas::around(spreads.iter().flatten().flat_map(|spread| [spread.low, spread.high])),
        number: canvas::decimal,
    };
    let mut chart = pen.chart(area, title, epochs(&spreads), vertical)?;
    for ((spread, kind), color) in spreads.iter().zip(kinds).zip(COLORS.into_iter().cycle()) {
        let highest = spread.iter().map(|spread| (spread.epoch, spread.high));
        let lowest = spread.iter().rev().map(|spread| (spread.epoch, spread.low));
        let band: Vec<(f64, f64)> = highest.chain(lowest).collect();
        chart
            .draw_series([Polygon::new(band, color.mix(0.15).filled())])
            .map_err(refused)?;
        let means: Vec<(f64, f64)> = spread.iter().map(|spread| (spread.epoch, spread.mean)).collect();
        pen.series(&mut chart, &kind.name, color, &means)?;
    }
    pen.legend(&mut chart, legend)
}

/// For each epoch that all runs have, with a finite value in each.
fn spread(runs: &[Vec<EpochRow>], value: Value) -> Vec<Spread> {
    let epochs = runs.iter().map(Vec::len).min().unwrap_or(0);
    let spread = |index: usize| {
        let values: Option<Vec<f64>> = runs.iter().map(|rows| value(&rows[index])).collect();
        let values = values.filter(|values| values.iter().all(|value| value.is_finite()))?;
        Some(Spread {
            epoch: runs[0][index].epoch as f64,
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    };
    (0..epochs).filter_map(spread).collect()
}

fn epochs(spreads: &[Vec<Spread>]) -> Axis<'static, Range<f64>> {
    let last = spreads.iter().flatten().map(|spread| spread.epoch).fold(1.0, f64::max);
    Axis {
        name: "epoch",
        range: 0.5..last + 0.5,
        number: canvas::whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: usize, val_loss: Option<f64>) -> EpochRow {
        EpochRow {
            epoch,
            phase: "all".to_owned(),
            step: epoch,
            learning_rate: 1e-3,
            train_loss: 1.0,
            train_accuracy: None,
            val_loss,
            val_accuracy: val_loss.map(|loss| 1.0 - loss / 10.0),
            ema_val_loss: None,
            ema_val_accuracy: None,
            seconds: 1.0,
            wait_share: 0.0,
            overhead_share: 0.0,
        }
    }

    #[test]
    fn the_band_holds_all_runs_and_the_line_is_their_mean() {
        let runs = [
            vec![row(1, Some(2.0)), row(2, Some(1.0)), row(3, None)],
            vec![row(1, Some(4.0)), row(2, Some(f64::NAN)), row(3, Some(1.0))],
        ];
        let first = Spread {
            epoch: 1.0,
            low: 2.0,
            mean: 3.0,
            high: 4.0,
        };
        // The others have an epoch without a value.
        assert_eq!(spread(&runs, |row| row.val_loss), [first]);
        assert_eq!(spread(&[], |row| row.val_loss), []);
    }

    #[test]
    fn each_kind_has_its_colour_in_both_panels() {
        let kind = |name: &str, losses: [f64; 3]| Compared {
            name: name.to_owned(),
            runs: vec![(1..).zip(losses).map(|(epoch, loss)| row(epoch, Some(loss))).collect(); 2],
        };
        let kinds = [kind("none", [3.0, 2.0, 1.0]), kind("ReLU", [3.0, 2.5, 2.0])];
        let sheet = draw("Figure", &kinds).unwrap();
        let near = |value: u8, wanted: u8| value.abs_diff(wanted) < 60;
        for color in [BLUE, VERMILION] {
            let is = |[red, green, blue]: [u8; 3]| near(red, color.0) && near(green, color.1) && near(blue, color.2);
            for half in [0..600, 600..1200] {
                let column = |x: u32| (0..sheet.height()).any(|y| is(sheet.get_pixel(x, y).0));
                let drawn = half.clone().filter(|&x| column(x)).count();
                assert!(drawn > 200, "{color:?} in {half:?}: {drawn} columns");
            }
        }
        let problem = draw("Figure", &[]).unwrap_err().to_string();
        assert_eq!(problem, "cannot draw a comparison of runs: no epoch is done");
    }
}
