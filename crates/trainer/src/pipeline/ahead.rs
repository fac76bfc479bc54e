//! Work that several threads do ahead of the thread that needs the results.

use std::panic::{self, AssertUnwindSafe};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

/// An item, and the receiver of its result.
type Pending<'a, T, R> = (&'a T, Receiver<Option<R>>);
/// An item for a worker, and the sender of its result.
type Job<'a, T, R> = (&'a T, Sender<Option<R>>);

/// Runs `work` on all items with `threads` threads, and runs `consume` at the same time on the calling thread.
/// `consume` receives the results in the order of the items. A result is `None` if `work` panicked.
///
/// Memory is bounded for any number of items: at most `ahead` results wait. When `consume` returns early, the remaining
/// items are not started.
pub fn in_order<'a, T: Sync, R: Send, O>(
    items: &'a [T],
    threads: usize,
    ahead: usize,
    work: impl Fn(&T) -> R + Sync,
    consume: impl FnOnce(&mut dyn Iterator<Item = (&'a T, Option<R>)>) -> O,
) -> O {
    let work = &work;
    thread::scope(|scope| {
        // A worker already has every item of `pending`, so the capacity of `pending` limits the results that wait.
        let (pending, arriving) = bounded::<Pending<'_, T, R>>(ahead);
        let (jobs, to_do) = bounded::<Job<'_, T, R>>(0);
        scope.spawn(move || {
            for item in items {
                let (result, arrives) = bounded(1);
                // Sending fails once `consume` has returned.
                if pending.send((item, arrives)).is_err() || jobs.send((item, result)).is_err() {
                    return;
                }
            }
        });
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            let to_do = to_do.clone();
            scope.spawn(move || {
                for (item, result) in to_do {
                    // Sending fails once `consume` has returned and dropped the receiver.
                    let _ = result.send(panic::catch_unwind(AssertUnwindSafe(|| work(item))).ok());
                }
            });
        }
        drop(to_do);
        consume(
            &mut arriving
                .into_iter()
                .map(|(item, arrives)| (item, arrives.recv().ok().flatten())),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_keep_the_order_and_a_panic_costs_one() {
        let items: Vec<u64> = (0..40).collect();
        let work = |item: &u64| {
            // Later items finish sooner.
            thread::sleep(Duration::from_millis((40 - item) / 8));
            assert_ne!(*item, 7, "this panic is part of the test");
            item * 10
        };
        let results = in_order(&items, 4, 8, work, |results| {
            results.map(|(item, result)| (*item, result)).collect::<Vec<_>>()
        });
        let expected: Vec<_> = items
            .iter()
            .map(|&item| (item, (item != 7).then_some(item * 10)))
            .collect();
        assert_eq!(results, expected);
        assert_eq!(in_order(&[] as &[u64], 4, 8, work, |results| results.count()), 0);
    }

    #[test]
    fn the_next_item_starts_while_a_result_is_consumed() {
        let items: Vec<u64> = (0..6).collect();
        let (tell, begun) = bounded(items.len());
        let work = |item: &u64| tell.send(*item).unwrap();
        in_order(&items, 1, 1, work, |results| {
            let mut next = 0;
            for (item, _) in results {
                // A worker that starts an item only when its result is requested would deadlock here.
                while next <= (*item + 1).min(5) {
                    assert_eq!(begun.recv_timeout(Duration::from_secs(30)), Ok(next));
                    next += 1;
                }
            }
        });
    }

    #[test]
    fn stopping_early_starts_few_further_items() {
        let items: Vec<u64> = (0..1000).collect();
        let begun = AtomicUsize::new(0);
        let work = |item: &u64| {
            begun.fetch_add(1, Ordering::Relaxed);
            *item
        };
        let first = in_order(&items, 2, 4, work, |results| {
            let first = results.next().map(|(_, result)| result);
            thread::sleep(Duration::from_millis(50));
            first
        });
        assert_eq!(first, Some(Some(0)));
        let begun = begun.load(Ordering::Relaxed);
        assert!(begun <= 1 + 4 + 2 + 2, "{begun}");
    }
}
