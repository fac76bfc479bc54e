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

#[cfg(feature = "keras")]
use super::design::KerasWeights;
use super::design::{self, Design, Family};
use super::families::zoo;
use super::head::{self, Head, Pooling};
use super::names::Tensors;
use super::variant::Variant;
use super::{InceptionV3Config, ResNetConfig, VggConfig, XceptionAlignedConfig, XceptionConfig};
use crate::error::ConfigError;
use crate::hidden::HiddenActivation;

/// A network of the zoo under the name by which papers and libraries know it.
pub type Published = design::Published<Architecture>;

/// How a network of the zoo is found in a PyTorch file.
pub type Torch = design::Torch<Architecture>;

/// Declares [`Architecture`] from the list of the zoo.
macro_rules! architecture {
    ($($(#[$doc:meta])* $variant:ident($config:ident),)*) => {
        /// A network's architecture: one of the zoo with its options, or a graph of its own.
        ///
        /// In TOML or JSON it is a table with the key `architecture` (default `xception`), and with the options that
        /// differ from their defaults, or with the graph.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Architecture {
            $($(#[$doc])* $variant($config),)*
            /// A network that has no configuration in the zoo.
            Graph(Arc<Graph>),
        }

        impl Architecture {
            /// The architecture's name in descriptions and cards.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $config::NAME,)*
                    Self::Graph(_) => GRAPH,
                }
            }

            /// The options; `None` for a graph.
            pub(super) fn design(&self) -> Option<&dyn Design> {
                match self {
                    $(Self::$variant(config) => Some(config),)*
                    Self::Graph(_) => None,
                }
            }

            /// The options, to be changed; `None` for a graph.
            pub(super) fn design_mut(&mut self) -> Option<&mut dyn Design> {
                match self {
                    $(Self::$variant(config) => Some(config),)*
                    Self::Graph(_) => None,
                }
            }

            /// The networks of the zoo without a head that may have made this graph.
            pub(super) fn candidates(graph: &Graph) -> Vec<Self> {
                let mut found = Vec::new();
                $(found.extend($config::candidates(graph).into_iter().map(Self::$variant));)*
                found
            }

            /// The network of the zoo with these tensors; the options of its head are defaults.
            pub(super) fn of_tensors(tensors: &Tensors<'_>) -> Result<Self, String> {
                $(if let Some(found) = $config::of_tensors(tensors) {
                    return found.map(Self::$variant);
                })*
                Err("it has the tensors of no architecture of the zoo".into())
            }

            /// The network of the zoo with these layers in a Keras file of weights alone; the options of its head are
            /// defaults.
            #[cfg(feature = "keras")]
            pub(crate) fn of_keras(weights: &KerasWeights<'_>) -> Result<Self, String> {
                $(if let Some(found) = $config::of_keras(weights) {
                    return found.map(Self::$variant);
                })*
                Err("it has the layers of no architecture of the zoo".into())
            }

            /// The published networks of the zoo.
            pub fn published() -> Vec<Published> {
                let mut found = Vec::new();
                $(found.extend($config::published().into_iter().map(|published| Published {
                    network: Self::$variant(published.network),
                    name: published.name,
                    paper: published.paper,
                    keras: published.keras,
                    size: published.size,
                    scaling: published.scaling,
                }));)*
                found
            }

            /// How the networks of the zoo are found in PyTorch files.
            pub fn torch() -> Vec<Torch> {
                let mut found = Vec::new();
                $(if let Some(torch) = $config::torch() {
                    let of_names = |names: &[&str]| {
                        let torch = $config::torch().ok_or_else(String::new)?;
                        (torch.of_names)(names).map(Self::$variant)
                    };
                    found.push(Torch {
                        published: Self::$variant(torch.published),
                        of_names,
                        renamed: torch.renamed,
                        unused: torch.unused,
                        flattened: torch.flattened,
                    });
                })*
                found
            }

            /// Reads the options of an architecture by name; if `complete`, none may be missing.
            fn of_table(name: &str, table: Map<String, Value>, complete: bool) -> Result<Self, String> {
                match name {
                    $($config::NAME => Ok(Self::$variant(options::<$config>(table, complete)?)),)*
                    GRAPH => {
                        let graph: Graph =
                            serde_json::from_value(Value::Object(table)).map_err(|error| error.to_string())?;
                        graph.validate().map_err(|error| error.to_string())?;
                        Ok(Self::Graph(Arc::new(graph)))
                    }
                    _ => {
                        let known = [$($config::NAME),*].join(", ");
                        Err(format!("there is no architecture `{name}`; there are {known} and {GRAPH}"))
                    }
                }
            }

            /// The network's operations.
            pub fn graph(&self) -> Arc<Graph> {
                match self {
                    $(Self::$variant(config) => Arc::new(config.graph()),)*
                    Self::Graph(graph) => Arc::clone(graph),
                }
            }

            fn options(&self) -> Result<Value, serde_json::Error> {
                match self {
                    $(Self::$variant(config) => serde_json::to_value(config),)*
                    Self::Graph(graph) => serde_json::to_value(&**graph),
                }
            }
        }

        $(
            impl From<$config> for Architecture {
                fn from(config: $config) -> Self {
                    Self::$variant(config)
                }
            }

            impl Default for $config {
                fn default() -> Self {
                    Self::new()
                }
            }

            impl $config {
                /// Checks that the options describe a network.
                ///
                /// # Errors
                ///
                /// Names the first option that is wrong.
                pub fn validate(&self) -> Result<(), ConfigError> {
                    Design::validate(self)
                }

                /// The network's operations.
                pub fn graph(&self) -> Graph {
                    Design::graph(self)
                }
            }
        )*
    };
}

zoo!(architecture);

/// The name of [`Architecture::Graph`].
const GRAPH: &str = "graph";

impl Architecture {
    /// The key that names the architecture.
    const KEY: &str = "architecture";

    /// Checks that the options describe a network.
    ///
    /// # Errors
    ///
    /// Names the first option or layer that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Graph(graph) => Ok(graph.validate()?),
            zoo => zoo.design().map_or(Ok(()), Design::validate),
        }
    }

    /// The options of an Xception; `None` for other architectures.
    pub const fn xception(&self) -> Option<&XceptionConfig> {
        match self {
            Self::Xception(config) => Some(config),
            _ => None,
        }
    }

    /// The name under which the network is published, with whatever head; `None` if it is not published.
    pub fn published_as(&self) -> Option<Published> {
        let head = self.design()?.head();
        let in_channels = self.in_channels();
        Self::published().into_iter().find(|published| {
            let mut plain = published.network.clone();
            if let Some(design) = plain.design_mut() {
                design.set_head(head.clone());
                design.set_in_channels(in_channels);
            }
            plain == *self
        })
    }

    /// The pooling, if it is an option of the architecture.
    pub fn pooling(&self) -> Option<Pooling> {
        self.design().map(|design| design.head().pooling)
    }

    /// The same with this pooling, if it is an option of the architecture.
    #[must_use]
    pub fn with_pooling(mut self, pooling: Pooling) -> Self {
        if let Some(design) = self.design_mut() {
            let head = design.head();
            design.set_head(Head { pooling, ..head });
        }
        self
    }

    /// The variant, if it is an option of the architecture.
    pub fn variant(&self) -> Option<Variant> {
        self.design()?.variant()
    }

    /// The same of this variant, if it is an option of the architecture.
    #[must_use]
    pub fn with_variant(mut self, variant: Variant) -> Self {
        if let Some(design) = self.design_mut() {
            design.set_variant(variant);
        }
        self
    }

    /// Channels of the pictures.
    pub fn in_channels(&self) -> usize {
        match self {
            Self::Graph(graph) => graph.in_channels(),
            zoo => zoo.design().map_or(0, Design::in_channels),
        }
    }

    /// Whether the network has a classifier.
    pub fn include_top(&self) -> bool {
        match self {
            Self::Graph(graph) => graph.roles.logits.is_some(),
            zoo => zoo.design().is_some_and(|design| design.head().include_top),
        }
    }

    /// Number of the classifier's outputs; `None` without a classifier.
    pub fn outputs(&self) -> Option<usize> {
        match self {
            Self::Graph(graph) => graph.outputs(),
            zoo => {
                let head = zoo.design()?.head();
                head.include_top.then_some(head.num_classes)
            }
        }
    }

    /// Whether the network gives one vector for each picture.
    pub fn is_pooled(&self) -> bool {
        match self {
            Self::Graph(graph) => graph.roles.embedding.is_some(),
            zoo => zoo.pooling() != Some(Pooling::None),
        }
    }

    /// The widths of the hidden layers in the head of an architecture of the zoo; a graph shows its own.
    pub fn hidden_widths(&self) -> Vec<usize> {
        let head = self.design().map(Design::head).filter(|head| head.include_top);
        head.map_or_else(Vec::new, |head| head.hidden_layers)
    }

    /// How many hidden layers the head of an architecture of the zoo has; a graph shows its own.
    pub fn hidden_layers(&self) -> usize {
        self.hidden_widths().len()
    }

    /// The same with the head that its tensors show: the number of classes, if there is a classifier, and the widths
    /// of the layers before it. Pooling and dropout are unchanged.
    #[must_use]
    pub(crate) fn with_dense_layers(mut self, num_classes: Option<usize>, hidden_layers: Vec<usize>) -> Self {
        if let Some(design) = self.design_mut() {
            let own = design.head();
            let head = match num_classes {
                Some(num_classes) => Head {
                    include_top: true,
                    num_classes,
                    hidden_layers,
                    ..own
                },
                None => Head {
                    pooling: own.pooling,
                    map: own.map,
                    include_top: false,
                    ..design.plain_head()
                },
            };
            design.set_head(head);
        }
        self
    }

    /// The activation after each hidden layer of the head; `None` if hidden layers differ, or if the head is not one
    /// that this crate builds.
    pub fn hidden_activation(&self) -> Option<HiddenActivation> {
        match self {
            Self::Graph(graph) => head::hidden_activation(graph),
            zoo => (zoo.hidden_layers() > 0).then_some(HiddenActivation::RELU),
        }
    }

    /// The same with another activation after each hidden layer of the head. With an activation other than ReLU the
    /// result is a graph, whose tensors have the same names.
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
        Self::of_table(&name, table, complete)
    }

    fn to_table(&self) -> Result<Map<String, Value>, serde_json::Error> {
        let value = self.options()?;
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
fn options<C: Family>(table: Map<String, Value>, complete: bool) -> Result<C, String> {
    let defaults = serde_json::to_value(C::default()).map_err(|error| error.to_string())?;
    let Value::Object(mut options) = defaults else {
        return Err("its options are not a table".into());
    };
    if let Some(unknown) = table.keys().find(|key| !options.contains_key(*key)) {
        return Err(format!("`{unknown}` is not an option of the network"));
    }
    let is_missing = |key: &&String| !table.contains_key(*key) && !C::LATER.contains(&key.as_str());
    if complete && let Some(missing) = options.keys().find(is_missing) {
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

impl From<GraphError> for ConfigError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}
