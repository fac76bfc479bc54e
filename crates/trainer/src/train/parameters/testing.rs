//! A small network and its parameters, for the tests of this folder.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use xception_model::{Widths, XceptionConfig};

use crate::random::{Purpose, Random};
use crate::tensor::numbers;
use crate::train::objective::Objective;
use crate::train::recipe::{Phase, Recipe};
use crate::train::step::{NetworkInput, StepInput};
use crate::train::trainee::Trainee;

pub fn trainee() -> Trainee {
    let device = Device::flex().autodiff();
    let network = XceptionConfig::new()
        .with_num_classes(3)
        .with_middle_blocks(1)
        .with_dropout(0.0)
        .with_widths(Widths {
            stem: [4, 8],
            entry: [8, 12, 16],
            exit: [16, 20, 24].into(),
        })
        .init(&device)
        .unwrap()
        .map(&mut Drawn(Random::new(1, Purpose::Weights, 0, 0)));
    let objective = Objective {
        multi_label: false,
        label_smoothing: 0.0,
        class_weights: None,
    };
    Trainee::new(network, objective)
}

/// Draws all weights but biases and norms, Glorot-uniform. Burn has one random generator per process, and other tests
/// draw from it at the same time.
struct Drawn(Random);

impl ModuleMapper for Drawn {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D == 1 {
            return param;
        }
        let shape: [usize; D] = param.lazy_shape().dims();
        let taps: usize = shape[2..].iter().product();
        let limit = (6.0 / ((shape[0] + shape[1]) * taps) as f64).sqrt();
        let device = param.lazy_device();
        param.map(|old| drawn(&mut self.0, shape, [-limit, limit], &device).set_require_grad(old.is_require_grad()))
    }
}

fn drawn<const D: usize>(random: &mut Random, shape: [usize; D], [low, high]: [f64; 2], device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| random.between(low, high) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub fn phase() -> Phase {
    Recipe::load("fine-tune").unwrap().phases.pop().unwrap()
}

pub fn batch() -> StepInput {
    let device = Device::flex().autodiff();
    let mut random = Random::new(2, Purpose::Weights, 0, 0);
    StepInput {
        input: NetworkInput::Pictures(drawn(&mut random, [2, 3, 71, 71], [0.0, 1.0], &device)),
        targets: Tensor::from_floats([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], &device),
        place: 0,
    }
}

/// A parameter or a statistic, with its gradient.
pub struct Seen {
    pub path: String,
    pub rank: usize,
    pub values: Vec<f32>,
    pub gradient: Option<Vec<f32>>,
    pub id: ParamId,
}

impl Seen {
    pub fn is_statistic(&self) -> bool {
        self.path.contains("running_")
    }
}

struct Look<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    seen: Vec<Seen>,
}

impl ModuleVisitor for Look<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.gradients.get::<D>(param.id);
        self.seen.push(Seen {
            path: self.path.join("."),
            rank: D,
            values: numbers(param.val()),
            gradient: gradient.map(numbers),
            id: param.id,
        });
    }
}

pub fn look(trainee: &Trainee, gradients: &GradientsParams) -> Vec<Seen> {
    let mut look = Look {
        gradients,
        path: Vec::new(),
        seen: Vec::new(),
    };
    trainee.visit(&mut look);
    assert!(look.seen.len() > 50);
    look.seen
}

/// Gradients whose values are all `value`.
pub fn gradients(trainee: &Trainee, value: f32) -> GradientsParams {
    struct Fill<'a>(&'a mut GradientsParams, f32);
    impl ModuleVisitor for Fill<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.val().inner().zeros_like() + self.1;
            self.0.register(param.id, gradient);
        }
    }
    let mut gradients = GradientsParams::new();
    trainee.visit(&mut Fill(&mut gradients, value));
    gradients
}
