use image::RgbImage;
use plotters::prelude::*;

use super::canvas::{self, Axis, BLUE, GREY, INK, VERMILION, refused};
use super::error::PlotError;

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
    let mut losses: Vec<f64> = points.iter().map(|point| point.1).collect();
    losses.sort_by(f64::total_cmp);
    let (Some(least), Some(most), true) = (losses.first(), losses.get(losses.len() * 9 / 10), low < high) else {
        return Err(PlotError::Nothing {
            what: "the learning-rate finder",
            problem: "fewer than two steps have a finite loss",
        });
    };
    // The loss of the last steps diverges; on its scale the other steps would look flat.
    let ceiling = most + ((most - least) * 0.25).max(most.abs() * 0.1);
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
            // On the side of the line with more space.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lucky_first_step_hides_no_other() {
        // The first loss is the lowest, the last ones diverge.
        let points: Vec<(f64, f64)> = (0..100)
            .map(|step| {
                let loss = match step {
                    0 => 1.2,
                    96.. => 5.0,
                    _ => 1.5 - 0.002 * f64::from(step),
                };
                (1e-7 * 10_f64.powf(f64::from(step) * 8.0 / 99.0), loss)
            })
            .collect();
        let sheet = draw(&points, None).unwrap();
        // Smoothing pales the line's edges.
        let near = |value: u8, wanted: u8| value.abs_diff(wanted) < 60;
        let is_blue = |[red, green, blue]: [u8; 3]| near(red, BLUE.0) && near(green, BLUE.1) && near(blue, BLUE.2);
        let blue = |x: u32| (0..sheet.height()).any(|y| is_blue(sheet.get_pixel(x, y).0));
        let drawn = (100..780).filter(|&x| blue(x)).count();
        assert!(drawn > 600, "{drawn} of 680 columns");
    }
}
