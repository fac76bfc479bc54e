use super::progress::Progress;

/// The position in a run at which a checkpoint was written. A phase starts at the step at which the phase before it
/// ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    step: u64,
    phase: usize,
}

impl Position {
    pub fn of(progress: &Progress) -> Self {
        Self {
            step: progress.step,
            phase: progress.phase,
        }
    }

    /// The name of the checkpoint's folder: `step-0000000123-phase-1`.
    pub fn name(self) -> String {
        format!("step-{:010}-phase-{}", self.step, self.phase)
    }

    /// Parses a name that [`name`](Self::name) returned.
    pub fn parse(name: &str) -> Option<Self> {
        let (step, phase) = name.strip_prefix("step-")?.split_once("-phase-")?;
        let position = Self {
            step: step.parse().ok()?,
            phase: phase.parse().ok()?,
        };
        (position.name() == name).then_some(position)
    }
}
