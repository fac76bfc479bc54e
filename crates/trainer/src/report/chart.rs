//! Charts as numbers for the page's template. The template draws them as SVG that follows the page's width and colours.

use std::fmt::Write;

use serde::Serialize;

use crate::judge::metrics::{Calibration, EpochRow};

/// The sides of a chart's coordinate system. The chart is stretched to its place on the page.
const SIDE: f64 = 1000.0;

/// A chart. Positions are percentages of its width from the left and of its height from the bottom.
#[derive(Serialize)]
pub(super) struct Chart {
    pub title: &'static str,
    pub x_name: &'static str,
    pub lines: Vec<Line>,
    /// Bars as a path.
    pub bars: String,
    pub x: Vec<Tick>,
    pub y: Vec<Tick>,
    pub marks: Vec<Mark>,
}

#[derive(Serialize)]
pub(super) struct Line {
    pub name: &'static str,
    /// The class of the line's colour in the style sheet.
    pub color: &'static str,
    pub path: String,
    /// Dots at the values, as lines of length 0.
    pub dots: String,
}

#[derive(Serialize)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

/// A vertical line.
#[derive(Serialize)]
pub(super) struct Mark {
    pub at: f64,
    /// `phase`, `stop` or `best`.
    pub kind: &'static str,
    pub label: String,
}

/// One curve: its name, its colour and its value for a row.
type Curve = (&'static str, &'static str, fn(&EpochRow) -> Option<f64>);

const LOSSES: [Curve; 3] = [
    ("training", "a", |row| Some(row.train_loss)),
    ("validation", "b", |row| row.val_loss),
    ("validation, averaged weights", "c", |row| row.ema_val_loss),
];
const ACCURACIES: [Curve; 3] = [
    ("training", "a", |row| row.train_accuracy.map(percent)),
    ("validation", "b", |row| row.val_accuracy.map(percent)),
    ("validation, averaged weights", "c", |row| {
        row.ema_val_accuracy.map(percent)
    }),
];
const RATES: [Curve; 1] = [("learning rate", "a", |row| {
    Some(row.learning_rate).filter(|rate| *rate > 0.0).map(f64::log10)
})];

fn percent(share: f64) -> f64 {
    100.0 * share
}

/// Writes a number at an axis.
type Label<'a> = dyn Fn(f64) -> String + 'a;

/// Loss, accuracy and learning rate by epoch. A chart without values is left out. `best` is the row of the best epoch;
/// `stops` are the last rows of phases that ended early.
pub(super) fn curves(rows: &[EpochRow], best: Option<usize>, stops: &[usize]) -> Vec<Chart> {
    let places = epoch_places(rows);
    let number = |value: f64| {
        format!("{value:.3}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned()
    };
    let power = |value: f64| format!("{:.0e}", 10_f64.powf(value));
    let charts: [(&str, &[Curve], &Label<'_>); 3] = [
        ("Loss", &LOSSES, &number),
        ("Accuracy, %", &ACCURACIES, &number),
        ("Learning rate", &RATES, &power),
    ];
    charts
        .into_iter()
        .filter_map(|(title, curves, label)| {
            let values = |curve: &Curve| -> Vec<Option<f64>> {
                rows.iter()
                    .map(|row| curve.2(row).filter(|value| value.is_finite()))
                    .collect()
            };
            let all: Vec<f64> = curves.iter().flat_map(values).flatten().collect();
            let (low, high) = range(&all)?;
            let up = |value: f64| (value - low) / (high - low);
            let lines = curves.iter().filter_map(|curve| {
                let values = values(curve);
                let points = places.iter().zip(&values);
                let points: Vec<Option<(f64, f64)>> = points
                    .map(|(place, value)| value.map(|value| (place.x, up(value))))
                    .collect();
                points
                    .iter()
                    .any(Option::is_some)
                    .then(|| line(curve.0, curve.1, &points, &places))
            });
            Some(Chart {
                title,
                x_name: "epoch of the phase",
                lines: lines.collect(),
                bars: String::new(),
                x: epoch_ticks(&places),
                y: ticks(low, high)
                    .into_iter()
                    .map(|value| Tick {
                        at: 100.0 * up(value),
                        label: label(value),
                    })
                    .collect(),
                marks: marks(&places, rows, best, stops),
            })
        })
        .collect()
}

/// Accuracy by confidence (the reliability diagram of Guo et al. 2017, figure 1).
pub(super) fn calibration(calibration: &Calibration) -> Chart {
    let mut bars = String::new();
    let mut points = Vec::new();
    for bin in &calibration.bins {
        if let (Some(accuracy), Some(confidence)) = (bin.accuracy, bin.confidence) {
            let (left, right) = (SIDE * bin.from + 4.0, SIDE * bin.to - 4.0);
            let _ = write!(bars, "M{left:.1} 1000V{:.1}H{right:.1}V1000z", SIDE * (1.0 - accuracy));
            points.push(Some((confidence, accuracy)));
        }
    }
    let ticks = || {
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| Tick {
            at: 100.0 * part,
            label: format!("{:.0}", 100.0 * part),
        })
    };
    let unbroken: Vec<Place> = points.iter().map(|_| Place::default()).collect();
    Chart {
        title: "Right answers, %",
        x_name: "confidence, %",
        lines: vec![
            line(
                "perfect calibration",
                "grid",
                &[Some((0.0, 0.0)), Some((1.0, 1.0))],
                &[Place::default(), Place::default()],
            ),
            line("this network", "b", &points, &unbroken),
        ],
        bars,
        x: ticks().into(),
        y: ticks().into(),
        marks: Vec::new(),
    }
}

/// The position of an epoch on the axis. All phases are equally wide, because one phase may have forty short epochs and
/// the next five long ones.
#[derive(Clone, Copy, Default)]
struct Place {
    phase: usize,
    /// The epoch's number in its phase, from 1.
    number: usize,
    /// The position, from 0 to 1.
    x: f64,
    /// The number of epochs of the phase.
    of: usize,
}

fn epoch_places(rows: &[EpochRow]) -> Vec<Place> {
    let phases: Vec<&[EpochRow]> = rows.chunk_by(|a, b| a.phase == b.phase).collect();
    let width = 1.0 / phases.len().max(1) as f64;
    let in_phase = |(phase, rows): (usize, &&[EpochRow])| {
        let of = rows.len();
        (1..=of)
            .map(|number| Place {
                phase,
                number,
                x: width * (phase as f64 + (number as f64 - 0.5) / of as f64),
                of,
            })
            .collect::<Vec<_>>()
    };
    phases.iter().enumerate().flat_map(in_phase).collect()
}

/// The epochs whose numbers are shown: about six over all phases, with the first and the last epoch of each phase.
fn epoch_ticks(places: &[Place]) -> Vec<Tick> {
    let phases = places.last().map_or(1, |place| place.phase + 1);
    let shown = (8 / phases).max(2);
    places
        .iter()
        .filter(|place| {
            let step = place.of.div_ceil(shown).max(1);
            // The last number would overlap the number before it.
            place.number == 1
                || place.number == place.of
                || (place.number % step == 0 && place.of - place.number >= step)
        })
        .map(|place| Tick {
            at: 100.0 * place.x,
            label: place.number.to_string(),
        })
        .collect()
}

fn marks(places: &[Place], rows: &[EpochRow], best: Option<usize>, stops: &[usize]) -> Vec<Mark> {
    let phases = places.last().map_or(1, |place| place.phase + 1) as f64;
    let starts = places.iter().zip(rows).filter(|(place, _)| place.number == 1);
    let mut marks: Vec<Mark> = starts
        .map(|(place, row)| Mark {
            at: 100.0 * place.phase as f64 / phases,
            kind: "phase",
            label: row.phase.clone(),
        })
        .collect();
    let ends = stops.iter().filter_map(|&row| places.get(row));
    marks.extend(ends.map(|place| Mark {
        at: 100.0 * place.x,
        kind: "stop",
        label: String::new(),
    }));
    if let Some(place) = best.and_then(|row| places.get(row)) {
        marks.push(Mark {
            at: 100.0 * place.x,
            kind: "best",
            label: "best".to_owned(),
        });
    }
    marks
}

/// A line with gaps at missing values and between phases.
fn line(name: &'static str, color: &'static str, points: &[Option<(f64, f64)>], places: &[Place]) -> Line {
    let (mut path, mut dots) = (String::new(), String::new());
    let mut before: Option<usize> = None;
    for (point, place) in points.iter().zip(places) {
        let Some((x, y)) = point else {
            before = None;
            continue;
        };
        let pen = if before == Some(place.phase) { 'L' } else { 'M' };
        let (x, y) = (SIDE * x, SIDE * (1.0 - y));
        let _ = write!(path, "{pen}{x:.1} {y:.1}");
        let _ = write!(dots, "M{x:.1} {y:.1}h0");
        before = Some(place.phase);
    }
    Line {
        name,
        color,
        path,
        dots,
    }
}

/// The range of the values with a margin; `None` without values.
fn range(values: &[f64]) -> Option<(f64, f64)> {
    // The difference of larger numbers may be infinite.
    let values = values.iter().map(|value| value.clamp(-1e300, 1e300));
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return None;
    }
    let air = ((high - low) * 0.06).max(high.abs().max(low.abs()) * 1e-3).max(1e-9);
    Some((low - air, high + air))
}

/// Round numbers in the range, four to nine of them.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let first = (low / step).ceil();
    let count = ((high / step).floor() - first).max(0.0) as usize;
    (0..=count).map(|index| (first + index as f64) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(phase: &str, loss: f64) -> EpochRow {
        EpochRow {
            phase: phase.to_owned(),
            train_loss: loss,
            learning_rate: 1e-3,
            ..EpochRow::default()
        }
    }

    #[test]
    fn phases_are_equally_wide_and_lines_break_between_them() {
        let rows = [
            row("head", 3.0),
            row("head", 2.0),
            row("head", f64::NAN),
            row("head", 1.0),
            row("all", 0.5),
        ];
        let charts = curves(&rows, Some(3), &[4]);
        assert_eq!(
            charts.iter().map(|chart| chart.title).collect::<Vec<_>>(),
            ["Loss", "Learning rate"]
        );
        let loss = &charts[0];
        assert_eq!(loss.lines.len(), 1, "validation has no values");
        assert_eq!(loss.lines[0].path.matches('M').count(), 3, "{}", loss.lines[0].path);
        assert_eq!(loss.lines[0].dots.matches('M').count(), 4);
        let marks: Vec<_> = loss.marks.iter().map(|mark| (mark.label.as_str(), mark.at)).collect();
        assert_eq!(marks, [("head", 0.0), ("all", 50.0), ("", 75.0), ("best", 43.75)]);
        assert!(curves(&[], None, &[]).is_empty());
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(0.05, 1.02), [0.2, 0.4, 0.600_000_000_000_000_1, 0.8, 1.0]);
        assert_eq!(ticks(-3.1, -2.9).len(), 5);
    }
}
