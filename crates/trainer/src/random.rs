//! Random numbers that depend on their purpose, not on the numbers drawn before.
//!
//! Each stream starts from the seed, the epoch and the position in the epoch, so that a resumed run, or a run with
//! another number of threads, draws the same numbers. The generator is written here because a run must be repeatable,
//! and the generators of `fastrand` and of `rand::rngs` may change between versions.

use std::convert::Infallible;

use rand_distr::{Beta, Distribution};

/// The purpose of a stream of numbers. Streams of different purposes are independent, with one seed for all.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// The order of the pictures in an epoch.
    Order = 1,
    /// The augmentation of one picture.
    Augment = 2,
    /// The mixing of one batch.
    Mix = 3,
    /// The choice of pictures for validation and test.
    Split = 4,
    /// The numbers that Burn draws in one step, for dropout.
    Step = 5,
    /// The weights of new layers.
    Weights = 6,
}

/// `SplitMix64` (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 17).
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

/// The step of `SplitMix64`: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream for one picture, batch or step of one epoch.
    pub(crate) fn new(seed: u64, purpose: Purpose, epoch: usize, position: usize) -> Self {
        let state = [purpose as u64, epoch as u64, position as u64]
            .into_iter()
            .fold(scramble(seed), |state, word| {
                scramble(state.wrapping_add(STEP) ^ scramble(word.wrapping_add(STEP)))
            });
        Self { state }
    }

    /// A number from 0.0 to 1.0, without 1.0.
    pub(crate) fn unit(&mut self) -> f64 {
        // A double holds 53 bits.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from `low` to `high`, uniformly distributed.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// An integer from 0 to `end`, without `end`, uniformly distributed; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Fisher and Yates's shuffle.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            items.swap(end - 1, self.below(end));
        }
    }

    /// A number from Beta(alpha, alpha); 1.0 unless `alpha` is above zero. It is the share of the first of two mixed
    /// pictures.
    pub(crate) fn beta(&mut self, alpha: f64) -> f64 {
        Beta::new(alpha, alpha).map_or(1.0, |distribution| distribution.sample(self))
    }

    /// A seed for another generator.
    pub(crate) fn seed(&mut self) -> u64 {
        self.next()
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        scramble(self.state)
    }
}

impl rand_core::TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// `mix64variant13`
fn scramble(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for seed 1234567, as in the test of Java's and of Vigna's C version.
        let mut random = Random { state: 1_234_567 };
        let drawn = [(); 3].map(|()| random.next());
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn every_argument_changes_the_stream() {
        let first = |seed, purpose, epoch, position| Random::new(seed, purpose, epoch, position).next();
        let all = [
            first(0, Purpose::Order, 0, 0),
            first(1, Purpose::Order, 0, 0),
            first(0, Purpose::Augment, 0, 0),
            first(0, Purpose::Order, 1, 0),
            first(0, Purpose::Order, 0, 1),
        ];
        for (index, value) in all.iter().enumerate() {
            assert!(!all[..index].contains(value));
        }
        assert_eq!(all[0], first(0, Purpose::Order, 0, 0));
    }

    #[test]
    fn draws_have_the_mean_of_their_distribution() {
        let mut random = Random::new(7, Purpose::Augment, 0, 0);
        let mut mean = |draw: &dyn Fn(&mut Random) -> f64| (0..20_000).map(|_| draw(&mut random)).sum::<f64>() / 2e4;
        assert!((mean(&|random| random.between(2.0, 4.0)) - 3.0).abs() < 0.02);
        assert!((mean(&|random| random.below(5) as f64) - 2.0).abs() < 0.04);
        assert!((mean(&|random| f64::from(u8::from(random.chance(0.3)))) - 0.3).abs() < 0.02);
        assert!((mean(&|random| random.beta(0.2)) - 0.5).abs() < 0.02);
        // Variance of Beta(a, a): 1 / (4 (2a + 1)).
        assert!((mean(&|random| (random.beta(0.2) - 0.5).powi(2)) - 1.0 / 5.6).abs() < 0.01);
    }

    #[test]
    fn a_shuffle_keeps_the_items_and_moves_them() {
        let mut items: Vec<usize> = (0..100).collect();
        Random::new(1, Purpose::Order, 0, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
