use std::io::{self, Write};
use std::path::PathBuf;

use super::predictions::{Predictions, likeliest};

/// A picture whose label may be wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// The name of the picture's split.
    pub part: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The picture's label.
    pub label: String,
    /// The probability of the label.
    pub label_probability: f32,
    /// The class that the network suggests.
    pub suggestion: String,
    /// The probability of the suggested class.
    pub suggestion_probability: f32,
}

/// The pictures with suspected labels, the surest contradiction first. With several labels per picture no label is
/// suspected.
///
/// A label is suspected if the network is at least as sure of another class as it is, on average, for the other class's
/// own pictures in the same split (confident learning: Northcutt, Jiang and Chuang 2021, equation 2).
pub fn suspects(parts: &[(&'static str, &Predictions)]) -> Vec<Suspect> {
    let mut found: Vec<Suspect> = parts
        .iter()
        .filter(|(_, predictions)| !predictions.multi_label)
        .flat_map(|(part, predictions)| in_part(part, predictions))
        .collect();
    let margin = |suspect: &Suspect| suspect.suggestion_probability - suspect.label_probability;
    found.sort_by(|a, b| margin(b).total_cmp(&margin(a)));
    found
}

fn in_part(part: &'static str, predictions: &Predictions) -> Vec<Suspect> {
    let sure = own_confidence(predictions);
    predictions
        .rows()
        .zip(&predictions.paths)
        .filter_map(|((truth, probabilities), path)| {
            let (label, suggestion) = (*truth.first()?, likeliest(probabilities)?);
            let enough = f64::from(probabilities[suggestion]) >= sure[suggestion]?;
            (label != suggestion && enough).then(|| Suspect {
                part,
                path: path.clone(),
                label: predictions.classes[label].clone(),
                label_probability: probabilities[label],
                suggestion: predictions.classes[suggestion].clone(),
                suggestion_probability: probabilities[suggestion],
            })
        })
        .collect()
}

/// The mean probability of a class over the class's own pictures; `None` without pictures.
fn own_confidence(predictions: &Predictions) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_usize); predictions.classes.len()];
    for (truth, probabilities) in predictions.rows() {
        if let Some(&class) = truth.first() {
            sums[class].0 += f64::from(probabilities[class]);
            sums[class].1 += 1;
        }
    }
    let mean = |(sum, count): (f64, usize)| (count > 0).then(|| sum / count as f64);
    sums.into_iter().map(mean).collect()
}

/// Writes one line per picture: `path,label,suggestion,label_probability,suggestion_probability,split`.
///
/// # Errors
///
/// The error of the writer.
pub fn write_suspects(output: impl Write, suspects: &[Suspect]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(output);
    writer.write_record([
        "path",
        "label",
        "suggestion",
        "label_probability",
        "suggestion_probability",
        "split",
    ])?;
    for suspect in suspects {
        writer.write_record([
            &*suspect.path.to_string_lossy(),
            &suspect.label,
            &suspect.suggestion,
            &suspect.label_probability.to_string(),
            &suspect.suggestion_probability.to_string(),
            suspect.part,
        ])?;
    }
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_confidence_like_that_of_the_class_s_own_pictures_is_a_suspicion() {
        let predictions = Predictions {
            classes: ["cat", "dog"].map(str::to_owned).to_vec(),
            multi_label: false,
            paths: ["right", "unsure", "swapped", "other"].map(PathBuf::from).to_vec(),
            truths: vec![vec![0], vec![1], vec![1], vec![1]],
            // Pictures of cats have the probability 0.9 for their class.
            probabilities: vec![0.9, 0.1, 0.6, 0.4, 0.95, 0.05, 0.2, 0.8],
        };
        let found = suspects(&[("train", &predictions)]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (
                found[0].path.to_str(),
                found[0].label.as_str(),
                found[0].suggestion.as_str()
            ),
            (Some("swapped"), "dog", "cat")
        );
        let mut table = Vec::new();
        write_suspects(&mut table, &found).unwrap();
        let table = String::from_utf8(table).unwrap();
        assert!(table.ends_with("\nswapped,dog,cat,0.05,0.95,train\n"), "{table}");
        let several = Predictions {
            multi_label: true,
            ..predictions
        };
        assert!(suspects(&[("train", &several)]).is_empty());
    }
}
