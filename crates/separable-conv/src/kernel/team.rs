//! Threads that go through a list of stages together.

use std::hint;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

/// Looks at a counter before the processor is offered to others.
const SPINS: usize = 2_000;

/// Jobs that may be done in any order.
pub(crate) struct Stage {
    jobs: usize,
    next: AtomicUsize,
    done: AtomicUsize,
    /// One bit for each of the first 64 jobs that is done.
    which: AtomicU64,
}

/// What of the stage before must be done before a job begins.
pub(crate) enum Needs {
    /// Everything.
    All,
    /// These jobs, none beyond [`Stage::TOLD_APART`].
    Jobs(Range<usize>),
}

impl Stage {
    /// Jobs that may be waited for one by one.
    pub(crate) const TOLD_APART: usize = u64::BITS as usize;

    pub(crate) fn new(jobs: usize) -> Self {
        Self {
            jobs,
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            which: AtomicU64::new(0),
        }
    }

    /// A job for whoever asks.
    fn take(&self) -> Option<usize> {
        let job = self.next.fetch_add(1, Ordering::Relaxed);
        (job < self.jobs).then_some(job)
    }

    /// Notes that a job is done; whether it was the last. What it wrote is seen by whoever finds the note in `wait`.
    fn finish(&self, job: usize) -> bool {
        if job < Self::TOLD_APART {
            self.which.fetch_or(1 << job, Ordering::Release);
        }
        self.done.fetch_add(1, Ordering::Release) + 1 == self.jobs
    }

    fn has(&self, needs: &Needs) -> bool {
        match needs {
            Needs::All => self.done.load(Ordering::Acquire) == self.jobs,
            Needs::Jobs(jobs) => {
                let which = self.which.load(Ordering::Acquire);
                jobs.clone().all(|job| which >> job & 1 == 1)
            }
        }
    }

    /// Waits for jobs that others are doing; `false` if they never will be done.
    fn wait(&self, needs: &Needs, failed: &AtomicBool) -> bool {
        let mut spins = 0;
        while !self.has(needs) {
            if failed.load(Ordering::Relaxed) {
                return false;
            }
            spins += 1;
            if spins % SPINS == 0 {
                thread::yield_now();
            } else {
                hint::spin_loop();
            }
        }
        true
    }
}

/// Does `work(worker, stage, job)` for every job of every stage, with all threads of the current rayon pool; a job begins
/// when what it `needs(stage, job)` of the stage before is done.
///
/// One thread begins and the others join when they are free: whoever waits waits only for jobs that somebody is doing, so
/// the pool may be as busy as it likes. Workers are numbered from 0 and are as many as the pool has threads at most.
/// `finished(stage)` is called once a stage, by whoever did the last of its jobs.
pub(crate) fn work_through(
    stages: &[Stage],
    needs: &(impl Fn(usize, usize) -> Needs + Sync),
    work: &(impl Fn(usize, usize, usize) + Sync),
    finished: &(impl Fn(usize) + Sync),
) {
    let most = stages.iter().map(|stage| stage.jobs).max().unwrap_or(0);
    let helpers = rayon::current_num_threads().min(most).saturating_sub(1);
    let workers = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let join = || {
        let alarm = Alarm(&failed);
        let worker = workers.fetch_add(1, Ordering::Relaxed);
        let mut before: Option<&Stage> = None;
        'stages: for (index, stage) in stages.iter().enumerate() {
            while let Some(job) = stage.take() {
                if before.is_some_and(|before| !before.wait(&needs(index, job), &failed)) {
                    break 'stages;
                }
                work(worker, index, job);
                if stage.finish(job) {
                    finished(index);
                }
            }
            // A stage without jobs is done before the one before it.
            if stage.jobs > 0 {
                before = Some(stage);
            }
        }
        alarm.disarm();
    };
    rayon::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|_| join());
        }
        join();
    });
}

/// Sends the others home when a job panics; rayon then passes the panic on.
struct Alarm<'a>(&'a AtomicBool);

impl Alarm<'_> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn every_job_is_done_once_and_no_stage_begins_before_the_last_is_done() {
        for threads in [1, 2, 5] {
            let jobs = [3, 1, 0, 17, 2];
            let stages = jobs.map(Stage::new);
            let log = Mutex::new(Vec::new());
            let finished = Mutex::new(Vec::new());
            pool(threads).install(|| {
                work_through(
                    &stages,
                    &|_, _| Needs::All,
                    &|worker, stage, job| {
                        assert!(worker < threads);
                        log.lock().unwrap().push((stage, job));
                    },
                    &|stage| finished.lock().unwrap().push(stage),
                );
            });
            let log = log.into_inner().unwrap();
            assert!(log.is_sorted_by_key(|(stage, _)| *stage), "{log:?}");
            let mut sorted = log.clone();
            sorted.sort_unstable();
            let all: Vec<_> = jobs
                .iter()
                .enumerate()
                .flat_map(|(stage, &jobs)| (0..jobs).map(move |job| (stage, job)))
                .collect();
            assert_eq!(sorted, all);
            assert_eq!(finished.into_inner().unwrap(), [0, 1, 3, 4]);
        }
    }

    #[test]
    fn a_job_that_needs_its_neighbours_waits_for_them_and_for_no_more() {
        let jobs = 7;
        let neighbours = |job: usize| job.saturating_sub(1)..(job + 2).min(jobs);
        for threads in [1, 2, 5] {
            let stages = [jobs; 6].map(Stage::new);
            let done: [[AtomicBool; 7]; 6] = Default::default();
            pool(threads).install(|| {
                work_through(
                    &stages,
                    &|_, job| Needs::Jobs(neighbours(job)),
                    &|_, stage, job| {
                        if let Some(before) = stage.checked_sub(1) {
                            for needed in neighbours(job) {
                                assert!(done[before][needed].load(Ordering::Relaxed), "{stage}, {job}");
                            }
                        }
                        // The one that holds the others up does not: the first jobs of the next stage don't need it.
                        if (stage, job) == (0, jobs - 1) && threads > 1 {
                            while !done[1][0].load(Ordering::Relaxed) {
                                thread::yield_now();
                            }
                        }
                        done[stage][job].store(true, Ordering::Relaxed);
                    },
                    &|_| (),
                );
            });
            assert!(done.as_flattened().iter().all(|done| done.load(Ordering::Relaxed)));
        }
    }

    #[test]
    fn a_panic_is_passed_on_and_nobody_waits_for_ever() {
        let stages = [4, 4].map(Stage::new);
        let outcome = std::panic::catch_unwind(|| {
            pool(3).install(|| work_through(&stages, &|_, _| Needs::All, &|_, _, job| assert_ne!(job, 2), &|_| ()));
        });
        assert!(outcome.is_err());
    }

    #[test]
    fn many_callers_share_one_pool() {
        let pool = pool(3);
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let stages = [5, 7, 2].map(Stage::new);
                    pool.install(|| {
                        work_through(
                            &stages,
                            &|_, _| Needs::All,
                            &|_, _, _| {
                                count.fetch_add(1, Ordering::Relaxed);
                            },
                            &|_| (),
                        );
                    });
                });
            }
        });
        assert_eq!(count.into_inner(), 8 * 14);
    }
}
