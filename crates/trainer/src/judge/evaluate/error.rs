use xception_model::ClassifyError;

use crate::judge::metrics::MetricsError;

/// Why a network cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The network fails.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// The predictions are invalid.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// No picture could be read.
    #[error("none of the {0} pictures can be read; the first: {1}")]
    Unreadable(usize, String),
    /// The network has no classes.
    #[error(
        "the network predicts no classes, so it cannot be judged by them: it has no classifier, or its output is a \
         number"
    )]
    NoClasses,
    /// The network's outputs have no names.
    #[error(
        "the weights don't name their {outputs} classes, so those of the data ({}) cannot be found among them: give \
         the names in a file (--labels), one per line in the order of the outputs",
        listed(data)
    )]
    NoLabels {
        /// How many classes the network has.
        outputs: usize,
        /// The classes of the data.
        data: Vec<String>,
    },
    /// The network does not know a class of the data.
    #[error(
        "the data has classes that the network does not know: {}; the network knows {}{}",
        listed(unknown),
        listed(known),
        if *all { "" } else { "; --skip-unknown leaves their pictures out" }
    )]
    Classes {
        /// The network knows none of the classes.
        all: bool,
        /// The classes of the data that the network lacks.
        unknown: Vec<String>,
        /// The classes of the network.
        known: Vec<String>,
    },
}

/// The most classes that an error lists.
const LISTED: usize = 12;

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(LISTED);
    match more {
        0 => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let many: Vec<String> = (0..15).map(|class| class.to_string()).collect();
        assert!(listed(&many).ends_with("`11` and 3 more"));
    }
}
