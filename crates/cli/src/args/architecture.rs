//! `--architecture`.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use xception_model::{Architecture, InputSpec, Published};

/// An architecture as its paper describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchitectureName(Published);

impl ArchitectureName {
    /// The name of the default.
    pub const DEFAULT: &str = "xception";

    pub fn architecture(&self) -> Architecture {
        self.0.network.clone()
    }

    /// The input of the published weights.
    pub fn input(&self) -> InputSpec {
        InputSpec {
            height: self.0.size,
            width: self.0.size,
            scaling: self.0.scaling,
            ..InputSpec::default()
        }
    }
}

/// Parses the name of a published network.
pub fn architecture() -> impl TypedValueParser<Value = ArchitectureName> {
    let names = Architecture::published()
        .into_iter()
        .map(|published| PossibleValue::new(published.name).help(published.paper));
    PossibleValuesParser::new(names).try_map(|name| {
        let mut published = Architecture::published().into_iter();
        let found = published.find(|published| published.name == name);
        found.map(ArchitectureName).ok_or("no architecture has this name")
    })
}
