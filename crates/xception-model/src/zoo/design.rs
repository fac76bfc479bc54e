//! What each architecture of the zoo provides. The list of architectures is in `families.rs`.

use alloc::string::String;
use alloc::vec::Vec;

use graph::Graph;
use serde::{Deserialize, Serialize};

use super::head::Head;
use super::names::Tensors;
use super::variant::Variant;
use crate::error::ConfigError;
use crate::input::Scaling;

/// A network's options, whatever its architecture.
pub(super) trait Design {
    /// Checks that the options describe a network.
    fn validate(&self) -> Result<(), ConfigError>;

    /// The network.
    fn graph(&self) -> Graph;

    /// The options of the layers after the last feature map.
    fn head(&self) -> Head;

    /// The defaults of these options.
    fn plain_head(&self) -> Head;

    /// Sets the options of the layers after the last feature map.
    fn set_head(&mut self, head: Head);

    /// Channels of the picture.
    fn in_channels(&self) -> usize;

    /// Sets the channels of the picture.
    fn set_in_channels(&mut self, channels: usize);

    /// Leaves out the last `count` layers before the head, those included that are left out already; without effect
    /// where that is no option.
    fn leave_out(&mut self, _: usize) -> Result<(), ConfigError> {
        Ok(())
    }

    /// The library whose version of the network it is, where that is an option.
    fn variant(&self) -> Option<Variant> {
        None
    }

    /// Sets the library whose version of the network it is; without effect where that is no option.
    fn set_variant(&mut self, _: Variant) {}
}

/// An architecture: how it is called, and how a network of it is found in files.
pub(super) trait Family: Design + Clone + Default + Serialize + for<'de> Deserialize<'de> {
    /// The name in descriptions and cards.
    const NAME: &'static str;

    /// Options that descriptions of earlier versions do not have.
    const LATER: &'static [&'static str] = &[];

    /// Published networks, the smallest first.
    fn published() -> Vec<Published<Self>>;

    /// The networks without a head that may have made this graph.
    fn candidates(graph: &Graph) -> Vec<Self>;

    /// The network whose record has tensors of these names and shapes; `None` if the names are of another network.
    /// Shapes do not show pooling and variant, which are set to their defaults.
    fn of_tensors(tensors: &Tensors<'_>) -> Option<Result<Self, String>>;

    /// How PyTorch's version of the network is found, if there is one.
    fn torch() -> Option<Torch<Self>> {
        None
    }

    /// The network of the layers in a Keras file of weights alone; `None` if the layers are of another network. Options
    /// of the head are set by the caller.
    #[cfg_attr(
        not(feature = "keras"),
        allow(dead_code, reason = "Keras files are read with the feature `keras`")
    )]
    fn of_keras(_: &KerasWeights<'_>) -> Option<Result<Self, String>> {
        None
    }
}

/// A network under the name by which papers and libraries know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Published<C> {
    /// The name, such as `resnet50`.
    pub name: &'static str,
    /// The paper.
    pub paper: &'static str,
    /// The function of `keras.applications` that builds the network.
    pub keras: Option<&'static str>,
    /// The network.
    pub network: C,
    /// Height and width of the pictures, in pixels.
    pub size: usize,
    /// The scaling of the pictures.
    pub scaling: Scaling,
}

/// How a network is found in a PyTorch file.
#[derive(Clone, Debug)]
pub struct Torch<C> {
    /// A published network without its head. Most names of a file are in it, whatever the file's depth.
    pub published: C,
    /// The network with the depth that these names of tensors show; other options are defaults.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub of_names: fn(&[&str]) -> Result<C, String>,
    /// Other names of modules: their beginning, and that of the name in the graph.
    pub renamed: &'static [(&'static str, &'static str)],
    /// Beginnings of the names of modules that prediction does not use.
    pub unused: &'static [&'static str],
    /// How the head reads the last feature map, where it does not pool it.
    pub flattened: bool,
}

/// The layers with weights in a Keras file, by class and in the order of `model.layers`.
#[derive(Clone, Debug, Default)]
pub struct KerasWeights<'a> {
    /// The name and the kernel's shape `[height, width, in, out]` of each convolution.
    pub convs: Vec<(&'a str, [usize; 4])>,
    /// Input and output channels of each separable convolution.
    pub separables: Vec<[usize; 2]>,
    /// Input and output features of each fully-connected layer.
    pub denses: Vec<[usize; 2]>,
    /// The names of the layers without weights, if the file lists them.
    pub plain: Vec<&'a str>,
}

/// Implements the parts of [`Design`] that are fields of every configuration.
macro_rules! head_options {
    () => {
        fn head(&self) -> Head {
            Head {
                pooling: self.pooling,
                include_top: self.include_top,
                hidden_layers: self.hidden_layers.clone(),
                dropout: self.dropout,
                num_classes: self.num_classes,
                map: None,
            }
        }

        fn plain_head(&self) -> Head {
            Self::new().head()
        }

        fn set_head(&mut self, head: Head) {
            self.pooling = head.pooling;
            self.include_top = head.include_top;
            self.hidden_layers = head.hidden_layers;
            self.dropout = head.dropout;
            self.num_classes = head.num_classes;
        }

        fn in_channels(&self) -> usize {
            self.in_channels
        }

        fn set_in_channels(&mut self, channels: usize) {
            self.in_channels = channels;
        }
    };
}

/// Implements the parts of [`Design`] for a configuration with a field `variant` that may be one of these.
macro_rules! variant_option {
    ($($variant:ident)|+) => {
        fn variant(&self) -> Option<Variant> {
            Some(self.variant)
        }

        fn set_variant(&mut self, variant: Variant) {
            if matches!(variant, $(Variant::$variant)|+) {
                self.variant = variant;
            }
        }
    };
}

pub(super) use {head_options, variant_option};
