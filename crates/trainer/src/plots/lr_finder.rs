use image::RgbImage;
use plotters::prelude::*;

use super::PlotError;
use super::canvas::{self, Axis, BLUE, GREY, INK, VERMILION, refused};

pub(super) fn draw(points: &[(f64, f64)], suggestion: Option<f64>) -> Result<RgbImage, PlotError> {
    let positive = |rate: f64| rate.is_finite() && rate > 0.0;
    let points: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|(rate, loss)| positive(*rate) && loss.is_finite())
        .collect();
    let rates = || points.iter().map(|point| point.0);
    let low = rates().fold(f64::INFINITY, f64::min);
    let high = rates().fold(0.0, f64::max);
    let (Some((_, first)), true) = (points.first(), low < high) else {
        return Err(PlotError::Nothing {
            what: "the learning-rate finder",
            problem: "fewer than two steps have a finite loss",
        });
    };
    // The last steps diverge, and would press all others flat.
    let least = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let ceiling = first + (first - least).max(first.abs() * 0.1);
    let y = canvas::around(points.iter().map(|point| point.1.min(ceiling)));
    canvas::sheet([900, 560], |area, pen| {
        let rates = Axis {
            name: "learning rate",
            range: (low..high).log_scale(),
            number: canvas::power,
        };
        let losses = Axis {
            name: "loss (moving average over about 50 steps)",
            range: y.clone(),
            number: canvas::decimal,
        };
        let mut chart = pen.chart(area, "Learning-rate finder", rates, losses)?;
        let curve: Vec<(f64, f64)> = points
            .iter()
            .map(|(rate, loss)| (*rate, if *loss > ceiling { f64::NAN } else { *loss }))
            .collect();
        pen.series(&mut chart, "loss", BLUE, &curve)?;
        if let Some(rate) = suggestion.filter(|rate| (low..=high).contains(rate)) {
            let line = LineSeries::new([(rate, y.start), (rate, y.end)], pen.line(VERMILION, 2));
            chart.draw_series(line).map_err(refused)?;
            // On the side of the line that has more room.
            let text = format!("suggestion {rate:.1e}");
            let shift = if rate.ln() < f64::midpoint(low.ln(), high.ln()) {
                pen.at(8)
            } else {
                -pen.at(160)
            };
            let at = EmptyElement::at((rate, y.end));
            let label = Text::new(text, (shift, pen.at(10)), pen.text(14, INK));
            chart.draw_series([at + label]).map_err(refused)?;
        } else {
            let text = "no suggestion: the loss never falls";
            let at = EmptyElement::at((low, y.end));
            let label = Text::new(text, (pen.at(12), pen.at(10)), pen.text(14, GREY));
            chart.draw_series([at + label]).map_err(refused)?;
        }
        Ok(())
    })
}
