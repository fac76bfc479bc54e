//! The pictures that are judged, and their classes.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use trainer::evaluate::{Labelled, match_classes};
use xception_model::{Classifier, Outputs};

use crate::args::EvaluateArgs;
use crate::commands::evaluate::dataset::{self, Opened, TrainedRun};
use crate::commands::evaluate::imagenet;
use crate::io::message;

/// The pictures to judge.
pub struct LabelledPictures {
    pub pictures: Vec<Labelled>,
    /// For people: `the test pictures of flowers`.
    pub description: String,
    /// The number of files that cannot be read, already reported.
    pub unreadable: usize,
    /// How many of the pictures the network was trained on, as far as that is known.
    pub trained_on: usize,
}

impl LabelledPictures {
    /// Finds the pictures of DATA and matches their classes to the network's. `run` trained the weights; `tells`:
    /// whether the faults of the data are reported.
    pub fn find(
        args: &EvaluateArgs,
        run: Option<&TrainedRun>,
        classifier: &Classifier,
        threads: usize,
        tells: bool,
    ) -> anyhow::Result<Self> {
        let mut found = if let Some(labels) = &args.imagenet_labels {
            Self {
                pictures: imagenet::validation(&args.data, labels, &classifier.spec.labels)?,
                description: format!("the pictures of {}", args.data.display()),
                unreadable: 0,
                trained_on: 0,
            }
        } else {
            Self::of_dataset(
                args,
                run,
                &dataset::open(args, run, classifier, threads, tells)?,
                classifier,
            )?
        };
        if let Some(path) = &args.blacklist {
            found.leave_out(path)?;
        }
        if found.pictures.is_empty() {
            bail!("{}: there are no pictures to judge", args.data.display());
        }
        Ok(found)
    }

    /// The pictures of a data set with the network's numbers of their classes.
    fn of_dataset(
        args: &EvaluateArgs,
        run: Option<&TrainedRun>,
        opened: &Opened,
        classifier: &Classifier,
    ) -> anyhow::Result<Self> {
        let (dataset, spec, data) = (&opened.dataset, &classifier.spec, args.data.display());
        if dataset.multi_label && !spec.is_multi_label() {
            bail!(
                "{data} gives pictures several labels and {} gives each one class: they can't be compared",
                spec.source
            );
        }
        let is_one =
            matches!(spec.outputs, Outputs::Binary | Outputs::Probabilities) && spec.network.outputs() == Some(1);
        if spec.labels.is_empty() && is_one {
            bail!(
                "{data}: the weights have one output and don't name its two classes: give their names in a file \
                 (--labels), first the class of outputs near 0, then the class of outputs near 1; the data has {}",
                dataset.classes.join(", ")
            );
        }
        let matched = match_classes(
            &dataset.classes,
            &spec.labels,
            spec.classes().unwrap_or(0),
            args.skip_unknown,
        )
        .with_context(|| data.to_string())?;
        for (class, label) in &matched.respelled {
            message::print(
                "warning",
                &format!("the class {class} is taken for the network's {label}"),
            );
        }
        let mut pictures = Vec::with_capacity(opened.judged.len());
        let mut samples = Vec::with_capacity(opened.judged.len());
        for sample in opened.judged.iter().map(|&index| &dataset.samples[index]) {
            let classes = sample.labels.iter().map(|&label| matched.outputs[label]);
            if let Some(classes) = classes.collect() {
                samples.push(sample);
                pictures.push(Labelled {
                    path: sample.path.clone(),
                    classes,
                });
            }
        }
        if !matched.unknown.is_empty() {
            message::print(
                "warning",
                &format!(
                    "{} pictures of classes that the network does not know are left out: {}",
                    opened.judged.len() - pictures.len(),
                    matched.unknown.join(", ")
                ),
            );
        }
        let trained_on = run.map_or(0, |run| run.count_trained_on(samples.into_iter()));
        dataset::warn_of_trained_on(args, pictures.len(), trained_on);
        Ok(Self {
            pictures,
            description: match opened.split {
                None => format!("all pictures of {data}"),
                Some(split) => format!("the {split} pictures of {data}"),
            },
            unreadable: opened.unreadable,
            trained_on,
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
