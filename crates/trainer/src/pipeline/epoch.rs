//! The batches of one epoch, prepared ahead of the network.

use std::{
    iter::FusedIterator,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::ThreadPool;

use super::{batch::Batch, batch_maker::BatchMaker};
use crate::data::DataError;

/// The number of batches that wait. One more is in the making, and the caller holds another.
const WAITING: usize = 2;

/// An iterator over batches, in their order. The iterator ends after an error.
pub struct Epoch {
    /// `None` after the last batch.
    batches: Option<Receiver<Result<Batch, DataError>>>,
    left: usize,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    waited: Duration,
    waited_total: Arc<AtomicU64>,
}

impl Epoch {
    /// Starts to make the batches of epoch number `epoch`, without the first `skip`.
    pub(super) fn start(
        maker: &Arc<BatchMaker>,
        pool: &Arc<ThreadPool>,
        waited_total: &Arc<AtomicU64>,
        [epoch, skip]: [usize; 2],
    ) -> Self {
        let (sender, receiver) = bounded(WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (maker, pool) = (Arc::clone(maker), Arc::clone(pool));
            let stop = Arc::clone(&stop);
            let make = move || make_all(&maker, &pool, [epoch, skip], &stop, &sender);
            thread::Builder::new().name("batches".to_owned()).spawn(make)
        };
        Self {
            batches: Some(receiver),
            left: maker.batches().saturating_sub(skip),
            stop,
            // If the thread cannot start, the sender is dropped, and the first batch is an error.
            thread: thread.ok(),
            waited: Duration::ZERO,
            waited_total: Arc::clone(waited_total),
        }
    }

    /// The time that [`next`](Iterator::next) has waited for batches so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Stops the thread.
    fn finish(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Set before joining: the thread may be waiting for room in the channel.
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already returned as an error.
            let _ = thread.join();
        }
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batches = self.batches.as_ref()?;
        if self.left == 0 {
            self.finish();
            return None;
        }
        let start = Instant::now();
        let batch = batches.recv().unwrap_or_else(|_| {
            Err(DataError::Setup {
                what: "preparing pictures".to_owned(),
                problem: "the thread for it could not start, or panicked".to_owned(),
            })
        });
        let waited = start.elapsed();
        self.waited += waited;
        self.waited_total.fetch_add(waited.as_nanos() as u64, Ordering::Relaxed);
        self.left -= 1;
        if batch.is_err() {
            self.finish();
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error ends the epoch early.
        (0, self.batches.as_ref().map_or(Some(0), |_| Some(self.left)))
    }
}

impl FusedIterator for Epoch {}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Makes batches until all are made, one fails, or the epoch is dropped.
fn make_all(
    maker: &BatchMaker,
    pool: &ThreadPool,
    [epoch, skip]: [usize; 2],
    stop: &AtomicBool,
    sender: &Sender<Result<Batch, DataError>>,
) {
    let order = maker.order(epoch);
    for (batch, indices) in order.chunks(maker.options.batch_size).enumerate().skip(skip) {
        let Some(made) = pool.install(|| maker.batch(epoch, batch, indices, stop)) else {
            return;
        };
        let failed = made.is_err();
        if sender.send(made).is_err() || failed {
            return;
        }
    }
}
