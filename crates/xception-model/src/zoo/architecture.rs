use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use graph::{Graph, GraphError};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::head::{self, Pooling};
use super::resnet::ResNetConfig;
use super::xception::{Variant, XceptionConfig};
use crate::error::ConfigError;
use crate::hidden::HiddenActivation;

/// A network's architecture: one of the zoo with its options, or a graph of its own.
///
/// In TOML or JSON it is a table with the key `architecture` (default `xception`), and with the options that differ
/// from their defaults, or with the graph.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Architecture {
    /// Xception.
    Xception(XceptionConfig),
    /// ResNet, first version.
    ResNet(ResNetConfig),
    /// A network that has no configuration in the zoo.
    Graph(Arc<Graph>),
}

impl Architecture {
    /// The key that names the architecture.
    const KEY: &str = "architecture";

    /// The architecture's name in descriptions and cards.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Xception(_) => "xception",
            Self::ResNet(_) => "resnet",
            Self::Graph(_) => "graph",
        }
    }

    /// Checks that the options describe a network.
    ///
    /// # Errors
    ///
    /// Names the first option or layer that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Xception(config) => config.validate(),
            Self::ResNet(config) => config.validate(),
            Self::Graph(graph) => Ok(graph.validate()?),
        }
    }

    /// The network's operations.
    pub fn graph(&self) -> Arc<Graph> {
        match self {
            Self::Xception(config) => Arc::new(config.graph()),
            Self::ResNet(config) => Arc::new(config.graph()),
            Self::Graph(graph) => Arc::clone(graph),
        }
    }

    /// The options of an Xception; `None` for other architectures.
    pub const fn xception(&self) -> Option<&XceptionConfig> {
        match self {
            Self::Xception(config) => Some(config),
            _ => None,
        }
    }

    /// The pooling, if it is an option of the architecture.
    pub const fn pooling(&self) -> Option<Pooling> {
        match self {
            Self::Xception(config) => Some(config.pooling),
            Self::ResNet(config) => Some(config.pooling),
            Self::Graph(_) => None,
        }
    }

    /// The variant (batch-norm epsilon and pool padding), if it is an option of the architecture.
    pub const fn variant(&self) -> Option<Variant> {
        match self {
            Self::Xception(config) => Some(config.variant),
            _ => None,
        }
    }

    /// Channels of the pictures.
    pub fn in_channels(&self) -> usize {
        match self {
            Self::Xception(config) => config.in_channels,
            Self::ResNet(config) => config.in_channels,
            Self::Graph(graph) => graph.in_channels(),
        }
    }

    /// Whether the network has a classifier.
    pub fn include_top(&self) -> bool {
        match self {
            Self::Xception(config) => config.include_top,
            Self::ResNet(config) => config.include_top,
            Self::Graph(graph) => graph.taps.logits.is_some(),
        }
    }

    /// Number of the classifier's outputs; `None` without a classifier.
    pub fn outputs(&self) -> Option<usize> {
        match self {
            Self::Xception(config) => config.include_top.then_some(config.num_classes),
            Self::ResNet(config) => config.include_top.then_some(config.num_classes),
            Self::Graph(graph) => graph.outputs(),
        }
    }

    /// Whether the network gives one vector for each picture.
    pub fn is_pooled(&self) -> bool {
        match self {
            Self::Xception(config) => config.pooling != Pooling::None,
            Self::ResNet(config) => config.pooling != Pooling::None,
            Self::Graph(graph) => graph.taps.embedding.is_some(),
        }
    }

    /// How many hidden layers the head of an architecture of the zoo has; a graph shows its own.
    pub const fn hidden_layers(&self) -> usize {
        match self {
            Self::Xception(config) => config.hidden_layers.len(),
            Self::ResNet(config) => config.hidden_layers.len(),
            Self::Graph(_) => 0,
        }
    }

    /// What stands behind each hidden layer of its head, where all have the same and the head is one of this crate's.
    pub fn hidden_activation(&self) -> Option<HiddenActivation> {
        match self {
            Self::Graph(graph) => head::hidden_activation(graph),
            zoo => (zoo.hidden_layers() > 0).then_some(HiddenActivation::RELU),
        }
    }

    /// The same with another activation behind each hidden layer of its head. Other than ReLU it is a graph, whose
    /// tensors have the same names.
    #[must_use]
    pub fn with_hidden_activation(self, activation: HiddenActivation) -> Self {
        if self.hidden_layers() == 0 || activation == HiddenActivation::RELU {
            return self;
        }
        Self::Graph(Arc::new(head::with_hidden_activation(
            (*self.graph()).clone(),
            activation,
        )))
    }

    /// The same with biases in the fully-connected layers of its head where `biases` says so: of the hidden layers in
    /// order, and of the classifier. A network with a layer without one is a graph, whose tensors have the same names.
    #[must_use]
    pub fn with_head_biases(self, biases: &[bool]) -> Self {
        if biases.iter().all(|bias| *bias) {
            return self;
        }
        Self::Graph(Arc::new(head::with_head_biases((*self.graph()).clone(), biases)))
    }

    /// Every tensor of the network by its path in the module tree, with its shape in Burn's layout: kernels
    /// `[out, in, height, width]`, depthwise ones `[channels, 1, height, width]`, dense ones `[in, out]`.
    ///
    /// Only shapes are listed: no tensor is allocated.
    pub fn tensor_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let parameters = self.graph().parameters().into_iter();
        parameters.map(|parameter| (parameter.name, parameter.shape)).collect()
    }

    /// Number of parameters, running statistics included.
    pub fn num_params(&self) -> usize {
        self.graph().num_params()
    }

    /// Reads a table of options, as in a card. Missing options get the architecture's defaults.
    ///
    /// # Errors
    ///
    /// Describes the unknown key or the wrong value.
    pub fn from_options(table: Map<String, Value>) -> Result<Self, String> {
        Self::from_table(table, false)
    }

    /// Reads a table of options; if `complete`, no option may be missing.
    fn from_table(mut table: Map<String, Value>, complete: bool) -> Result<Self, String> {
        let name = match table.remove(Self::KEY) {
            None => "xception".to_string(),
            Some(Value::String(name)) => name,
            Some(other) => return Err(format!("`{}` is {other}, which is no name", Self::KEY)),
        };
        let architecture = match name.as_str() {
            "xception" => Self::Xception(options(&XceptionConfig::new(), table, complete)?),
            "resnet" => Self::ResNet(options(&ResNetConfig::new(), table, complete)?),
            "graph" => {
                let graph: Graph = serde_json::from_value(Value::Object(table)).map_err(|error| error.to_string())?;
                graph.validate().map_err(|error| error.to_string())?;
                Self::Graph(Arc::new(graph))
            }
            _ => {
                return Err(format!(
                    "there is no architecture `{name}`; there are xception, resnet and graph"
                ));
            }
        };
        Ok(architecture)
    }

    fn to_table(&self) -> Result<Map<String, Value>, serde_json::Error> {
        let value = match self {
            Self::Xception(config) => serde_json::to_value(config)?,
            Self::ResNet(config) => serde_json::to_value(config)?,
            Self::Graph(graph) => serde_json::to_value(&**graph)?,
        };
        let mut table = Map::new();
        table.insert(Self::KEY.into(), self.name().into());
        if let Value::Object(options) = value {
            table.extend(options);
        }
        Ok(table)
    }
}

/// The options of a table over the defaults. Burn's `Config` ignores unknown options; here they are an error, because a
/// misspelt option would silently give another network.
fn options<T: Serialize + for<'de> Deserialize<'de>>(
    defaults: &T,
    table: Map<String, Value>,
    complete: bool,
) -> Result<T, String> {
    let defaults = serde_json::to_value(defaults).map_err(|error| error.to_string())?;
    let Value::Object(mut options) = defaults else {
        return Err("its options are not a table".into());
    };
    if let Some(unknown) = table.keys().find(|key| !options.contains_key(*key)) {
        return Err(format!("`{unknown}` is not an option of the network"));
    }
    if complete && let Some(missing) = options.keys().find(|key| !table.contains_key(*key)) {
        return Err(format!("it does not say `{missing}` of the network"));
    }
    options.extend(table);
    serde_json::from_value(Value::Object(options)).map_err(|error| error.to_string())
}

impl Serialize for Architecture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_table().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Architecture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_table(Map::deserialize(deserializer)?, true).map_err(D::Error::custom)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph(graph) => write!(f, "a network of {} layers ({})", graph.layers.len(), graph.title),
            _ => match self.to_table() {
                Ok(table) => write!(f, "{}", Value::Object(table)),
                Err(_) => f.write_str(self.name()),
            },
        }
    }
}

impl From<XceptionConfig> for Architecture {
    fn from(config: XceptionConfig) -> Self {
        Self::Xception(config)
    }
}

impl From<ResNetConfig> for Architecture {
    fn from(config: ResNetConfig) -> Self {
        Self::ResNet(config)
    }
}

impl From<GraphError> for ConfigError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}
