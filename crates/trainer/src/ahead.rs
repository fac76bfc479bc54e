//! Work done by several threads ahead of the one that waits for its results.

use std::panic::{self, AssertUnwindSafe};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

/// An item on its way to whoever waits for its result.
type Parcel<'a, T, R> = (&'a T, Receiver<Option<R>>);
/// An item on its way to a worker.
type Order<'a, T, R> = (&'a T, Sender<Option<R>>);

/// Runs `work` on all items, by `threads` threads, beside `consume`, which gets the results in the order of the items; `None`
/// where `work` panicked.
///
/// Memory is bounded whatever the number of items: at most `ahead` results wait. When `consume` returns early, what is left
/// is not begun.
pub fn in_order<T: Sync, R: Send, O>(
    items: &[T],
    threads: usize,
    ahead: usize,
    work: impl Fn(&T) -> R + Sync,
    consume: impl FnOnce(&mut dyn Iterator<Item = (&T, Option<R>)>) -> O,
) -> O {
    let work = &work;
    thread::scope(|scope| {
        // What is in `parcels` has been handed to a worker, so its bound bounds the results that wait.
        let (parcels, arriving) = bounded::<Parcel<'_, T, R>>(ahead);
        let (orders, to_do) = bounded::<Order<'_, T, R>>(0);
        scope.spawn(move || {
            for item in items {
                let (result, arrives) = bounded(1);
                // `consume` stops early when nobody wants its results any more.
                if parcels.send((item, arrives)).is_err() || orders.send((item, result)).is_err() {
                    return;
                }
            }
        });
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            let to_do = to_do.clone();
            scope.spawn(move || {
                for (item, result) in to_do {
                    // An error: the result's receiver left with `consume`.
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
            // Later items are done sooner.
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
    fn the_next_is_begun_while_a_result_is_looked_at() {
        let items: Vec<u64> = (0..6).collect();
        let (tell, begun) = bounded(items.len());
        let work = |item: &u64| tell.send(*item).unwrap();
        in_order(&items, 1, 1, work, |results| {
            let mut next = 0;
            for (item, _) in results {
                // Who begins an item only when its result is asked for waits for us here, and we for them.
                while next <= (*item + 1).min(5) {
                    assert_eq!(begun.recv_timeout(Duration::from_secs(30)), Ok(next));
                    next += 1;
                }
            }
        });
    }

    #[test]
    fn who_stops_early_is_not_waited_for_and_little_is_done_ahead() {
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
