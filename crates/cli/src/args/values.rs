//! Parsers of single values.

use std::ffi::{OsStr, OsString};
use std::str::FromStr;
use std::sync::LazyLock;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command};
use trainer::augment::AugmentationLevel;
use trainer::data::Split;
use trainer::{Recipe, StepKind};
use xception_model::picture::{AlphaMode, OrientationMode, Preset, SixteenBitMode, TruncatedMode};
use xception_model::{Architecture, XceptionConfig, registry};

/// A whole number from 1 on.
pub fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number from 1 on".to_owned()),
        Ok(count) => Ok(count),
    }
}

/// At 299 x 299 each picture of a batch takes about 60 MB. Batches of more than 256 are faster on no device.
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

/// A cosine of an angle between two vectors.
pub fn similarity(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(cosine) if (-1.0..=1.0).contains(&cosine) => Ok(cosine),
        _ => Err("expected a number from -1 to 1, such as 0.95".to_owned()),
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
    PresetParser
}

/// Reads presets' names. Those with a number cannot be listed for a shell to complete.
#[derive(Clone)]
struct PresetParser;

impl TypedValueParser for PresetParser {
    type Value = Preset;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Preset, clap::Error> {
        if let Some(preset) = value.to_str().and_then(|name| name.parse().ok()) {
            return Ok(preset);
        }
        PossibleValuesParser::new(Preset::NAMES)
            .try_map(|name| name.parse::<Preset>())
            .parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let whole = Preset::NAMES.into_iter().filter(|name| name.parse::<Preset>().is_ok());
        Some(Box::new(whole.map(PossibleValue::new)))
    }
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

/// Text that is a name or something else, such as the path of a file. Only the shell's completion knows the names.
#[derive(Clone, Copy)]
pub struct Suggested {
    pub names: fn() -> Vec<&'static str>,
    /// Whether the text may be the path of a file.
    pub or_file: bool,
}

/// The names of the recipes.
pub const RECIPES: Suggested = Suggested {
    names: || Recipe::names().collect(),
    or_file: true,
};

/// The names of the augmentations.
pub const AUGMENTATIONS: Suggested = Suggested {
    names: || AugmentationLevel::ALL.map(AugmentationLevel::name).into(),
    or_file: true,
};

/// The names of the weights.
pub const WEIGHTS: Suggested = Suggested {
    names: || registry::names().collect(),
    or_file: true,
};

/// The names of the stages of the default network.
pub const STAGES: Suggested = Suggested {
    names: || {
        static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
            let graph = Architecture::from(XceptionConfig::new()).graph();
            graph.stages().iter().map(|stage| stage.name.to_owned()).collect()
        });
        NAMES.iter().map(String::as_str).collect()
    },
    or_file: false,
};

impl Suggested {
    /// A parser of text in UTF-8.
    pub fn text(self) -> impl TypedValueParser<Value = String> {
        self.try_map(|value| value.into_string().map_err(|_| "the text is not UTF-8"))
    }
}

impl TypedValueParser for Suggested {
    type Value = OsString;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, value: &OsStr) -> Result<OsString, clap::Error> {
        Ok(value.to_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.names)().into_iter().map(PossibleValue::new)))
    }
}
