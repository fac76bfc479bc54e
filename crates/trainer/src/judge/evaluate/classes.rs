use xception_model::labels::Label;

use super::error::EvaluateError;

/// The number that the network gives each class of the data. Classes are found by the name of a label or, as in
/// ImageNet's folders, by its id.
///
/// # Errors
///
/// [`EvaluateError::NoLabels`], or [`EvaluateError::Classes`] with the classes of both.
pub fn match_classes(data: &[String], labels: &[Label], outputs: usize) -> Result<Vec<usize>, EvaluateError> {
    if labels.is_empty() {
        return Err(EvaluateError::NoLabels(outputs));
    }
    let find = |class: &String| {
        let is = |label: &Label| label.name == *class || label.id.as_ref() == Some(class);
        labels.iter().position(is).ok_or_else(|| class.clone())
    };
    let (found, unknown): (Vec<_>, Vec<_>) = data.iter().map(find).partition(Result::is_ok);
    if unknown.is_empty() {
        return Ok(found.into_iter().flatten().collect());
    }
    Err(EvaluateError::Classes {
        unknown: unknown.into_iter().filter_map(Result::err).collect(),
        known: labels.iter().map(|label| label.name.clone()).collect(),
    })
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
        let found = match_classes(&names(&["cup", "n01440764", "tench"]), &labels, 2).unwrap();
        assert_eq!(found, [1, 0, 0]);
        let error = match_classes(&names(&["cup", "mug", "jar"]), &labels, 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the data has classes that the network does not know: `mug`, `jar`; the network knows `tench`, `cup`"
        );
        let error = match_classes(&names(&["cup"]), &[], 7).unwrap_err().to_string();
        assert!(error.starts_with("the weights don't name their 7 classes"), "{error}");
    }
}
