//! What all plots share: the sheet, colours, text and axes.

use std::fmt::Display;
use std::ops::Range;
use std::sync::LazyLock;

use image::RgbImage;
use image::imageops::{self, FilterType};
use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::register_font;

use super::error::PlotError;

/// The name under which the compiled-in font is registered: different from the fonts that the program may register.
const FONT: &str = "xception-trainer";

/// Everything is drawn at twice its size and shrunk, which smooths edges: plotters draws wide lines without
/// antialiasing.
const OVERSAMPLING: u32 = 2;

pub(super) const INK: RGBColor = RGBColor(0x22, 0x26, 0x2b);
pub(super) const PALE: RGBColor = RGBColor(0xde, 0xe2, 0xe6);
pub(super) const GREY: RGBColor = RGBColor(0x6c, 0x75, 0x7d);
// Distinguishable with colour blindness: Okabe and Ito 2008, "Color Universal Design".
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub(super) const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);

pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
pub(super) type Chart<'a, 'b, X, Y> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<X, Y>>;

/// One axis of a chart.
pub(super) struct Axis<'a, R> {
    pub name: &'a str,
    pub range: R,
    /// Formats its numbers.
    pub number: fn(f64) -> String,
}

/// A number with at most three decimals.
pub(super) fn decimal(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A whole number; empty for a number between two.
pub(super) fn whole(value: f64) -> String {
    if (value - value.round()).abs() < 1e-6 {
        format!("{value:.0}")
    } else {
        String::new()
    }
}

/// A learning rate: a power of ten.
pub(super) fn power(value: f64) -> String {
    format!("{value:.0e}")
}

/// The width of a text in pixels.
pub(super) fn text_width(text: &str, size: u32) -> Result<u32, PlotError> {
    register()?;
    let (width, _) = (FONT, f64::from(size)).into_font().box_size(text).map_err(refused)?;
    Ok(width)
}

/// Converts lengths in pixels of the finished picture to lengths on the sheet.
#[derive(Clone, Copy)]
pub(super) struct Pen {
    scale: u32,
}

impl Pen {
    pub(super) fn px(self, pixels: u32) -> u32 {
        pixels * self.scale
    }

    /// A length as a coordinate.
    pub(super) fn at(self, pixels: u32) -> i32 {
        self.px(pixels).cast_signed()
    }

    pub(super) fn text(self, size: u32, color: RGBColor) -> TextStyle<'static> {
        let style = TextStyle::from((FONT, f64::from(self.px(size))).into_font());
        TextStyle {
            color: color.to_backend_color(),
            ..style
        }
    }

    pub(super) fn line(self, color: RGBColor, width: u32) -> ShapeStyle {
        color.stroke_width(self.px(width))
    }

    /// A chart with a title, a light grid and named axes.
    pub(super) fn chart<'a, 'b, X, Y>(
        self,
        area: &'a Area<'b>,
        title: &str,
        x: Axis<'_, X>,
        y: Axis<'_, Y>,
    ) -> Result<Chart<'a, 'b, X::CoordDescType, Y::CoordDescType>, PlotError>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<X::Value> + Ranged<ValueType = X::Value>,
        Y::CoordDescType: ValueFormatter<Y::Value> + Ranged<ValueType = Y::Value>,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(title, self.text(17, INK))
            .margin(self.px(14))
            .x_label_area_size(self.px(44))
            .y_label_area_size(self.px(62))
            .build_cartesian_2d(x.range, y.range)
            .map_err(refused)?;
        chart
            .configure_mesh()
            .x_desc(x.name)
            .y_desc(y.name)
            .x_label_formatter(&|value| (x.number)(*value))
            .y_label_formatter(&|value| (y.number)(*value))
            .light_line_style(WHITE)
            .bold_line_style(PALE)
            .axis_style(GREY)
            .label_style(self.text(12, INK))
            .axis_desc_style(self.text(13, INK))
            .x_labels(8)
            .y_labels(7)
            .draw()
            .map_err(refused)?;
        Ok(chart)
    }

    /// Draws a line and adds it to the legend. Values that are not finite are gaps.
    pub(super) fn series<X, Y>(
        self,
        chart: &mut Chart<'_, '_, X, Y>,
        name: &str,
        color: RGBColor,
        points: &[(f64, f64)],
    ) -> Result<(), PlotError>
    where
        X: Ranged<ValueType = f64>,
        Y: Ranged<ValueType = f64>,
    {
        let style = self.line(color, 2);
        let finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
        for run in points.chunk_by(|a, b| finite(a) && finite(b)) {
            let run = run.iter().copied().filter(finite);
            chart.draw_series(LineSeries::new(run, style)).map_err(refused)?;
        }
        // A single epoch has no line, only a dot.
        let dots = points.iter().copied().filter(finite);
        let radius = self.px(if points.len() > 60 { 1 } else { 3 });
        chart
            .draw_series(dots.map(|point| Circle::new(point, radius, color.filled())))
            .map_err(refused)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + self.at(16), y)], style));
        Ok(())
    }

    pub(super) fn legend<'a, 'b: 'a, X, Y>(
        self,
        chart: &mut Chart<'a, 'b, X, Y>,
        position: SeriesLabelPosition,
    ) -> Result<(), PlotError>
    where
        X: Ranged<ValueType = f64>,
        Y: Ranged<ValueType = f64>,
    {
        chart
            .configure_series_labels()
            .position(position)
            .margin(self.px(8))
            .legend_area_size(self.px(22))
            .background_style(WHITE.mix(0.9))
            .border_style(PALE)
            .label_font(self.text(12, INK))
            .draw()
            .map_err(refused)
    }
}

/// A white sheet of `width` x `height` pixels, which `paint` draws on.
pub(super) fn sheet(
    [width, height]: [u32; 2],
    paint: impl FnOnce(&Area<'_>, Pen) -> Result<(), PlotError>,
) -> Result<RgbImage, PlotError> {
    register()?;
    // A sheet of this size holds cells without lines or text, which need no smoothing.
    let scale = if u64::from(width) * u64::from(height) > 16_000_000 {
        1
    } else {
        OVERSAMPLING
    };
    let (wide, high) = (width * scale, height * scale);
    let mut pixels = vec![0; wide as usize * high as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (wide, high)).into_drawing_area();
        area.fill(&WHITE).map_err(refused)?;
        paint(&area, Pen { scale })?;
        area.present().map_err(refused)?;
    }
    let image = RgbImage::from_raw(wide, high, pixels).ok_or_else(|| refused("the sheet has another size"))?;
    Ok(if scale == 1 {
        image
    } else {
        imageops::resize(&image, width, height, FilterType::Triangle)
    })
}

fn register() -> Result<(), PlotError> {
    static REGISTERED: LazyLock<bool> =
        LazyLock::new(|| register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok());
    if *REGISTERED {
        Ok(())
    } else {
        Err(refused("the compiled-in font cannot be read"))
    }
}

pub(super) fn refused(problem: impl Display) -> PlotError {
    PlotError::Draw(problem.to_string())
}

/// A range around all finite values, with a margin; never empty.
pub(super) fn around(values: impl IntoIterator<Item = f64>) -> Range<f64> {
    // The difference of larger numbers may be infinite.
    let finite = values
        .into_iter()
        .filter(|value| value.is_finite())
        .map(|value| value.clamp(-1e300, 1e300));
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return 0.0..1.0;
    }
    let air = ((high - low) * 0.06).max(high.abs().max(low.abs()) * 1e-3).max(1e-9);
    low - air..high + air
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_never_empty_nor_infinite() {
        assert_eq!(around([]), 0.0..1.0);
        assert_eq!(around([f64::NAN, f64::INFINITY]), 0.0..1.0);
        for values in [vec![0.0], vec![3.0, 3.0], vec![1e300, -1e300, f64::NAN], vec![f64::MAX]] {
            let range = around(values.clone());
            assert!(
                range.start < range.end && range.end.is_finite(),
                "{values:?}: {range:?}"
            );
        }
    }

    #[test]
    fn axes_write_no_rounding_errors() {
        assert_eq!(
            [0.1 + 0.2, -0.0, 1.0, 1.25, 1234.0].map(decimal),
            ["0.3", "0", "1", "1.25", "1234"]
        );
        assert_eq!([1.0, 2.5, 12.0].map(whole), ["1", "", "12"]);
        assert_eq!([1e-5 * 0.999_999_999, 1.0].map(power), ["1e-5", "1e0"]);
    }
}
