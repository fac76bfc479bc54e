//! Measures a network.

use std::time::{Duration, Instant};

use anyhow::Context;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::{ThreadPool, ThreadPoolBuilder};
use xception_model::Classifier;

use crate::args::Size;
use crate::commands::bench::cases::Case;
use crate::commands::bench::limit::limit;
use crate::commands::bench::memory;
use crate::commands::bench::report::{Report, Start};
use crate::commands::bench::row::{Implementation, Row, milliseconds};
use crate::io::progress::Progress;

/// Runs before those that count: the first allocates memory, and processors need a moment to raise their clock.
pub const WARM_UP: usize = 2;

/// Measures all cases and writes them into a report.
pub struct Bench<'a> {
    pub cases: Vec<Case>,
    pub runs: usize,
    pub on_processor: bool,
    pub device: Device,
    pub progress: Progress,
    pub report: &'a mut Report,
}

impl Bench<'_> {
    /// Measures one implementation of the network, which took `loading` to get ready.
    pub fn measure(
        &mut self,
        implementation: Implementation,
        classifier: &Classifier,
        loading: Duration,
    ) -> anyhow::Result<()> {
        let first = self.first_prediction(classifier)?;
        self.report.networks.push(Start {
            network: implementation,
            load_ms: milliseconds(loading),
            first_prediction_ms: milliseconds(first),
        });

        for case in &self.cases {
            let workers = pool(case.threads)?;
            self.report.remember_peak(memory::peak());
            memory::reset_peak();
            let times = self.time(classifier, *case, &workers)?;
            let mut row = Row::new(implementation, *case, self.on_processor, &times);
            row.peak_memory_bytes = memory::peak();
            if self.on_processor {
                let work = classifier.network().summary(case.size.height, case.size.width)?;
                let limit = limit(&mut self.report.limits, case.threads, &workers);
                row = row.with_limit(work.multiply_adds(), limit);
            }
            self.report.remember_peak(row.peak_memory_bytes);
            self.report.rows.push(row);
        }
        Ok(())
    }

    /// How long the first prediction takes, on as many threads as any case uses.
    fn first_prediction(&self, classifier: &Classifier) -> anyhow::Result<Duration> {
        let [_, height, width] = self.report.input;
        let most = self.cases.iter().map(|case| case.threads).max().unwrap_or(1);
        let images = pictures(classifier, 1, Size { height, width }, &self.device);
        let workers = pool(most)?;
        let started = Instant::now();
        workers.install(|| predict(classifier, images))?;
        Ok(started.elapsed())
    }

    fn time(&self, classifier: &Classifier, case: Case, workers: &ThreadPool) -> anyhow::Result<Vec<Duration>> {
        let images = pictures(classifier, case.batch_size, case.size, &self.device);
        let mut times = Vec::with_capacity(self.runs);
        for run in 0..WARM_UP + self.runs {
            let images = images.clone();
            let started = Instant::now();
            workers.install(|| predict(classifier, images))?;
            let time = started.elapsed();
            if run >= WARM_UP {
                times.push(time);
            }
            self.progress.advance(case.batch_size);
        }
        Ok(times)
    }
}

/// A pool of so many threads.
pub fn pool(threads: usize) -> anyhow::Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .with_context(|| format!("cannot start {threads} threads"))
}

/// A batch of generated pictures with values from -1 to 1.
fn pictures(classifier: &Classifier, batch_size: usize, size: Size, device: &Device) -> Tensor<4> {
    let shape = [
        batch_size,
        classifier.network().graph().in_channels(),
        size.height,
        size.width,
    ];
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|index| (index * 37 % 255) as f32 / 127.5 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Logits, or the features of a network without classifier, copied to the processor's memory: a device has then
/// finished.
fn predict(classifier: &Classifier, images: Tensor<4>) -> anyhow::Result<TensorData> {
    let output = if classifier.network().has_top() {
        classifier.logits(images)?
    } else {
        classifier.embed(images)?
    };
    Ok(output.into_data())
}
