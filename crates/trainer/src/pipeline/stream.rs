//! Batches of any pictures: decoded by several threads ahead of the network, in the pictures' order.

use std::time::{Duration, Instant};

use super::ahead;

/// The way of pictures to the network outside of training: for prediction, evaluation, embeddings and heat maps.
///
/// Memory is bounded for any number of pictures: at most two batches are decoded at any time, the batch that the
/// network computes and the next one.
///
/// ```no_run
/// use burn::tensor::Device;
/// use trainer::pipeline::{PictureStream, Streamed};
/// use xception_model::Classifier;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let classifier = Classifier::load("kitchenware.bpk", &Device::default())?;
/// let files = ["cup.jpg", "fork.jpg", "knife.jpg"];
/// let stream = PictureStream { batch_size: 8, threads: 2 };
/// stream.run(&files, |file| classifier.prepare_file(file), |steps| {
///     for step in steps {
///         match step {
///             Streamed::Batch { pictures, decoded } => {
///                 for (file, row) in pictures.iter().zip(classifier.predict(&decoded)?) {
///                     println!("{file}: {row:?}");
///                 }
///             }
///             Streamed::Unreadable { picture, problem } => eprintln!("{picture}: {problem:?}"),
///         }
///     }
///     Ok::<_, xception_model::ClassifyError>(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PictureStream {
    /// Pictures per batch; 0 is taken as 1.
    pub batch_size: usize,
    /// Threads that decode while the network computes; 0 is taken as 1.
    pub threads: usize,
}

/// The items of a [`PictureStream`].
#[derive(Debug)]
pub enum Streamed<'p, P, D, E> {
    /// The next batch, ready for the network.
    Batch {
        /// The pictures of the batch, in their order.
        pictures: Vec<&'p P>,
        /// The values that `decode` returned for the pictures.
        decoded: Vec<D>,
    },
    /// A picture that is left out, reported in its turn.
    Unreadable {
        /// The picture.
        picture: &'p P,
        /// The error of `decode`; `None` where `decode` panicked.
        problem: Option<E>,
    },
}

/// The batches of a [`PictureStream`], and the time spent waiting for them.
pub struct Steps<'s, 'p, P, D, E> {
    arriving: &'s mut dyn Iterator<Item = (&'p P, Option<Result<D, E>>)>,
    batch_size: usize,
    pictures: Vec<&'p P>,
    decoded: Vec<D>,
    waited: Duration,
}

impl PictureStream {
    /// Decodes every picture by `decode`, and passes batches and failures to `consume` in the order of the pictures.
    ///
    /// When `consume` returns early, the remaining pictures are not decoded.
    pub fn run<'p, P: Sync, D: Send, E: Send, O>(
        self,
        pictures: &'p [P],
        decode: impl Fn(&P) -> Result<D, E> + Sync,
        consume: impl FnOnce(&mut Steps<'_, 'p, P, D, E>) -> O,
    ) -> O {
        let batch_size = self.batch_size.max(1);
        ahead::in_order(pictures, self.threads, batch_size, decode, |arriving| {
            consume(&mut Steps {
                arriving,
                batch_size,
                pictures: Vec::with_capacity(batch_size.min(pictures.len())),
                decoded: Vec::with_capacity(batch_size.min(pictures.len())),
                waited: Duration::ZERO,
            })
        })
    }
}

impl<P, D, E> Steps<'_, '_, P, D, E> {
    /// The time that [`next`](Iterator::next) has waited for decoded pictures so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl<'p, P, D, E> Iterator for Steps<'_, 'p, P, D, E> {
    type Item = Streamed<'p, P, D, E>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.decoded.len() < self.batch_size {
            let start = Instant::now();
            let arrived = self.arriving.next();
            self.waited += start.elapsed();
            match arrived {
                Some((picture, Some(Ok(decoded)))) => {
                    self.pictures.push(picture);
                    self.decoded.push(decoded);
                }
                Some((picture, failed)) => {
                    return Some(Streamed::Unreadable {
                        picture,
                        problem: failed.and_then(Result::err),
                    });
                }
                None => break,
            }
        }
        (!self.decoded.is_empty()).then(|| Streamed::Batch {
            pictures: std::mem::take(&mut self.pictures),
            decoded: std::mem::take(&mut self.decoded),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps of the pictures 0 to `count`, of which 4 fails and 7 panics.
    fn streamed(count: u32, batch_size: usize) -> Vec<String> {
        let pictures: Vec<u32> = (0..count).collect();
        let stream = PictureStream { batch_size, threads: 3 };
        let decode = |picture: &u32| {
            assert_ne!(*picture, 7, "this panic is part of the test");
            if *picture == 4 {
                Err("damaged")
            } else {
                Ok(picture * 10)
            }
        };
        stream.run(&pictures, decode, |steps| {
            steps
                .map(|step| match step {
                    Streamed::Batch { pictures, decoded } => format!("{pictures:?} {decoded:?}"),
                    Streamed::Unreadable { picture, problem } => format!("{picture} {problem:?}"),
                })
                .collect()
        })
    }

    #[test]
    fn pictures_keep_their_order_and_failures_cost_one_picture_each() {
        let expected = [
            "[0, 1, 2] [0, 10, 20]",
            "4 Some(\"damaged\")",
            "[3, 5, 6] [30, 50, 60]",
            "7 None",
            "[8] [80]",
        ];
        assert_eq!(streamed(9, 3), expected);
    }

    #[test]
    fn the_last_batch_may_be_smaller_and_none_is_empty() {
        assert_eq!(streamed(4, 2), ["[0, 1] [0, 10]", "[2, 3] [20, 30]"]);
        assert_eq!(streamed(3, 0), ["[0] [0]", "[1] [10]", "[2] [20]"]);
        assert!(streamed(0, 4).is_empty());
    }
}
