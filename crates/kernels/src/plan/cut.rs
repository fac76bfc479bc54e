//! How a layer is cut into jobs that threads do in any order.

use core::ops::Range;

/// The machine that a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Threads that share a picture.
    pub threads: usize,
    /// Bytes of a core's second-level cache.
    pub second_level_cache: usize,
}

impl Machine {
    /// Bytes of pixels and outputs that a thread works on at a time. They stay in its second-level cache, next to two
    /// panels of weights.
    pub(crate) const fn working_set(self) -> usize {
        self.second_level_cache / 8 * 5
    }
}

/// Jobs per thread, so that a thread that is interrupted leaves jobs to the others.
pub(crate) const JOBS: usize = 3;

/// The work of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Pixels or rows.
    pub units: usize,
    /// The most units of a job.
    pub most: usize,
    /// The fewest units of a job, if jobs can be divided by outputs.
    pub fewest: usize,
    /// Jobs per thread.
    pub jobs: usize,
    /// Panels of outputs.
    pub panels: usize,
}

impl Work {
    /// `units` rows or the like, at least one for each job.
    pub(crate) const fn of(units: usize) -> Self {
        Self {
            units,
            most: usize::MAX,
            fewest: 1,
            jobs: JOBS,
            panels: 1,
        }
    }
}

/// The number of jobs of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Parts of the pixels or rows.
    pub parts: usize,
    /// Parts of the outputs.
    groups: usize,
}

impl Cut {
    /// Cuts units into parts, and panels into groups if there are fewer parts than threads.
    pub(crate) fn new(work: Work, threads: usize) -> Self {
        let Work {
            units,
            most,
            fewest,
            jobs,
            panels,
        } = work;
        let least = units.div_ceil(most.max(1)).max(1);
        // A single thread has no other to leave jobs to.
        let jobs = if threads == 1 { 1 } else { jobs };
        let wanted = (threads * jobs).min(units / fewest.max(1)).max(1);
        // A whole number per thread, so that no thread waits for another's last part.
        let parts = match least.max(wanted) {
            parts if parts >= threads => parts.next_multiple_of(threads).min(units.max(1)),
            parts => parts,
        };
        let groups = threads.div_ceil(parts).min(panels).max(1);
        Self { parts, groups }
    }

    /// Cuts rows into `wanted` parts of at least `fewest` rows.
    pub(crate) fn rows(rows: usize, wanted: usize, fewest: usize) -> Self {
        Self {
            parts: wanted.min(rows / fewest).max(1),
            groups: 1,
        }
    }

    /// Cuts panels only.
    pub(crate) fn panels(panels: usize, groups: usize) -> Self {
        Self {
            parts: 1,
            groups: groups.min(panels).max(1),
        }
    }

    pub(crate) fn jobs(self) -> usize {
        self.parts * self.groups
    }

    /// The units and the panels of a job.
    pub(crate) fn job(self, job: usize, units: usize, panels: usize) -> (Range<usize>, Range<usize>) {
        self.job_of(job, [units, panels], [1; 2])
    }

    /// The same where jobs have whole blocks of units and of panels.
    pub(crate) fn job_of(
        self,
        job: usize,
        [units, panels]: [usize; 2],
        blocks: [usize; 2],
    ) -> (Range<usize>, Range<usize>) {
        let (part, group) = (job / self.groups, job % self.groups);
        let share = |count: usize, index, parts, block: usize| {
            let Range { start, end } = share(count.div_ceil(block), index, parts);
            start * block..count.min(end * block)
        };
        (
            share(units, part, self.parts, blocks[0]),
            share(panels, group, self.groups, blocks[1]),
        )
    }
}

/// Part `index` of `parts` of `0..count`, all of nearly the same size.
pub(crate) fn share(count: usize, index: usize, parts: usize) -> Range<usize> {
    count * index / parts..count * (index + 1) / parts
}
