use image::RgbImage;
use plotters::prelude::*;

use super::canvas::{self, Axis, BLUE, GREY, INK, VERMILION, refused};
use super::error::PlotError;
use crate::judge::metrics::{Evaluation, Task};

pub(super) fn draw(evaluation: &Evaluation) -> Result<RgbImage, PlotError> {
    let calibration = &evaluation.calibration;
    let unit = match evaluation.task {
        Task::Single { .. } => "% of the pictures",
        Task::Multi { .. } => "% of the answers",
    };
    canvas::sheet([640, 720], |area, pen| {
        let (above, below) = area.split_vertically(pen.px(500));
        let title = format!("Calibration: expected error {:.1} %", 100.0 * calibration.ece);
        let axis = |name, end| Axis {
            name,
            range: 0.0..end,
            number: canvas::decimal,
        };
        let mut chart = pen.chart(&above, &title, axis("confidence, %", 100.0), axis("right, %", 100.0))?;
        let filled = || calibration.bins.iter().filter(|bin| bin.count > 0);
        let air = 0.4;
        let bars = filled().filter_map(|bin| {
            let corners = [
                (100.0 * bin.from + air, 0.0),
                (100.0 * bin.to - air, 100.0 * bin.accuracy?),
            ];
            Some(Rectangle::new(corners, BLUE.mix(0.55).filled()))
        });
        chart.draw_series(bars).map_err(refused)?;
        let diagonal = DashedLineSeries::new([(0.0, 0.0), (100.0, 100.0)], pen.px(6), pen.px(5), pen.line(GREY, 1));
        chart.draw_series(diagonal).map_err(refused)?;
        let points: Vec<(f64, f64)> = filled()
            .filter_map(|bin| Some((100.0 * bin.confidence?, 100.0 * bin.accuracy?)))
            .collect();
        let line = LineSeries::new(points.iter().copied(), pen.line(VERMILION, 2));
        chart.draw_series(line).map_err(refused)?;
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, pen.px(4), VERMILION.filled()));
        chart.draw_series(dots).map_err(refused)?;

        let total = calibration.bins.iter().map(|bin| bin.count).sum::<usize>().max(1);
        let part = |count: usize| 100.0 * count as f64 / total as f64;
        let most = calibration.bins.iter().map(|bin| part(bin.count)).fold(1.0, f64::max);
        let title = "How often each confidence occurs";
        let mut chart = pen.chart(&below, title, axis("confidence, %", 100.0), axis(unit, most * 1.08))?;
        let bars = filled().map(|bin| {
            let corners = [(100.0 * bin.from + air, 0.0), (100.0 * bin.to - air, part(bin.count))];
            Rectangle::new(corners, INK.mix(0.4).filled())
        });
        chart.draw_series(bars).map_err(refused)?;
        Ok(())
    })
}
