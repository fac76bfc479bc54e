//! Parsers of single values.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use trainer::StepKind;
use trainer::data::Split;
use xception_model::picture::{AlphaMode, OrientationMode, Preset, SixteenBitMode, TruncatedMode};

/// A whole number from 1 on.
pub fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number from 1 on".to_owned()),
        Ok(count) => Ok(count),
    }
}

/// At 299 x 299 a picture in the network takes about 60 MB; beyond 256 nothing gets faster anywhere.
pub fn batch_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if (1..=256).contains(&size) => Ok(size),
        _ => Err("expected a whole number from 1 to 256".to_owned()),
    }
}

/// A learning rate.
pub fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(rate),
        _ => Err("expected a number above 0, such as 1e-4".to_owned()),
    }
}

/// A part of the data.
pub fn split(name: &str) -> Result<Split, String> {
    let known = Split::ALL.into_iter().find(|split| split.name() == name);
    known.ok_or_else(|| "expected train, val or test".to_owned())
}

/// What a measured training step trains, by its name.
pub fn step_kind() -> impl TypedValueParser<Value = StepKind> {
    PossibleValuesParser::new(StepKind::ALL.map(StepKind::name)).map(|name| {
        let known = StepKind::ALL.into_iter().find(|kind| kind.name() == name);
        known.expect("one of the possible values")
    })
}

/// A preset by its name.
pub fn preset() -> impl TypedValueParser<Value = Preset> {
    PossibleValuesParser::new(Preset::ALL.map(Preset::name)).try_map(|name| name.parse::<Preset>())
}

/// A way to read the EXIF orientation.
pub fn orientation() -> impl TypedValueParser<Value = OrientationMode> {
    PossibleValuesParser::new(OrientationMode::ALL.iter().map(|mode| mode.name()))
        .try_map(|name| name.parse::<OrientationMode>())
}

/// A way to read transparency.
pub fn alpha() -> impl TypedValueParser<Value = AlphaMode> {
    PossibleValuesParser::new(AlphaMode::ALL.iter().map(|mode| mode.name())).try_map(|name| name.parse::<AlphaMode>())
}

/// A way to read 16-bit samples.
pub fn sixteen_bit() -> impl TypedValueParser<Value = SixteenBitMode> {
    PossibleValuesParser::new(SixteenBitMode::ALL.iter().map(|mode| mode.name()))
        .try_map(|name| name.parse::<SixteenBitMode>())
}

/// A way to read files that end early.
pub fn truncated() -> impl TypedValueParser<Value = TruncatedMode> {
    PossibleValuesParser::new(TruncatedMode::ALL.iter().map(|mode| mode.name()))
        .try_map(|name| name.parse::<TruncatedMode>())
}

/// A type that parses each of these names.
pub fn parsed<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr + Clone + Send + Sync + 'static,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    PossibleValuesParser::new(names.iter().copied()).try_map(|name| name.parse::<T>())
}
