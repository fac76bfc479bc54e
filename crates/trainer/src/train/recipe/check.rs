//! Whether the numbers of a recipe are in their ranges.

use super::Recipe;
use super::phase::{Inputs, Phase, Trains};

impl Recipe {
    /// Whether every number is in its range and every phase can be trained.
    ///
    /// # Errors
    ///
    /// A sentence about the first invalid option.
    pub fn validate(&self) -> Result<(), String> {
        if self.phases.is_empty() {
            return Err("it has no [[phase]]".to_owned());
        }
        let below_one = "at least 0 and below 1";
        need((0.0..1.0).contains(&self.dropout), "dropout", below_one)?;
        need((0.0..1.0).contains(&self.label_smoothing), "label_smoothing", below_one)?;
        for phase in &self.phases {
            phase
                .validate()
                .map_err(|problem| format!("phase `{}`: {problem}", phase.name))?;
        }
        Ok(())
    }
}

impl Phase {
    fn validate(&self) -> Result<(), String> {
        let is_count = |count: usize| (1..=65_536).contains(&count);
        need(self.epochs > 0, "epochs", "at least 1")?;
        need(is_count(self.batch_size), "batch_size", "from 1 to 65536")?;
        need(is_count(self.accumulate), "accumulate", "from 1 to 65536")?;
        need(
            self.layer_decay > 0.0 && self.layer_decay <= 1.0,
            "layer_decay",
            "above 0 and at most 1",
        )?;
        need(
            self.clip_norm.is_none_or(|norm| norm > 0.0 && norm.is_finite()),
            "clip_norm",
            "above 0",
        )?;
        need(
            self.ema.is_none_or(|decay| (0.0..1.0).contains(&decay)),
            "ema",
            "at least 0 and below 1",
        )?;
        need(self.patience.is_none_or(|epochs| epochs > 0), "patience", "at least 1")?;
        need(
            self.inputs == Inputs::Pictures || self.trains == Trains::Head,
            "inputs",
            "`pictures` unless the phase trains the head alone",
        )?;
        self.schedule.validate()?;
        match &self.trains {
            Trains::From(block) => {
                let number = block.strip_prefix("block").and_then(|number| number.parse().ok());
                need(
                    number.is_some_and(|number: usize| number >= 1),
                    "trains.from",
                    "a block's Keras name such as `block13`",
                )
            }
            Trains::LastPercent(percent) => need((1..=100).contains(percent), "trains.last-percent", "from 1 to 100"),
            Trains::Head | Trains::All => Ok(()),
        }
    }
}

fn need(fits: bool, name: &str, wanted: &str) -> Result<(), String> {
    if fits {
        Ok(())
    } else {
        Err(format!("{name} must be {wanted}"))
    }
}
