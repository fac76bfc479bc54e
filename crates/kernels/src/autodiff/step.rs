//! The forward and the backward pass of a unit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};

use super::map::{Map, contiguous, vector};
use super::operands::{TrainingOperands, TrainingUnit};
use super::plan::{Pool, UnitKernel, UnitPlan, volume};
use super::unit::Measured;
use crate::error::Error;
use crate::extension::Operand;
use crate::memory::heap::Block;
use crate::train::elementwise::{add, add_bias, add_bias_part, rectify, rectify_gradient, rectify_part};
use crate::train::global_average::{global_average, global_average_gradient};
use crate::train::norm::{
    Affine, GradientSums, InputGradient, Moments, channel_sums, gradient_sums, moments, normalise, normalise_part,
    part_sums,
};
use crate::train::{Convolution, Depthwise, DepthwiseGradients, MapInput, MapPart, Reads, Transform};

/// Number of operands that may have gradients. The constants below are their order.
pub(super) const PARENTS: usize = 8;
pub(super) const X: usize = 0;
pub(super) const GAMMA: usize = 1;
pub(super) const BETA: usize = 2;
pub(super) const DEPTHWISE: usize = 3;
pub(super) const DEPTHWISE_BIAS: usize = 4;
pub(super) const WEIGHTS: usize = 5;
pub(super) const BIAS: usize = 6;
pub(super) const RESIDUAL: usize = 7;

/// The operands. All of them except the maps are in Burn's order.
pub(super) struct Inputs {
    pub x: Map,
    pub gamma: Option<FlexTensor>,
    pub beta: Option<FlexTensor>,
    pub depthwise: Option<FlexTensor>,
    pub depthwise_bias: Option<FlexTensor>,
    pub weights: Option<FlexTensor>,
    pub bias: Option<FlexTensor>,
    pub residual: Option<Map>,
    pub mean: Option<FlexTensor>,
    pub variance: Option<FlexTensor>,
}

impl From<TrainingOperands<Flex>> for Inputs {
    fn from(operands: TrainingOperands<Flex>) -> Self {
        let values = |operand: Operand<Flex>| operand.into_option().map(|tensor| tensor.to_contiguous());
        Self {
            x: Map::from_tensor(operands.x),
            gamma: values(operands.gamma),
            beta: values(operands.beta),
            depthwise: values(operands.depthwise),
            depthwise_bias: values(operands.depthwise_bias),
            weights: values(operands.weights),
            bias: values(operands.bias),
            residual: operands.residual.into_option().map(Map::from_tensor),
            mean: values(operands.mean),
            variance: values(operands.variance),
        }
    }
}

/// The result of a unit's forward pass.
pub(super) struct Forward {
    pub output: Map,
    /// The statistics of the batch, if the norm took them.
    pub moments: Option<Moments>,
    /// What the backward pass needs, if there is a backward pass.
    pub kept: Option<Kept>,
}

/// What the backward pass needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    x: Option<Map>,
    norm: Option<(Affine, Vec<f64>)>,
    depthwise: Option<FlexTensor>,
    /// Kept to compute the convolution's input again.
    depthwise_bias: Option<FlexTensor>,
    weights: Option<FlexTensor>,
    taps: Option<Arc<Block>>,
}

/// The values of an operand. [`Inputs`] holds them in Burn's order.
fn values(tensor: &FlexTensor) -> &[f32] {
    let count = tensor.shape().num_elements();
    &tensor.storage::<f32>()[..count]
}

fn some(tensor: Option<&FlexTensor>) -> &[f32] {
    tensor.map_or(&[], values)
}

/// Takes the result of a kernel. The plan has checked the sizes, so the kernel cannot fail.
fn done(result: Result<(), Error>) {
    result.unwrap_or_else(|error| unreachable!("sizes that the plan has checked: {error}"));
}

/// Computes a unit. `wanted` says which operands want gradients; `None` if none of them does.
pub(super) fn forward(unit: &TrainingUnit, inputs: &Inputs, wanted: Option<[bool; PARENTS]>) -> Forward {
    let plan = &*unit.plan;
    let isa = plan.isa;
    let x = &inputs.x;
    let own_moments = plan.norm.filter(|norm| norm.batch).map(|_| match &unit.measured {
        Some(Measured(moments)) => (**moments).clone(),
        None => moments(isa, x.values(), plan.channels()),
    });
    let norm = plan.norm.map(|norm| {
        let given = own_moments.clone().unwrap_or_else(|| Moments {
            mean: some(inputs.mean.as_ref()).to_vec(),
            variance: some(inputs.variance.as_ref()).to_vec(),
        });
        let (gamma, beta) = (some(inputs.gamma.as_ref()), some(inputs.beta.as_ref()));
        Affine::new(&given, gamma, beta, norm.epsilon)
    });

    // The last part that can add the residual adds it.
    let mut residual = inputs.residual.as_ref().map(Map::values);
    let mut current: Option<Block> = None;
    let affine = norm.as_ref().map(|(affine, _)| affine);
    if let Some(kernel) = &plan.convolution {
        current = Some(convolved(unit, kernel, affine, inputs));
    } else if let Some(kernel) = &plan.depthwise {
        let [weights, bias] = [&inputs.depthwise, &inputs.depthwise_bias].map(Option::as_ref);
        current = Some(depthwise(plan, kernel, affine, x.values(), weights, bias));
    } else if plan.is_normed() {
        let sum = if plan.has_parts() { None } else { residual.take() };
        current = Some(normed(plan, x.values(), affine, sum));
    }
    let mut taps = None;
    if let Some(kernel) = &plan.pool {
        let mut output = Block::values(volume(kernel.output));
        let from = current.as_ref().map_or(x.values(), Block::as_slice);
        match &kernel.op {
            Pool::GlobalAverage => global_average(isa, from, kernel.output[3], output.as_mut_slice()),
            Pool::Max(op) => {
                let mut numbers = Block::new(volume(kernel.output));
                done(op.forward(from, output.as_mut_slice(), numbers.bytes_mut()));
                taps = Some(Arc::new(numbers));
            }
        }
        current = Some(output);
    }
    let mut output = current.unwrap_or_else(|| {
        let mut copy = Block::values(x.values().len());
        copy.as_mut_slice().copy_from_slice(x.values());
        copy
    });
    if let Some(residual) = residual {
        add(isa, residual, output.as_mut_slice());
    }

    let kept = wanted.map(|wanted| {
        let weights = wanted[DEPTHWISE] || wanted[WEIGHTS];
        let before_residual = wanted[..RESIDUAL].contains(&true);
        Kept {
            x: (before_residual && (plan.is_normed() || weights)).then(|| inputs.x.clone()),
            norm,
            depthwise: inputs.depthwise.clone(),
            depthwise_bias: inputs.depthwise_bias.clone(),
            weights: inputs.weights.clone(),
            taps,
        }
    });
    Forward {
        output: Map::new(output, plan.output),
        moments: own_moments,
        kept,
    }
}

/// The convolution and all parts before it. Its input is computed part by part, and its output is measured while parts
/// of the output are in the caches.
fn convolved(unit: &TrainingUnit, kernel: &UnitKernel<Convolution>, affine: Option<&Affine>, inputs: &Inputs) -> Block {
    let plan = &*unit.plan;
    let (isa, x) = (plan.isa, inputs.x.values());
    let [weights, bias] = [&inputs.depthwise, &inputs.depthwise_bias].map(Option::as_ref);
    let make = |part: MapPart<'_>| make_part(plan, affine, x, [weights, bias], part);
    let sums = Mutex::new(BTreeMap::new());
    let measure = unit
        .measure
        .as_ref()
        .filter(|_| plan.pool.is_none() && inputs.residual.is_none());
    let after = |part: MapPart<'_>| {
        if let Some(bias) = &inputs.bias {
            add_bias_part(isa, values(bias), part.values);
        }
        if measure.is_some() {
            let own = part_sums(isa, part.values, kernel.output[3]);
            sums.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(part.index, own);
        }
    };

    let source = if plan.depthwise.is_some() || plan.is_normed() {
        MapInput::Fleeting(&make, reads(plan, x))
    } else {
        MapInput::Ready(x)
    };
    let mut output = Block::values(volume(kernel.output));
    let is_visited = inputs.bias.is_some() || measure.is_some();
    let after: Option<&(dyn Fn(MapPart<'_>) + Sync)> = if is_visited { Some(&after) } else { None };
    done(
        kernel
            .op
            .forward_of(source, some(inputs.weights.as_ref()), output.as_mut_slice(), after),
    );
    if let Some(slot) = measure {
        let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Only one unit fills the slot.
        let _ = slot.set(Arc::new(Moments::of_parts(kernel.output[3], sums.values())));
    }
    output
}

/// The values that [`make_part`] reads. A depthwise convolution reads one row beyond the rows of its output.
fn reads<'a>(plan: &UnitPlan, x: &'a [f32]) -> Reads<'a> {
    let row = plan.input[2] * plan.input[3];
    Reads {
        values: x,
        beyond: if plan.depthwise.is_some() { row } else { 0 },
    }
}

/// Computes a part of the convolution's input: the unit's input after norm, `ReLU` and the depthwise convolution with
/// its weights and its bias.
fn make_part(
    plan: &UnitPlan,
    affine: Option<&Affine>,
    x: &[f32],
    [weights, bias]: [Option<&FlexTensor>; 2],
    part: MapPart<'_>,
) {
    let MapPart { index, pixels, values } = part;
    if let Some(kernel) = &plan.depthwise {
        let whole = MapPart {
            index,
            pixels,
            values: &mut *values,
        };
        done(
            kernel
                .op
                .forward_part(&transform(plan, affine), x, some(weights), whole),
        );
        if let Some(bias) = bias {
            add_bias_part(plan.isa, self::values(bias), values);
        }
        return;
    }
    let start = pixels.start * plan.channels();
    let x = &x[start..start + values.len()];
    match affine {
        Some(affine) => normalise_part(plan.isa, x, affine, plan.relu, values),
        None => rectify_part(plan.isa, x, values),
    }
}

/// The input after norm and `ReLU`, plus `sum` if given.
fn normed(plan: &UnitPlan, x: &[f32], affine: Option<&Affine>, sum: Option<&[f32]>) -> Block {
    let mut output = Block::values(x.len());
    match affine {
        Some(affine) => normalise(plan.isa, x, affine, plan.relu, sum, output.as_mut_slice()),
        None => rectify(plan.isa, x, sum, output.as_mut_slice()),
    }
    output
}

/// The depthwise convolution of the input after norm and `ReLU`.
fn depthwise(
    plan: &UnitPlan,
    kernel: &UnitKernel<Depthwise>,
    affine: Option<&Affine>,
    x: &[f32],
    weights: Option<&FlexTensor>,
    bias: Option<&FlexTensor>,
) -> Block {
    let mut output = Block::values(volume(kernel.output));
    let transform = transform(plan, affine);
    done(
        kernel
            .op
            .forward_of(&transform, x, some(weights), output.as_mut_slice()),
    );
    if let Some(bias) = bias {
        add_bias(plan.isa, values(bias), output.as_mut_slice());
    }
    output
}

/// Norm and `ReLU` as the function that a depthwise convolution applies to its input.
fn transform<'a>(plan: &UnitPlan, affine: Option<&'a Affine>) -> Transform<'a> {
    Transform {
        norm: affine.map(|affine| [&*affine.centre, &*affine.scale, &*affine.shift]),
        relu: plan.relu,
    }
}

/// A gradient during the backward pass.
enum Gradient {
    /// Burn's tensor, which others may hold.
    Given(Map),
    Own(Block),
}

impl Gradient {
    fn values(&self) -> &[f32] {
        match self {
            Self::Given(map) => map.values(),
            Self::Own(block) => block.as_slice(),
        }
    }

    /// The gradient as a map that may be changed in place.
    fn into_mut(self, shape: [usize; 4]) -> Map {
        match self {
            Self::Given(map) => map.into_mut(),
            Self::Own(block) => Map::new(block, shape),
        }
    }

    fn into_map(self, shape: [usize; 4]) -> Map {
        match self {
            Self::Given(map) => map,
            Self::Own(block) => Map::new(block, shape),
        }
    }
}

/// The gradients of the operands that `wanted` asks for. `earlier` holds gradients of the input and of the residual
/// that other operations have already computed; the new gradients are added to them.
pub(super) fn backward(
    plan: &UnitPlan,
    kept: &Kept,
    output_gradient: FlexTensor,
    wanted: [bool; PARENTS],
    earlier: [Option<FlexTensor>; 2],
) -> [Option<FlexTensor>; PARENTS] {
    let [earlier_x, earlier_residual] = earlier;
    let mut pass = BackwardPass {
        plan,
        kept,
        wanted,
        earlier: earlier_x.map(Map::from_tensor),
        sums: None,
        is_rectified: false,
        found: [const { None }; PARENTS],
    };
    let output_gradient = Map::from_tensor(output_gradient);
    if wanted[RESIDUAL] {
        pass.residual(&output_gradient, earlier_residual);
    }
    if wanted[..RESIDUAL].contains(&true) {
        let gradient = pass.pool(Gradient::Given(output_gradient));
        let gradient = pass.convolution(gradient);
        let gradient = gradient.and_then(|gradient| pass.depthwise(gradient));
        if let Some(gradient) = gradient {
            pass.norm(gradient);
        }
    }
    pass.found
}

/// A backward pass, from the last part to the first.
struct BackwardPass<'a> {
    plan: &'a UnitPlan,
    kept: &'a Kept,
    wanted: [bool; PARENTS],
    /// An earlier gradient of the input that is not yet added.
    earlier: Option<Map>,
    /// The norm's sums, once they are known.
    sums: Option<GradientSums>,
    /// Whether the gradient is that of the `ReLU`'s input.
    is_rectified: bool,
    found: [Option<FlexTensor>; PARENTS],
}

impl<'a> BackwardPass<'a> {
    fn affine(&self) -> Option<&'a Affine> {
        self.kept.norm.as_ref().map(|(affine, _)| affine)
    }

    fn x(&self) -> &'a [f32] {
        self.kept.x.as_ref().map_or(&[], Map::values)
    }

    fn residual(&mut self, gradient: &Map, earlier: Option<FlexTensor>) {
        let gradient = match earlier {
            None => gradient.clone(),
            Some(earlier) => {
                let mut sum = Map::from_tensor(earlier).into_mut();
                add(self.plan.isa, gradient.values(), sum.values_mut());
                sum
            }
        };
        self.found[RESIDUAL] = Some(gradient.into_tensor());
    }

    fn pool(&self, gradient: Gradient) -> Gradient {
        let plan = self.plan;
        let Some(kernel) = &plan.pool else {
            return gradient;
        };
        let before = plan
            .convolution
            .as_ref()
            .map(|kernel| kernel.output)
            .or_else(|| plan.depthwise.as_ref().map(|kernel| kernel.output));
        let mut input = Block::values(volume(before.unwrap_or(plan.input)));
        match (&kernel.op, &self.kept.taps) {
            (Pool::Max(op), Some(taps)) => {
                done(op.input_gradient(taps.bytes(), gradient.values(), input.as_mut_slice()));
            }
            _ => global_average_gradient(gradient.values(), kernel.output[3], input.as_mut_slice()),
        }
        Gradient::Own(input)
    }

    /// Returns `None` if nothing before the convolution wants a gradient.
    fn convolution(&mut self, gradient: Gradient) -> Option<Gradient> {
        let (plan, kept) = (self.plan, self.kept);
        let Some(kernel) = &plan.convolution else {
            return Some(gradient);
        };
        let weights = some(kept.weights.as_ref());
        if self.wanted[WEIGHTS] {
            let (x, affine) = (self.x(), self.affine());
            let [depthwise, bias] = [&kept.depthwise, &kept.depthwise_bias].map(Option::as_ref);
            let make = |part: MapPart<'_>| make_part(plan, affine, x, [depthwise, bias], part);
            let source = if plan.depthwise.is_some() || plan.is_normed() {
                MapInput::Fleeting(&make, reads(plan, x))
            } else {
                MapInput::Ready(x)
            };
            let mut own = Block::values(weights.len());
            done(
                kernel
                    .op
                    .weight_gradient_of(source, gradient.values(), own.as_mut_slice()),
            );
            self.found[WEIGHTS] = kept.weights.as_ref().map(|weights| shaped(own, weights));
        }
        if self.wanted[BIAS] {
            self.found[BIAS] = Some(vector(channel_sums(plan.isa, gradient.values(), kernel.output[3])));
        }
        if !self.wanted[..WEIGHTS].contains(&true) {
            return None;
        }
        let before = plan.depthwise.as_ref().map_or(plan.input, |kernel| kernel.output);
        let mut input = Block::values(volume(before));
        done(
            kernel
                .op
                .input_gradient(weights, gradient.values(), input.as_mut_slice()),
        );
        Some(Gradient::Own(input))
    }

    /// Returns `None` if nothing before the depthwise convolution wants a gradient.
    fn depthwise(&mut self, gradient: Gradient) -> Option<Gradient> {
        let (plan, kept) = (self.plan, self.kept);
        let Some(kernel) = &plan.depthwise else {
            return Some(gradient);
        };
        let weights = some(kept.depthwise.as_ref());
        if self.wanted[DEPTHWISE_BIAS] {
            self.found[DEPTHWISE_BIAS] = Some(vector(channel_sums(plan.isa, gradient.values(), kernel.output[3])));
        }
        let above = self.wanted[..DEPTHWISE].contains(&true);
        let mut input = above.then(|| Block::values(volume(plan.input)));
        let mut own = self.wanted[DEPTHWISE].then(|| Block::values(weights.len()));
        match &kept.x {
            Some(x) if above || own.is_some() => {
                let channels = plan.channels();
                let is_summed = above && kept.norm.is_some();
                let mut sums = is_summed.then(|| [vec![0.0; channels], vec![0.0; channels]]);
                // If there is a norm, the earlier gradient is that of the norm's input, not of these values.
                let added = if above && kept.norm.is_none() {
                    self.earlier.take()
                } else {
                    None
                };
                let gradients = DepthwiseGradients {
                    input: input.as_mut().map(Block::as_mut_slice),
                    added: added.as_ref().map(Map::values),
                    sums: sums.as_mut().map(|sums| sums.each_mut().map(Vec::as_mut_slice)),
                    weights: own.as_mut().map(Block::as_mut_slice),
                };
                let maps = [x.values(), weights, gradient.values()];
                done(kernel.op.backward(&transform(plan, self.affine()), maps, gradients));
                let wide = |sums: Vec<f32>| sums.into_iter().map(f64::from).collect();
                self.sums = sums.map(|[plain, centred]| GradientSums {
                    plain: wide(plain),
                    centred: wide(centred),
                });
                self.is_rectified = true;
            }
            _ => {
                if let Some(input) = &mut input {
                    done(
                        kernel
                            .op
                            .input_gradient(weights, gradient.values(), input.as_mut_slice()),
                    );
                }
            }
        }
        self.found[DEPTHWISE] = own
            .zip(kept.depthwise.as_ref())
            .map(|(own, weights)| shaped(own, weights));
        input.map(Gradient::Own)
    }

    /// The backward pass of norm and `ReLU`, and the gradient of the input.
    fn norm(&mut self, gradient: Gradient) {
        let (plan, wanted) = (self.plan, self.wanted);
        let isa = plan.isa;
        let rectified = plan.relu && !self.is_rectified;
        let earlier = self.earlier.take();
        let sum = earlier.as_ref().map(Map::values);
        let x = self.x();
        let Some((norm, (affine, inverse))) = plan.norm.zip(self.kept.norm.as_ref()) else {
            if !wanted[X] {
                return;
            }
            let map = if rectified {
                let mut map = gradient.into_mut(plan.input);
                rectify_gradient(isa, x, sum, map.values_mut());
                map
            } else if let Some(sum) = sum {
                let mut map = gradient.into_mut(plan.input);
                add(isa, sum, map.values_mut());
                map
            } else {
                gradient.into_map(plan.input)
            };
            self.found[X] = Some(map.into_tensor());
            return;
        };
        let batch = norm.batch && wanted[X];
        let mut sums = self.sums.take();
        if sums.is_none() && (wanted[GAMMA] || wanted[BETA] || batch) {
            sums = Some(gradient_sums(isa, x, affine, rectified, gradient.values()));
        }
        if let Some(sums) = &sums {
            let factors = sums.centred.iter().zip(inverse);
            let gamma = || factors.map(|(sum, inverse)| (sum * inverse) as f32).collect();
            let beta = || sums.plain.iter().map(|sum| *sum as f32).collect();
            self.found[GAMMA] = wanted[GAMMA].then(gamma).map(vector);
            self.found[BETA] = wanted[BETA].then(beta).map(vector);
        }
        if wanted[X] {
            let coefficients = match &sums {
                Some(sums) if batch => {
                    InputGradient::with_batch(affine, inverse, sums, volume(plan.input) / plan.channels())
                }
                _ => InputGradient::with_given(affine),
            };
            let mut map = gradient.into_mut(plan.input);
            coefficients.apply(isa, x, affine, rectified, sum, map.values_mut());
            self.found[X] = Some(map.into_tensor());
        }
    }
}

/// The gradient of weights, in the shape of the weights.
fn shaped(gradient: Block, weights: &FlexTensor) -> FlexTensor {
    contiguous(gradient, weights.shape().dims::<4>())
}
