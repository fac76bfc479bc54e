//! `--class`.

use anyhow::bail;
use xception_model::Classifier;

/// The most classes that an error lists.
const LISTED: usize = 12;

/// The number of classes that can be explained; a network whose output is a number has one.
pub fn count(classifier: &Classifier) -> usize {
    classifier.spec.classes().unwrap_or(1)
}

/// The class that a name, a wnid or a number stands for. Names win over numbers: a class may be called `7`.
pub fn find(text: &str, classifier: &Classifier) -> anyhow::Result<usize> {
    let spec = &classifier.spec;
    let classes = count(classifier);
    let by_name = spec
        .labels
        .iter()
        .position(|label| label.name == text || label.id.as_deref() == Some(text));
    if let Some(class) = by_name {
        return Ok(class);
    }
    match text.parse::<usize>() {
        Ok(class) if class < classes => Ok(class),
        Ok(class) => bail!("there is no class {class}: the network has {classes}, counted from 0"),
        Err(_) if spec.labels.is_empty() => bail!(
            "the weights name no classes, so `{text}` can't be found: give its number, from 0 to {}",
            classes.saturating_sub(1)
        ),
        Err(_) => {
            let listed = spec.labels.iter().take(LISTED).map(|label| label.name.as_str());
            let listed = listed.collect::<Vec<_>>().join(", ");
            let more = spec.labels.len().saturating_sub(LISTED);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            bail!("there is no class `{text}`; the network knows {listed}{more}")
        }
    }
}
