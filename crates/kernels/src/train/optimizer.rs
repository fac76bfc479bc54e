//! Passes over weights after the backward pass: optimizers, averages and norms. Each pass reads and writes every value
//! once.
//!
//! Values are computed in the order of Burn's optimizers and without fused multiplications, so they have the same bits.

use rayon::prelude::*;

use super::elementwise::BLOCK;
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::Lanes;

/// Values that a pass changes in place, or copies first from `old`.
pub(crate) struct Changed<'a> {
    pub values: &'a mut [f32],
    /// The old values, if they are not in `values`.
    pub old: Option<&'a [f32]>,
}

impl<'a> Changed<'a> {
    /// The blocks of `values`, each holding its old values.
    fn blocks(self) -> impl IndexedParallelIterator<Item = &'a mut [f32]> {
        let Self { values, old } = self;
        values.par_chunks_mut(BLOCK).enumerate().map(move |(index, values)| {
            if let Some(old) = old {
                values.copy_from_slice(&old[index * BLOCK..][..values.len()]);
            }
            values
        })
    }
}

/// Stochastic gradient descent with momentum.
#[derive(Clone, Copy, Debug)]
pub struct SgdUpdate {
    /// The learning rate.
    pub rate: f32,
    /// This factor times the weights is added to the gradient; 0 for no penalty.
    pub penalty: f32,
    /// The factor of the velocity.
    pub momentum: f32,
    /// The gradient's factor in the velocity is 1 minus this number.
    pub dampening: f32,
    /// Whether the step looks ahead (Nesterov momentum).
    pub nesterov: bool,
}

impl SgdUpdate {
    /// Updates weights, and the velocity of earlier updates.
    pub(crate) fn apply(&self, isa: Isa, weights: Changed<'_>, gradient: &[f32], velocity: &mut [f32]) {
        let blocks = weights.blocks().zip(gradient.par_chunks(BLOCK));
        blocks
            .zip(velocity.par_chunks_mut(BLOCK))
            .for_each(|((weights, gradient), velocity)| {
                let update = *self;
                let kernel = SgdBlock {
                    update,
                    weights,
                    gradient,
                    velocity,
                };
                // SAFETY: the kernel has no pointers.
                unsafe { isa.run(kernel) }
            });
    }
}

struct SgdBlock<'a> {
    update: SgdUpdate,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    velocity: &'a mut [f32],
}

impl Kernel for SgdBlock<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let SgdUpdate {
            rate,
            penalty,
            momentum,
            dampening,
            nesterov,
        } = self.update;
        let kept = 1.0 - dampening;
        let values = self.weights.iter_mut().zip(self.gradient).zip(self.velocity);
        values.for_each(|((weight, gradient), velocity)| {
            let gradient = if penalty == 0.0 {
                *gradient
            } else {
                *weight * penalty + gradient
            };
            *velocity = gradient * kept + *velocity * momentum;
            let step = if nesterov {
                *velocity * momentum + gradient
            } else {
                *velocity
            };
            *weight -= step * rate;
        });
    }
}

/// `AdamW` (Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug)]
pub struct AdamWUpdate {
    /// The learning rate.
    pub rate: f64,
    /// Each update shrinks the weights by this factor times the rate.
    pub weight_decay: f32,
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the square root of the second moment.
    pub epsilon: f32,
    /// The number of this update, from 1.
    pub time: i32,
}

impl AdamWUpdate {
    /// Updates weights, and the moments of earlier updates.
    pub(crate) fn apply(&self, isa: Isa, weights: Changed<'_>, gradient: &[f32], moments: [&mut [f32]; 2]) {
        let [first, second] = moments;
        let blocks = weights.blocks().zip(gradient.par_chunks(BLOCK));
        let moments = first.par_chunks_mut(BLOCK).zip(second.par_chunks_mut(BLOCK));
        blocks.zip(moments).for_each(|((weights, gradient), (first, second))| {
            let kernel = AdamWBlock {
                update: *self,
                weights,
                gradient,
                first,
                second,
            };
            // SAFETY: the kernel has no pointers.
            unsafe { isa.run(kernel) }
        });
    }
}

struct AdamWBlock<'a> {
    update: AdamWUpdate,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Kernel for AdamWBlock<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let AdamWUpdate {
            rate,
            weight_decay,
            beta_1,
            beta_2,
            epsilon,
            time,
        } = self.update;
        let (kept_1, kept_2) = (1.0 - beta_1, 1.0 - beta_2);
        let (correction_1, correction_2) = (1.0 - beta_1.powi(time), 1.0 - beta_2.powi(time));
        let decay = (1.0 - rate * f64::from(weight_decay)) as f32;
        let rate = rate as f32;
        let values = self.weights.iter_mut().zip(self.gradient);
        let moments = self.first.iter_mut().zip(self.second);
        values.zip(moments).for_each(|((weight, gradient), (first, second))| {
            *first = *first * beta_1 + gradient * kept_1;
            *second = *second * beta_2 + gradient * gradient * kept_2;
            let delta = (*first / correction_1) / ((*second / correction_2).sqrt() + epsilon);
            *weight = *weight * decay - delta * rate;
        });
    }
}

/// `old * factor + new * share`, in place of `old`.
pub(crate) fn mix(isa: Isa, old: Changed<'_>, factor: f32, new: &[f32], share: f32) {
    let blocks = old.blocks().zip(new.par_chunks(BLOCK));
    blocks.for_each(|(old, new)| {
        let kernel = Mix {
            old,
            factor,
            new,
            share,
        };
        // SAFETY: the kernel has no pointers.
        unsafe { isa.run(kernel) }
    });
}

struct Mix<'a> {
    old: &'a mut [f32],
    factor: f32,
    new: &'a [f32],
    share: f32,
}

impl Kernel for Mix<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { factor, share, .. } = self;
        let values = self.old.iter_mut().zip(self.new);
        values.for_each(|(old, new)| *old = *old * factor + new * share);
    }
}

/// Multiplies all values by `factor`.
pub(crate) fn scale(isa: Isa, values: Changed<'_>, factor: f32) {
    let blocks = values.blocks();
    // SAFETY: the kernel has no pointers.
    blocks.for_each(|values| unsafe { isa.run(Scale { values, factor }) });
}

struct Scale<'a> {
    values: &'a mut [f32],
    factor: f32,
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        self.values.iter_mut().for_each(|value| *value *= self.factor);
    }
}

/// The sum of all squares, in `f64`, in an order that does not depend on the number of threads.
pub(crate) fn sum_of_squares(isa: Isa, values: &[f32]) -> f64 {
    let blocks = values.par_chunks(BLOCK);
    // SAFETY: the kernel has no pointers.
    let sums: Vec<f64> = blocks.map(|values| unsafe { isa.run(Squares { values }) }).collect();
    sums.into_iter().sum()
}

struct Squares<'a> {
    values: &'a [f32],
}

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> f64 {
        const WIDTH: usize = 8;
        let mut sums = [0.0_f64; WIDTH];
        let (eights, rest) = self.values.as_chunks::<WIDTH>();
        for values in eights {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
        for (sum, value) in sums.iter_mut().zip(rest) {
            *sum += f64::from(*value) * f64::from(*value);
        }
        sums.into_iter().sum()
    }
}
