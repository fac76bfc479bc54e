//! Facts about a network that a weight file may leave open.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use xception_model::{HiddenActivation, Known, Outputs, Pooling, Scaling, Variant};

use crate::args::size::Size;
use crate::args::values::parsed;

/// Names of [`Outputs`].
const OUTPUTS: [&str; 6] = ["softmax", "sigmoid", "binary", "logits", "value", "probabilities"];

/// Facts about a network that a weight file may leave open. A value that contradicts the file is refused.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Facts that the weight file leaves open")]
pub struct KnownArgs {
    /// What the outputs are: softmax, sigmoid (each class a yes or no), binary (one logit of two classes), logits (as
    /// softmax), value (a number), or probabilities (that the network computes itself)
    #[arg(long, value_name = "OUTPUTS", value_parser = parsed::<Outputs>(&OUTPUTS))]
    pub head: Option<Outputs>,
    /// The activation after each hidden layer of the head: relu, tanh, swish, `leaky_relu=0.01`, linear, ...
    #[arg(long, value_name = "NAME")]
    pub hidden_activation: Option<HiddenActivation>,
    /// How channel values are scaled: tf (-1..1), unit (0..1), torch (ImageNet's mean and deviation), caffe (BGR minus
    /// means), or none (0..255)
    #[arg(long, value_name = "NAME", value_parser = parsed::<Scaling>(&["tf", "unit", "torch", "caffe", "none"]))]
    pub scaling: Option<Scaling>,
    /// How the last feature map is pooled
    #[arg(long, value_name = "NAME", value_parser = pooling())]
    pub pooling: Option<Pooling>,
    /// Whose version of the network it is (strides, paddings and epsilons differ): Keras's, keras2 for the ResNet-50 of
    /// Keras 2.0 to 2.2, or torch for torchvision's and timm's
    #[arg(long, value_name = "NAME", value_parser = variant())]
    pub variant: Option<Variant>,
    /// The entry of a PyTorch checkpoint that holds the weights, such as `model_ema`
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
    /// The prefix of the tensors' names in a PyTorch checkpoint, such as `ema_model.`
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
}

impl KnownArgs {
    /// The facts that the user states; `size` comes from another flag.
    pub fn known(&self, size: Option<Size>) -> Known {
        Known {
            size: size.map(|size| [size.height, size.width]),
            pooling: self.pooling,
            variant: self.variant,
            outputs: self.head,
            hidden_activation: self.hidden_activation,
            scaling: self.scaling,
            key: self.key.clone(),
            prefix: self.prefix.clone(),
            ..Known::default()
        }
    }
}

fn pooling() -> impl TypedValueParser<Value = Pooling> {
    PossibleValuesParser::new(["average", "max", "none"]).map(|name| match name.as_str() {
        "max" => Pooling::Max,
        "none" => Pooling::None,
        _ => Pooling::Average,
    })
}

fn variant() -> impl TypedValueParser<Value = Variant> {
    PossibleValuesParser::new(["keras", "keras2", "torch"]).map(|name| match name.as_str() {
        "torch" => Variant::Torch,
        "keras2" => Variant::Keras2,
        _ => Variant::Keras,
    })
}
