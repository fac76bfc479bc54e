use serde::{Deserialize, Serialize};

use super::settings::RunSettings;

/// Burn's version. The workspace's `Cargo.toml` pins it, and a test compares the two.
pub const BURN: &str = "0.22.1";

/// The environment in which a run started. Other environments give equally good numbers that differ in their last bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Burn's version.
    pub burn: String,
    /// Threads that compute, on a CPU.
    pub threads: usize,
    /// The devices. Each computes one batch of an update.
    pub devices: Vec<String>,
    /// Whether activations are recomputed for the backward pass.
    pub gradient_checkpointing: bool,
}

impl Environment {
    pub(crate) fn of(settings: &RunSettings) -> Self {
        Self {
            burn: BURN.to_owned(),
            threads: rayon::current_num_threads(),
            devices: settings.names(),
            gradient_checkpointing: settings.gradient_checkpointing,
        }
    }

    /// "1 thread", "2 threads".
    pub fn counted_threads(&self) -> String {
        match self.threads {
            1 => "1 thread".to_owned(),
            threads => format!("{threads} threads"),
        }
    }

    /// Whether a run that started in this environment can continue in `now`. Returns a warning for each difference.
    ///
    /// # Errors
    ///
    /// The number of devices differs. The error is a sentence.
    pub(crate) fn admits(&self, now: &Self) -> Result<Vec<String>, String> {
        let counted = |devices: &[String]| match devices.len() {
            1 => "one device".to_owned(),
            count => format!("{count} devices"),
        };
        if self.devices.len() != now.devices.len() {
            return Err(format!(
                "the run computes on {}, one batch each per update, and {} is given: name as many as it began \
                 with ({})",
                counted(&self.devices),
                counted(&now.devices),
                self.devices.join(", ")
            ));
        }
        let mut differences = Vec::new();
        let mut compare = |what: &str, began: String, now: String| {
            if began != now {
                differences.push(format!(
                    "the run began with {what} {began} and continues with {now}: the last bits of its numbers may \
                     differ from those of a run that was not stopped"
                ));
            }
        };
        compare("threads:", self.threads.to_string(), now.threads.to_string());
        compare("devices:", self.devices.join(", "), now.devices.join(", "));
        compare("Burn", self.burn.clone(), now.burn.clone());
        Ok(differences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burns_version_is_that_of_the_workspace() {
        let workspace = include_str!("../../../../Cargo.toml");
        assert!(workspace.contains(&format!("burn = {{ version = \"={BURN}\"")));
    }
}
