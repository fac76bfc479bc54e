//! Two steps of plain SGD against Keras: losses, gradients, running statistics and the logits afterwards.
//!
//! All must agree to a relative error of 1e-5 in norm, on wgpu 1e-4.

mod common;

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Int, Tensor};
use common::{Network, Record};
use serde::Deserialize;
use xception_model::{Xception, XceptionConfig};

/// `tests/golden/network/training.json`.
#[derive(Deserialize)]
struct Training {
    network: Network,
    input: [usize; 4],
    labels: Vec<i64>,
    learning_rate: f64,
    /// Before any step, after one, after two.
    losses: [f64; 3],
    /// Of the first step.
    gradients: Vec<Record>,
    /// After two steps.
    moving: Vec<Record>,
    /// In inference, after two steps.
    logits: Record,
}

/// Shapes and values of tensors by `{layer}/{variable}`, in Keras's layout.
type Variables = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// Collects a model's tensors, or their gradients.
struct Collector<'a> {
    layers: HashMap<String, String>,
    gradients: Option<&'a GradientsParams>,
    path: Vec<String>,
    found: Variables,
}

impl<'a> Collector<'a> {
    fn collect(model: &Xception, gradients: Option<&'a GradientsParams>) -> Variables {
        let layers = model.graph().layers.iter();
        let mut collector = Self {
            layers: layers.map(|layer| (layer.path.clone(), layer.name.clone())).collect(),
            gradients,
            path: Vec::new(),
            found: HashMap::new(),
        };
        model.visit(&mut collector);
        collector.found
    }
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            None => Some(param.val()),
            Some(gradients) => gradients.get::<D>(param.id),
        };
        let Some(tensor) = tensor else { return };
        let (layer, variable) = common::keras_name(&self.layers, &self.path.join("."));
        let values = common::values(&tensor);
        let (shape, values) = match (variable, tensor.shape().as_slice()) {
            ("depthwise_kernel", &[a, b, c, d]) => {
                let data = common::permuted(&values, [a, b, c, d], [2, 3, 0, 1]);
                (vec![c, d, a, b], data.try_to_vec().expect("f32 data"))
            }
            (_, &[a, b, c, d]) => {
                let data = common::permuted(&values, [a, b, c, d], [2, 3, 1, 0]);
                (vec![c, d, b, a], data.try_to_vec().expect("f32 data"))
            }
            (_, shape) => (shape.to_vec(), values),
        };
        self.found.insert(format!("{layer}/{variable}"), (shape, values));
    }
}

fn loss(model: &Xception, golden: &Training, device: &Device) -> Tensor<1> {
    let logits = model
        .forward(common::input(golden.input, device))
        .expect("a valid input");
    let labels = Tensor::<1, Int>::from_ints(golden.labels.as_slice(), device);
    CrossEntropyLossConfig::new().init(device).forward(logits, labels)
}

/// Compares records with tensors, in values and in norm.
fn compare(what: &str, records: &[Record], found: &Variables, bound: f64) {
    assert!(!records.is_empty());
    let mut worst = [0.0_f64; 2];
    for record in records {
        let (shape, values) = found
            .get(&record.stage)
            .unwrap_or_else(|| panic!("{what}: no {}", record.stage));
        let errors = record.errors(shape, values);
        for (worst, error) in worst.iter_mut().zip(errors) {
            assert!(
                error <= bound,
                "{what} of {} is off by {error:.1e}, more than {bound:.0e}",
                record.stage
            );
            *worst = worst.max(error);
        }
    }
    println!("{what}: values {:.1e}, norms {:.1e}", worst[0], worst[1]);
}

/// The whole run on one device.
fn check(device: &Device, bound: f64) {
    let golden: Training = common::read("network/training.json");
    let config: XceptionConfig = golden.network.config();
    let plain = device.clone();
    let device = &device.clone().autodiff();
    let mut model = common::network(&config, &plain).train();
    let mut optimizer = SgdConfig::new().init();

    for (step, expected) in golden.losses.iter().enumerate() {
        if step == 2 {
            // Before the third forward pass, which moves the running statistics again.
            let trained = model.valid();
            compare("moving", &golden.moving, &Collector::collect(&trained, None), bound);
            let logits = trained
                .forward(common::input(golden.input, &plain))
                .expect("a valid input");
            let found = (logits.dims().to_vec(), common::values(&logits));
            compare(
                "logits",
                std::slice::from_ref(&golden.logits),
                &HashMap::from([("predictions".to_owned(), found)]),
                bound,
            );
        }
        let loss = loss(&model, &golden, device);
        let error = (f64::from(loss.clone().into_scalar::<f32>()) - expected).abs() / expected;
        println!("loss {step}: {error:.1e}");
        assert!(error <= bound, "the loss of step {step} is off by {error:.1e}");
        if step == 2 {
            break;
        }

        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        if step == 0 {
            let found = Collector::collect(&model, Some(&gradients));
            compare("gradient", &golden.gradients, &found, bound);
        }
        model = optimizer.step(golden.learning_rate, model, gradients);
    }
}

#[test]
fn two_steps_equal_keras() {
    for (name, device) in common::devices() {
        println!("{name}");
        check(&device, 1e-5);
    }
}

#[cfg(feature = "wgpu")]
#[test]
fn two_steps_equal_keras_on_wgpu() {
    check(&Device::wgpu(burn::tensor::DeviceKind::default()), 1e-4);
}
