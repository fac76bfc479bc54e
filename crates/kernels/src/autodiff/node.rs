//! A unit as an operation on Burn's tape.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::map::vector;
use super::operands::{TrainingOperands, TrainingOutput, TrainingUnit, statistics};
use super::step::{self, Kept, PARENTS, RESIDUAL, X};
use super::unit::SharedGradient;
use crate::extension::Operand;

/// A tensor with its place on the tape.
type Tracked = FloatTensor<Autodiff<Flex>>;

impl SharedGradient {
    /// A tensor whose gradient marks that the first of the operations has computed its gradient.
    fn marker(&self) -> &Tracked {
        self.0.get_or_init(|| Tracked::new(vector(vec![0.0])))
    }
}

#[derive(Debug)]
struct UnitStep;

#[derive(Clone, Debug)]
struct State {
    unit: TrainingUnit,
    kept: Kept,
}

impl Backward<Flex, PARENTS> for UnitStep {
    type State = State;

    fn backward(self, ops: Ops<State, PARENTS>, grads: &mut Gradients, _: &mut Checkpointer) {
        let output_gradient = grads.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let State { unit, kept } = ops.state;
        let mut earlier: [Option<FlexTensor>; 2] = [None, None];
        // If a unit reads one tensor twice, Burn adds the two gradients.
        let twice = match (&ops.parents[X], &ops.parents[RESIDUAL]) {
            (Some(x), Some(residual)) => x.id == residual.id,
            _ => false,
        };
        let places = if twice { &[X][..] } else { &[X, RESIDUAL] };
        for (place, (shared, earlier)) in places.iter().zip(unit.shared.iter().zip(&mut earlier)) {
            if let (Some(parent), Some(shared)) = (&ops.parents[*place], shared) {
                let marker = shared.marker();
                if grads.get::<Flex>(marker).is_none() {
                    grads.register::<Flex>(marker.id(), marker.primitive().clone());
                } else if parent.order > 0 {
                    // Burn would add the gradients in its own order of values. Leaves keep their gradients, so Burn
                    // adds the gradients of leaves.
                    *earlier = Some(grads.consume::<Flex>(parent));
                }
            }
        }
        let found = step::backward(&unit.plan, &kept, output_gradient, wanted, earlier);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// Computes a unit, and puts the unit on the tape if one of its operands has a gradient.
pub(super) fn training_unit<C: CheckpointStrategy>(
    operands: TrainingOperands<Autodiff<Flex, C>>,
    unit: TrainingUnit,
) -> TrainingOutput<Autodiff<Flex, C>> {
    let mut taken = Taken::new();
    let TrainingOperands {
        x,
        gamma,
        beta,
        depthwise,
        depthwise_bias,
        weights,
        bias,
        residual,
        mean,
        variance,
    } = operands;
    let constant = |operand: Operand<Autodiff<Flex, C>>| match operand.into_option() {
        Some(tensor) => Operand::Given(tensor.into_primitive()),
        None => Operand::Absent,
    };
    // In the order of the parents.
    let operands = TrainingOperands::<Flex> {
        x: taken.take(x),
        gamma: taken.operand(gamma.into_option()),
        beta: taken.operand(beta.into_option()),
        depthwise: taken.operand(depthwise.into_option()),
        depthwise_bias: taken.operand(depthwise_bias.into_option()),
        weights: taken.operand(weights.into_option()),
        bias: taken.operand(bias.into_option()),
        residual: taken.operand(residual.into_option()),
        mean: constant(mean),
        variance: constant(variance),
    };
    let Taken { guards, wanted } = taken;
    let Ok(guards) = <[NodeGuard; PARENTS]>::try_from(guards) else {
        unreachable!("a guard for every parent")
    };
    let wanted = <[bool; PARENTS]>::try_from(wanted).unwrap_or([false; PARENTS]);
    let inputs = operands.into();
    let (y, moments) = match UnitStep.prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let forward = step::forward(&unit, &inputs, Some(wanted));
            let kept = forward.kept.unwrap_or_default();
            let y = prepared.finish(State { unit, kept }, forward.output.into_tensor());
            (y, forward.moments)
        }
        OpsKind::UnTracked(prepared) => {
            let forward = step::forward(&unit, &inputs, None);
            (prepared.finish(forward.output.into_tensor()), forward.moments)
        }
    };
    let (mean, variance) = statistics(moments, Tracked::new);
    TrainingOutput { y, mean, variance }
}

/// The operands' places on the tape, and which operands want gradients.
struct Taken {
    guards: Vec<NodeGuard>,
    wanted: Vec<bool>,
}

impl Taken {
    fn new() -> Self {
        Self {
            guards: Vec::with_capacity(PARENTS),
            wanted: Vec::with_capacity(PARENTS),
        }
    }

    fn take(&mut self, tensor: Tracked) -> FlexTensor {
        self.wanted.push(tensor.is_tracked());
        let (primitive, guard) = tensor.into_parts();
        self.guards.push(guard);
        primitive
    }

    /// Takes an operand. An absent operand has a place without gradient.
    fn operand(&mut self, tensor: Option<Tracked>) -> Operand<Flex> {
        if let Some(tensor) = tensor {
            return Operand::Given(self.take(tensor));
        }
        self.take(Tracked::new(vector(Vec::new())));
        Operand::Absent
    }
}
