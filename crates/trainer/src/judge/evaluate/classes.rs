use xception_model::labels::Label;

use super::error::EvaluateError;
use crate::data::spelling;

/// Matches the classes of a data set to the classes of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedClasses {
    /// The network's number for each class; `None` if the network does not know the class.
    pub outputs: Vec<Option<usize>>,
    /// Classes that match a label in another spelling, with the label.
    pub respelled: Vec<(String, String)>,
    /// Classes that the network does not know.
    pub unknown: Vec<String>,
}

/// Matches each class of the data to a label by name or, as in ImageNet's folders, by id. Otherwise takes the label
/// whose name differs only in upper and lower case, Unicode form, spaces, `_` and `-`, if there is exactly one.
///
/// # Errors
///
/// [`EvaluateError::NoLabels`], or [`EvaluateError::Classes`] with the classes of both: the network knows none of the
/// classes, or it lacks some and `skip_unknown` is false.
pub fn match_classes(
    data: &[String],
    labels: &[Label],
    outputs: usize,
    skip_unknown: bool,
) -> Result<MatchedClasses, EvaluateError> {
    if labels.is_empty() {
        return Err(EvaluateError::NoLabels {
            outputs,
            data: data.to_vec(),
        });
    }
    let mut matched = MatchedClasses {
        outputs: Vec::with_capacity(data.len()),
        respelled: Vec::new(),
        unknown: Vec::new(),
    };
    for class in data {
        let is = |label: &Label| label.name == *class || label.id.as_ref() == Some(class);
        let output = labels.iter().position(is).or_else(|| {
            let output = only_alike(class, labels)?;
            matched.respelled.push((class.clone(), labels[output].name.clone()));
            Some(output)
        });
        if output.is_none() {
            matched.unknown.push(class.clone());
        }
        matched.outputs.push(output);
    }
    if matched.unknown.is_empty() || (skip_unknown && matched.unknown.len() < data.len()) {
        return Ok(matched);
    }
    Err(EvaluateError::Classes {
        all: matched.unknown.len() == data.len(),
        unknown: matched.unknown,
        known: labels.iter().map(|label| label.name.clone()).collect(),
    })
}

/// The only label whose name differs in spelling alone.
fn only_alike(class: &str, labels: &[Label]) -> Option<usize> {
    let wanted = words(class);
    let mut alike = (0..labels.len()).filter(|&output| words(&labels[output].name) == wanted);
    alike.next().filter(|_| alike.next().is_none())
}

fn words(name: &str) -> String {
    spelling(&name.replace(['_', '-'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn classes_are_found_by_name_or_id() {
        let labels = [
            Label {
                id: Some("n01440764".to_owned()),
                name: "tench".to_owned(),
            },
            Label::new("cup"),
        ];
        let found = match_classes(&names(&["cup", "n01440764", "tench"]), &labels, 2, false).unwrap();
        assert_eq!(found.outputs, [Some(1), Some(0), Some(0)]);
        let error = match_classes(&names(&["cup", "mug", "jar"]), &labels, 2, false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the data has classes that the network does not know: `mug`, `jar`; the network knows `tench`, `cup`; \
             --skip-unknown leaves their pictures out"
        );
        let error = match_classes(&names(&["mug"]), &labels, 2, true)
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("the network knows `tench`, `cup`"), "{error}");
        let error = match_classes(&names(&["cup"]), &[], 7, true).unwrap_err().to_string();
        assert!(error.starts_with("the weights don't name their 7 classes"), "{error}");
    }

    #[test]
    fn spellings_that_only_one_label_has_are_found() {
        let labels = ["golden retriever", "Cup", "crane", "Crane", "caf\u{e9}"].map(Label::new);
        let data = names(&["Golden_Retriever", "cup", "Crane", "CRANE", "cafe\u{301}"]);
        let found = match_classes(&data, &labels, 5, true).unwrap();
        assert_eq!(found.outputs, [Some(0), Some(1), Some(3), None, Some(4)]);
        assert_eq!(found.unknown, ["CRANE"], "two labels may be meant");
        let respelled = [
            ("Golden_Retriever", "golden retriever"),
            ("cup", "Cup"),
            ("cafe\u{301}", "caf\u{e9}"),
        ];
        assert_eq!(found.respelled, respelled.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
