//! The features of the frozen backbone, kept in the run's folder.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use xception_model::InferenceNetwork;

use super::Run;
use crate::data::Split;
use crate::train::error::TrainError;
use crate::train::event::{Activity, Event};
use crate::train::features::Features;
use crate::train::folder::FEATURES;
use crate::train::phase::{Context, End};
use crate::train::recipe::Trains;

impl Run {
    /// A split's features: the folder's features, completed and kept. Otherwise the reason why the run ends during the
    /// computation. The run has worked on the phase since `start`.
    pub(super) fn features(
        &self,
        split: Split,
        backbone: &InferenceNetwork,
        context: &Context,
        start: Instant,
    ) -> Result<ControlFlow<End, Features>, TrainError> {
        let total = self.dataset.count(split);
        let none = Features::none(backbone.network().embedding_len()?, self.dataset.classes.len());
        let Some(pipeline) = self.inference_pipeline(split)? else {
            return Ok(ControlFlow::Continue(none));
        };
        let folder = self.folder.join(FEATURES);
        fs::create_dir_all(&folder).map_err(TrainError::file(&folder))?;
        let kept = self
            .kept_features(split)
            .filter(|kept| (kept.width, kept.classes) == (none.width, none.classes));
        let known = kept.as_ref().map_or(0, Features::len);
        let device = context.devices[0].clone().inner();
        let mut saved = Instant::now();
        let mut end = None;
        let features = kept
            .unwrap_or(none)
            .complete(&pipeline, backbone, &device, |features| {
                let done = features.len();
                (self.settings.observer)(Event::Work {
                    activity: Activity::Features(split),
                    done,
                    total,
                });
                end = context.must_stop(self.progress.seconds + start.elapsed().as_secs_f64());
                if saved.elapsed() >= context.checkpoint_every {
                    self.keep_features(split, features, known);
                    saved = Instant::now();
                }
                end.is_none()
            })?;
        self.keep_features(split, &features, known);
        Ok(match end {
            Some(end) if features.len() < total => ControlFlow::Break(end),
            _ => ControlFlow::Continue(features),
        })
    }

    /// Writes features; the file already holds the first `known`. A failure is a warning, because the file only saves
    /// time.
    fn keep_features(&self, split: Split, features: &Features, known: usize) {
        if self.backbone_is_untouched()
            && features.len() > known
            && let Err(error) = features.save(&self.features_file(split), &self.features_key(split))
        {
            (self.settings.observer)(Event::Warning(error.to_string()));
        }
    }

    /// A split's features from the folder, possibly of the first pictures only; `None` if the backbone may have changed
    /// since.
    pub(super) fn kept_features(&self, split: Split) -> Option<Features> {
        if !self.backbone_is_untouched() {
            return None;
        }
        let path = self.features_file(split);
        match Features::load(&path, &self.features_key(split)) {
            Ok(kept) => kept.filter(|kept| kept.len() <= self.dataset.count(split)),
            Err(problem) => {
                let warning = format!("{}: {problem}; the features are computed again", path.display());
                (self.settings.observer)(Event::Warning(warning));
                None
            }
        }
    }

    /// Whether the phases up to the current one leave the backbone unchanged since the run's start.
    fn backbone_is_untouched(&self) -> bool {
        let mut phases = self.file.recipe.phases.iter().take(self.progress.phase + 1);
        phases.all(|phase| phase.trains == Trains::Head)
    }

    fn features_file(&self, split: Split) -> PathBuf {
        self.folder.join(FEATURES).join(format!("{}.bpk", split.name()))
    }

    /// Everything that the features of a split depend on.
    fn features_key(&self, split: Split) -> String {
        let file = &self.file;
        let eval = file.augmentation.eval;
        format!(
            "{} {split} pictures of {}, {} at {}, by {}",
            self.dataset.count(split),
            file.fingerprint,
            eval.preset,
            eval.size,
            file.weights_sha256
        )
    }
}
