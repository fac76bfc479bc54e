//! Checks that weights suit a command, before any picture is read.

use std::ffi::OsStr;

use anyhow::bail;
use xception_model::{Architecture, InputError, ModelSpec, Network, Outputs};

/// Refuses weights whose output is a number, for commands that need probabilities.
pub fn has_classes(weights: &OsStr, spec: &ModelSpec) -> anyhow::Result<()> {
    if spec.outputs == Outputs::Value {
        bail!(
            "{}: its output is a number and tells no classes apart, so no answer is right or wrong: \
             `xception classify` prints the number of each picture",
            weights.display()
        );
    }
    Ok(())
}

/// Refuses weights without a classifier, and says which commands take them.
pub fn has_classifier(weights: &OsStr, network: &Network) -> anyhow::Result<()> {
    if network.has_top() {
        return Ok(());
    }
    let embed = if network.architecture().is_pooled() {
        "xception embed"
    } else {
        "xception embed --level stride_32"
    };
    // A network that pools a map of each class ends as a backbone does.
    let pooled = match network.graph().roles.embedding {
        Some(_) if matches!(network.architecture(), Architecture::Graph(_)) => {
            "; if the numbers that it pools are its classes, save the model with a softmax at its end"
        }
        _ => "",
    };
    bail!(
        "{}: these weights have no classifier: use `{embed}`, or `xception run --stage {}`{pooled}",
        weights.display(),
        network.stage_names().last().map_or("NAME", String::as_str)
    )
}

/// Refuses a `--stage` that the network does not have.
pub fn has_stage(network: &Network, name: &str) -> anyhow::Result<()> {
    match network.check_stage(name) {
        Err(InputError::UnknownStage { name, nearest, .. }) => {
            let suggestion = nearest.map_or_else(String::new, |nearest| format!(" (did you mean `{nearest}`?)"));
            bail!("no stage is called `{name}`{suggestion}; `xception run --list-stages` lists them for its --weights")
        }
        checked => Ok(checked?),
    }
}

/// Refuses a network that does not have the feature level, or without a level, one that does not pool its features.
pub fn has_features(weights: &OsStr, network: &Network, level: Option<&str>) -> anyhow::Result<()> {
    let graph = network.graph();
    let weights = weights.display();
    let Some(level) = level else {
        if graph.roles.embedding.is_none() {
            bail!(
                "{weights}: these weights don't pool their features into a vector: ask for a map, such as --level \
                 stride_32"
            );
        }
        return Ok(());
    };
    let known: Vec<&str> = graph.roles.levels.iter().map(|level| level.name.as_str()).collect();
    match known.as_slice() {
        known if known.contains(&level) => Ok(()),
        [] => bail!("{weights}: this network ({}) has no feature pyramid", graph.title),
        known => bail!(
            "{weights}: this network ({}) has no level {level}; there are {}",
            graph.title,
            known.join(", ")
        ),
    }
}
