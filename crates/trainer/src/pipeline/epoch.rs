//! The batches of one epoch, made ahead of time.

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

use super::{Batch, Pipeline, Plan};
use crate::data::DataError;

/// Batches kept ready. One more is being made, and one is in the caller's hands.
const AHEAD: usize = 2;

/// An iterator over batches, in their order. After an error it ends.
pub struct Epoch {
    /// `None` when no more is to come.
    batches: Option<Receiver<Result<Batch, DataError>>>,
    left: usize,
    stop: Arc<AtomicBool>,
    maker: Option<JoinHandle<()>>,
    waited: Duration,
    waited_in_all: Arc<AtomicU64>,
}

impl Epoch {
    pub(super) fn start(pipeline: &Pipeline, epoch: usize, skip: usize) -> Self {
        let (sender, receiver) = bounded(AHEAD);
        let stop = Arc::new(AtomicBool::new(false));
        let maker = {
            let (plan, pool) = (Arc::clone(&pipeline.plan), Arc::clone(&pipeline.pool));
            let stop = Arc::clone(&stop);
            let make = move || make(&plan, &pool, epoch, skip, &stop, &sender);
            thread::Builder::new().name("batches".to_owned()).spawn(make)
        };
        Self {
            batches: Some(receiver),
            left: pipeline.batches().saturating_sub(skip),
            stop,
            // If the thread cannot start, the sender is gone with it, and the first batch is an error.
            maker: maker.ok(),
            waited: Duration::ZERO,
            waited_in_all: Arc::clone(&pipeline.waited),
        }
    }

    /// How long [`next`](Iterator::next) waited for batches so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    fn finish(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Before joining: the thread may be waiting for room in the channel.
        self.batches = None;
        if let Some(maker) = self.maker.take() {
            // A panic there was told as an error already.
            let _ = maker.join();
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
                problem: "the thread for it could not start, or broke down".to_owned(),
            })
        });
        let waited = start.elapsed();
        self.waited += waited;
        self.waited_in_all
            .fetch_add(waited.as_nanos() as u64, Ordering::Relaxed);
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

/// Runs in a thread of its own until all batches are made, one fails, or nobody wants them.
fn make(
    plan: &Plan,
    pool: &ThreadPool,
    epoch: usize,
    skip: usize,
    stop: &AtomicBool,
    sender: &Sender<Result<Batch, DataError>>,
) {
    let order = plan.order(epoch);
    for (batch, indices) in order.chunks(plan.options.batch_size).enumerate().skip(skip) {
        let Some(made) = pool.install(|| plan.batch(epoch, batch, indices, stop)) else {
            return;
        };
        let failed = made.is_err();
        if sender.send(made).is_err() || failed {
            return;
        }
    }
}
