//! Threads that share a list of rounds. A *round* is a set of jobs. All of them end before the next round begins.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Reads of a counter before a waiting thread yields the processor.
const SPINS: usize = 2_000;

/// Jobs that threads do in any order. The next round begins when all of them are done.
pub(crate) struct Round {
    jobs: usize,
    next: AtomicUsize,
    done: AtomicUsize,
}

impl Round {
    pub(crate) fn new(jobs: usize) -> Self {
        Self {
            jobs,
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        }
    }
}

/// Does `work(worker, round, job)` for every job of every round, with `threads` threads of the current rayon pool.
///
/// One thread begins, and the others join when they are free. A thread that waits at the end of a round waits only for
/// jobs that another thread has begun, so the pool may be busy. Workers are numbered from 0 and are at most `threads`.
/// `finished(round)` is called once per round, by the thread that did its last job.
pub(crate) fn work_through(
    threads: usize,
    rounds: &[Round],
    work: &(impl Fn(usize, usize, usize) + Sync),
    finished: &(impl Fn(usize) + Sync),
) {
    let most = rounds.iter().map(|round| round.jobs).max().unwrap_or(0);
    let helpers = threads.min(most).saturating_sub(1);
    let workers = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let join = || {
        let alarm = Alarm(&failed);
        let worker = workers.fetch_add(1, Ordering::Relaxed);
        for (index, round) in rounds.iter().enumerate() {
            loop {
                let job = round.next.fetch_add(1, Ordering::Relaxed);
                if job >= round.jobs {
                    break;
                }
                work(worker, index, job);
                // Release: a thread that reads the count in `wait` sees everything that this job wrote.
                if round.done.fetch_add(1, Ordering::Release) + 1 == round.jobs {
                    finished(index);
                }
            }
            if !wait(round, &failed) {
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

/// Waits until a round is done; `false` if a job has panicked.
fn wait(round: &Round, failed: &AtomicBool) -> bool {
    let mut spins = 0;
    while round.done.load(Ordering::Acquire) < round.jobs {
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
    fn every_job_is_done_once_and_no_round_begins_before_the_last_is_done() {
        for threads in [1, 2, 5] {
            let jobs = [3, 1, 0, 17, 2];
            let rounds = jobs.map(Round::new);
            let log = Mutex::new(Vec::new());
            let finished = Mutex::new(Vec::new());
            pool(threads).install(|| {
                work_through(
                    threads,
                    &rounds,
                    &|worker, round, job| {
                        assert!(worker < threads);
                        log.lock().unwrap().push((round, job));
                    },
                    &|round| finished.lock().unwrap().push(round),
                );
            });
            let log = log.into_inner().unwrap();
            assert!(log.is_sorted_by_key(|(round, _)| *round), "{log:?}");
            let mut sorted = log.clone();
            sorted.sort_unstable();
            let all: Vec<_> = jobs
                .iter()
                .enumerate()
                .flat_map(|(round, &jobs)| (0..jobs).map(move |job| (round, job)))
                .collect();
            assert_eq!(sorted, all);
            assert_eq!(finished.into_inner().unwrap(), [0, 1, 3, 4]);
        }
    }

    #[test]
    fn a_panic_is_passed_on_and_nobody_waits_for_ever() {
        let rounds = [4, 4].map(Round::new);
        let outcome = std::panic::catch_unwind(|| {
            pool(3).install(|| work_through(3, &rounds, &|_, _, job| assert_ne!(job, 2), &|_| ()));
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
                    let rounds = [5, 7, 2].map(Round::new);
                    pool.install(|| {
                        work_through(
                            3,
                            &rounds,
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
