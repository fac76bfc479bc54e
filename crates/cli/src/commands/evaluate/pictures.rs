//! The pictures that are judged, and their classes.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use trainer::data::{Dataset, Split};
use trainer::evaluate::{Labelled, match_classes};
use xception_model::Classifier;

use crate::args::EvaluateArgs;
use crate::commands::evaluate::{dataset, imagenet};

/// The pictures to judge.
pub struct LabelledPictures {
    pub pictures: Vec<Labelled>,
    /// For people: `the test pictures of flowers`.
    pub description: String,
    /// The number of files that cannot be read, already reported.
    pub unreadable: usize,
}

impl LabelledPictures {
    /// Finds the pictures of DATA and matches their classes to the network's. `weights` is the weight file, if there is
    /// one.
    pub fn find(
        args: &EvaluateArgs,
        weights: Option<&Path>,
        classifier: &Classifier,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let mut found = if let Some(labels) = &args.imagenet_labels {
            Self {
                pictures: imagenet::validation(&args.data, labels, &classifier.spec.labels)?,
                description: format!("the pictures of {}", args.data.display()),
                unreadable: 0,
            }
        } else {
            let (dataset, unreadable) = dataset::open(args, weights, classifier, threads)?;
            Self::of_dataset(args, &dataset, classifier, unreadable)?
        };
        if let Some(path) = &args.blacklist {
            found.leave_out(path)?;
        }
        if found.pictures.is_empty() {
            bail!("{}: there are no pictures to judge", args.data.display());
        }
        Ok(found)
    }

    /// The part of a data set that is judged: that of `--split`, else the test part, else all.
    fn of_dataset(
        args: &EvaluateArgs,
        dataset: &Dataset,
        classifier: &Classifier,
        unreadable: usize,
    ) -> anyhow::Result<Self> {
        let (spec, data) = (&classifier.spec, args.data.display());
        if dataset.multi_label && !spec.is_multi_label() {
            bail!(
                "{data} gives pictures several labels and {} gives each one class: they can't be compared",
                spec.source
            );
        }
        let classes = match_classes(&dataset.classes, &spec.labels, spec.classes().unwrap_or(0))
            .with_context(|| data.to_string())?;
        let has_test = dataset.count(Split::Test) > 0;
        let split = args.split.or(has_test.then_some(Split::Test));
        let pictures = dataset
            .samples
            .iter()
            .filter(|sample| split.is_none_or(|split| sample.split == split))
            .map(|sample| Labelled {
                path: sample.path.clone(),
                classes: sample
                    .labels
                    .iter()
                    .filter_map(|&label| classes.get(label).copied())
                    .collect(),
            })
            .collect();
        Ok(Self {
            pictures,
            description: match split {
                None => format!("all pictures of {data}"),
                Some(split) => format!("the {split} pictures of {data}"),
            },
            unreadable,
        })
    }

    /// Leaves out the pictures whose numbers a file lists.
    fn leave_out(&mut self, list: &Path) -> anyhow::Result<()> {
        let listed: HashSet<usize> = imagenet::blacklist(list)?.into_iter().collect();
        let before = self.pictures.len();
        self.pictures
            .retain(|picture| imagenet::number(&picture.path).is_none_or(|number| !listed.contains(&number)));
        let left_out = before - self.pictures.len();
        self.description = format!("{} without {left_out} that {} lists", self.description, list.display());
        Ok(())
    }
}
