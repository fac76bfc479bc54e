use std::ops::Range;

use image::RgbImage;
use plotters::prelude::*;

use super::canvas::{self, Area, Axis, BLUE, GREEN, GREY, INK, PALE, Pen, VERMILION, refused};
use super::error::PlotError;
use crate::judge::metrics::EpochRow;
use crate::shortened::shortened;

/// One curve: its name, its colour and its value in a row.
type Curve = (&'static str, RGBColor, fn(&EpochRow) -> Option<f64>);

const LOSSES: [Curve; 3] = [
    ("training", BLUE, |row| Some(row.train_loss)),
    ("validation", VERMILION, |row| row.val_loss),
    ("validation, averaged weights", GREEN, |row| row.ema_val_loss),
];

const ACCURACIES: [Curve; 3] = [
    ("training", BLUE, |row| row.train_accuracy.map(percent)),
    ("validation", VERMILION, |row| row.val_accuracy.map(percent)),
    ("validation, averaged weights", GREEN, |row| {
        row.ema_val_accuracy.map(percent)
    }),
];

fn percent(part: f64) -> f64 {
    100.0 * part
}

pub(super) fn draw(rows: &[EpochRow]) -> Result<RgbImage, PlotError> {
    if rows.is_empty() {
        return Err(PlotError::Nothing {
            what: "training curves",
            problem: "no epoch is done",
        });
    }
    canvas::sheet([1200, 720], |area, pen| {
        let (above, below) = area.split_vertically(pen.px(480));
        let (left, right) = above.split_horizontally(pen.px(600));
        if ACCURACIES.iter().any(|curve| !values(rows, curve).is_empty()) {
            panel(
                &left,
                pen,
                rows,
                ["Loss", "loss"],
                &LOSSES,
                SeriesLabelPosition::UpperRight,
            )?;
            let names = ["Accuracy", "% of pictures"];
            panel(&right, pen, rows, names, &ACCURACIES, SeriesLabelPosition::LowerRight)?;
        } else {
            panel(
                &above,
                pen,
                rows,
                ["Loss", "loss"],
                &LOSSES,
                SeriesLabelPosition::UpperRight,
            )?;
        }
        learning_rate(&below, pen, rows)
    })
}

/// The points of a curve; rows without a value are left out.
fn values(rows: &[EpochRow], (_, _, value): &Curve) -> Vec<(f64, f64)> {
    rows.iter()
        .filter_map(|row| Some((row.epoch as f64, value(row)?)))
        .collect()
}

/// The axis of epochs, with half an epoch of margin on both sides, so that a single epoch gives a range.
fn epochs(rows: &[EpochRow]) -> Axis<'static, Range<f64>> {
    let epochs = rows.iter().map(|row| row.epoch as f64);
    let (first, last) = epochs.fold((f64::INFINITY, 0.0_f64), |(first, last), epoch| {
        (first.min(epoch), last.max(epoch))
    });
    Axis {
        name: "epoch",
        range: first - 0.5..last + 0.5,
        number: canvas::whole,
    }
}

fn panel(
    area: &Area<'_>,
    pen: Pen,
    rows: &[EpochRow],
    [title, unit]: [&str; 2],
    curves: &[Curve],
    legend: SeriesLabelPosition,
) -> Result<(), PlotError> {
    let drawn: Vec<_> = curves.iter().map(|curve| (curve, values(rows, curve))).collect();
    let y = canvas::around(drawn.iter().flat_map(|(_, points)| points.iter().map(|point| point.1)));
    let vertical = Axis {
        name: unit,
        range: y.clone(),
        number: canvas::decimal,
    };
    let mut chart = pen.chart(area, title, epochs(rows), vertical)?;
    for boundary in phases(rows) {
        let line = DashedLineSeries::new(
            [(boundary, y.start), (boundary, y.end)],
            pen.px(4),
            pen.px(4),
            pen.line(GREY, 1),
        );
        chart.draw_series(line).map_err(refused)?;
    }
    for ((name, color, _), points) in drawn {
        if !points.is_empty() {
            pen.series(&mut chart, name, *color, &points)?;
        }
    }
    pen.legend(&mut chart, legend)
}

/// The boundaries between phases, half way between two epochs.
fn phases(rows: &[EpochRow]) -> impl Iterator<Item = f64> {
    rows.windows(2).filter_map(|pair| match pair {
        [before, after] if before.phase != after.phase => Some((before.epoch + after.epoch) as f64 / 2.0),
        _ => None,
    })
}

fn learning_rate(area: &Area<'_>, pen: Pen, rows: &[EpochRow]) -> Result<(), PlotError> {
    let curve: Curve = ("learning rate", INK, |row| {
        Some(row.learning_rate).filter(|rate| *rate > 0.0)
    });
    let points = values(rows, &curve);
    let rates = || points.iter().map(|point| point.1).filter(|rate| rate.is_finite());
    let low = rates().fold(f64::INFINITY, f64::min);
    let high = rates().fold(0.0, f64::max);
    if low > high {
        return Ok(());
    }
    let range = (low / 2.0).max(f64::MIN_POSITIVE)..(high * 2.0).min(f64::MAX);
    let vertical = Axis {
        name: "rate",
        range: range.clone().log_scale(),
        number: canvas::power,
    };
    let mut chart = pen.chart(area, "Learning rate, and what was trained", epochs(rows), vertical)?;
    pen.series(&mut chart, curve.0, curve.1, &points)?;
    // The name of each phase at its first epoch.
    let starts = rows
        .iter()
        .enumerate()
        .filter(|(index, row)| *index == 0 || rows.get(index - 1).is_some_and(|before| before.phase != row.phase));
    for (_, row) in starts {
        let x = row.epoch as f64 - 0.5;
        chart
            .draw_series([EmptyElement::at((x, range.end))
                + Text::new(shortened(&row.phase, 24), (pen.at(6), pen.at(4)), pen.text(12, GREY))])
            .map_err(refused)?;
        let line = LineSeries::new([(x, range.start), (x, range.end)], pen.line(PALE, 1));
        chart.draw_series(line).map_err(refused)?;
    }
    Ok(())
}
