//! A small network and its parameters, for the tests of this folder.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use xception_model::{Widths, XceptionConfig};

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
        .unwrap();
    let objective = Objective {
        multi_label: false,
        label_smoothing: 0.0,
        class_weights: None,
    };
    Trainee::new(network, objective)
}

pub fn phase() -> Phase {
    Recipe::load("fine-tune").unwrap().phases.pop().unwrap()
}

pub fn batch() -> StepInput {
    let device = Device::flex().autodiff();
    StepInput {
        input: NetworkInput::Pictures(Tensor::random([2, 3, 71, 71], Distribution::Default, &device)),
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
