//! Threads that share a list of stages. Here a *stage* is a set of jobs that must be done before the next set begins,
//! not a named output of a network.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Reads of a counter before a waiting thread yields the processor.
const SPINS: usize = 2_000;

/// Jobs that threads do in any order. The next stage begins when all of them are done.
pub(crate) struct Stage {
    jobs: usize,
    next: AtomicUsize,
    done: AtomicUsize,
}

impl Stage {
    pub(crate) fn new(jobs: usize) -> Self {
        Self {
            jobs,
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        }
    }
}

/// Does `work(worker, stage, job)` for every job of every stage, with `threads` threads of the current rayon pool.
///
/// One thread begins, and the others join when they are free. A thread that waits at the end of a stage waits only for
/// jobs that another thread has begun, so the pool may be busy. Workers are numbered from 0 and are at most `threads`.
/// `finished(stage)` is called once per stage, by the thread that did its last job.
pub(crate) fn work_through(
    threads: usize,
    stages: &[Stage],
    work: &(impl Fn(usize, usize, usize) + Sync),
    finished: &(impl Fn(usize) + Sync),
) {
    let most = stages.iter().map(|stage| stage.jobs).max().unwrap_or(0);
    let helpers = threads.min(most).saturating_sub(1);
    let workers = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let join = || {
        let alarm = Alarm(&failed);
        let worker = workers.fetch_add(1, Ordering::Relaxed);
        for (index, stage) in stages.iter().enumerate() {
            loop {
                let job = stage.next.fetch_add(1, Ordering::Relaxed);
                if job >= stage.jobs {
                    break;
                }
                work(worker, index, job);
                // Release: a thread that reads the count in `wait` sees everything that this job wrote.
                if stage.done.fetch_add(1, Ordering::Release) + 1 == stage.jobs {
                    finished(index);
                }
            }
            if !wait(stage, &failed) {
                break;
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

/// Waits until a stage is done; `false` if a job has panicked.
fn wait(stage: &Stage, failed: &AtomicBool) -> bool {
    let mut spins = 0;
    while stage.done.load(Ordering::Acquire) < stage.jobs {
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

/// Stops the other threads when a job panics; rayon then passes the panic on.
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
                    threads,
                    &stages,
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
    fn a_panic_is_passed_on_and_nobody_waits_for_ever() {
        let stages = [4, 4].map(Stage::new);
        let outcome = std::panic::catch_unwind(|| {
            pool(3).install(|| work_through(3, &stages, &|_, _, job| assert_ne!(job, 2), &|_| ()));
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
                            3,
                            &stages,
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
