//! Xception as a part of another module: a head that estimates one number from a picture, trained here for three steps
//! on noise. `cargo run --release --example backbone`
//!
//! With the feature `pretrained`, `Xception::pretrained("xception-imagenet", &device)` instead of `init` starts from a
//! trained backbone.

use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use xception_model::{InputError, Xception, XceptionConfig};

#[derive(Module, Debug)]
struct Estimator {
    backbone: Xception,
    head: Linear,
}

impl Estimator {
    fn new(backbone: Xception, device: &Device) -> Result<Self, InputError> {
        let features = backbone.embedding_len()?;
        Ok(Self {
            // Frozen: its batch norms keep their statistics, and only the head learns.
            backbone: backbone.freeze(),
            head: LinearConfig::new(features, 1).init(device),
        })
    }

    /// # Shapes
    ///
    /// - `images`: `[batch, 3, height, width]`
    /// - output: `[batch, 1]`
    fn forward(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        Ok(self.head.forward(self.backbone.embed(images)?))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    let backbone = XceptionConfig::new().with_include_top(false).init(&device)?;
    let mut model = Estimator::new(backbone, &device)?;
    let mut optimizer = AdamConfig::new().init();

    let images = Tensor::random([2, 3, 71, 71], Distribution::Uniform(-1.0, 1.0), &device);
    let targets = Tensor::<2>::from_floats([[0.0], [1.0]], &device);
    for step in 1..=3 {
        let loss = MseLoss::new().forward(model.forward(images.clone())?, targets.clone(), Reduction::Mean);
        println!("step {step}: loss {:.4}", loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
    Ok(())
}
