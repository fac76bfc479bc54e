//! Recognises the network of a file without a config, from the names, classes and shapes of its layers.

use std::collections::BTreeMap;

use graph::{Graph, LayerId, Naming};
use keras_store::KerasLayer;

use crate::description::Description;
use crate::zoo::{Architecture, KerasWeights, Pooling, Variant};

/// A network that is recognised from its weights alone.
pub(super) struct Known {
    pub(super) description: Description,
    /// For each layer, its path in the file and the path of its module.
    pub(super) names: Vec<(String, String)>,
    /// The paths of layers after the backbone, which are left out.
    pub(super) left_out: Vec<String>,
}

/// The network of these layers. Without `top`, the network's backbone, whatever layers follow the backbone.
pub(super) fn recognise(layers: &[KerasLayer], top: bool) -> Result<Known, String> {
    let weighted = Weighted::sort(layers, top)?;
    let network = weighted.network(top)?;
    let (names, left_out) = weighted.homes(&network.graph(), top)?;
    let has_bias = |layer: &&KerasLayer| shape(layer, "bias").is_some();
    Ok(Known {
        description: Description {
            variant: network.variant().or(Some(Variant::Keras)),
            head_biases: if top {
                weighted.denses.iter().map(has_bias).collect()
            } else {
                Vec::new()
            },
            ..Description::new(network)
        },
        names,
        left_out,
    })
}

/// The named outputs of a network of `keras.applications`, each with its Keras layer: the layer's name, or its class
/// and the number of earlier layers of the class. The logits are left out, because old versions of Keras apply the
/// softmax in the same layer.
pub(super) fn stages(graph: &Graph) -> Vec<(String, String)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut places = vec![String::new(); graph.layers.len()];
    for id in graph.keras_order() {
        let layer = graph.layer(id);
        let class = graph::snake_case(graph.keras_class(id));
        let count = counts.entry(class).or_default();
        places[id.0] = match (layer.naming, *count) {
            (Naming::Given, _) => layer.name.clone(),
            (Naming::Automatic, 0) => format!("#{class}"),
            (Naming::Automatic, number) => format!("#{class}_{number}"),
        };
        *count += 1;
    }
    let ends = graph.layer_outputs();
    let stages = graph.stages().into_iter();
    stages
        .filter(|stage| {
            ends[graph.node(stage.node).layer.0] == Some(stage.node) && Some(stage.node) != graph.roles.logits
        })
        .map(|stage| (stage.name.to_owned(), places[graph.node(stage.node).layer.0].clone()))
        .filter(|(_, place)| !place.is_empty())
        .collect()
}

/// The layers with weights, by class and in order.
#[derive(Default)]
struct Weighted<'a> {
    /// Layers of classes that no network recognised from its weights alone contains.
    others: Vec<&'a KerasLayer>,
    /// The names of layers without weights.
    plain: Vec<&'a str>,
    convs: Vec<&'a KerasLayer>,
    separables: Vec<&'a KerasLayer>,
    norms: Vec<&'a KerasLayer>,
    denses: Vec<&'a KerasLayer>,
}

impl<'a> Weighted<'a> {
    fn sort(layers: &'a [KerasLayer], top: bool) -> Result<Self, String> {
        let mut weighted = Self {
            plain: layers
                .iter()
                .filter(|layer| layer.variables.is_empty())
                .map(|layer| layer.name.as_str())
                .collect(),
            ..Self::default()
        };
        for layer in layers.iter().filter(|layer| !layer.variables.is_empty()) {
            let rank = |name| shape(layer, name).map(<[usize]>::len);
            if rank("depthwise_kernel") == Some(4) && rank("pointwise_kernel") == Some(4) {
                weighted.separables.push(layer);
            } else if rank("moving_mean") == Some(1) {
                weighted.norms.push(layer);
            } else if rank("kernel") == Some(4) {
                weighted.convs.push(layer);
            } else if rank("kernel") == Some(2) {
                weighted.denses.push(layer);
            } else if top {
                return Err(format!(
                    "layer {} ({}) has weights, and no network that is known by its weights alone has such a layer; \
                     {WAY_OUT}",
                    layer.path,
                    class(layer)
                ));
            } else {
                weighted.others.push(layer);
            }
        }
        Ok(weighted)
    }

    /// The network with these names and shapes.
    fn network(&self, top: bool) -> Result<Architecture, String> {
        let (num_classes, hidden_layers) = match self.denses.split_last() {
            _ if !top => (None, Vec::new()),
            None => (None, Vec::new()),
            Some((predictions, hidden)) => (
                Some(last_side(predictions, "kernel")),
                hidden.iter().map(|layer| last_side(layer, "kernel")).collect(),
            ),
        };
        let convs = self.convs.iter().filter_map(|layer| match shape(layer, "kernel") {
            Some(&[height, width, input, output]) => Some((layer.name.as_str(), [height, width, input, output])),
            _ => None,
        });
        let separables = self
            .separables
            .iter()
            .map(|layer| match shape(layer, "pointwise_kernel") {
                Some([_, _, input, output]) => [*input, *output],
                _ => [0; 2],
            });
        let denses = self.denses.iter().filter(|_| top);
        let weights = KerasWeights {
            convs: convs.collect(),
            separables: separables.collect(),
            plain: self.plain.clone(),
            denses: denses
                .filter_map(|layer| match shape(layer, "kernel") {
                    Some(&[input, output]) => Some([input, output]),
                    _ => None,
                })
                .collect(),
        };
        let network = Architecture::of_keras(&weights)?.with_dense_layers(num_classes, hidden_layers);
        let graph = network.graph();
        let channels = graph.roles.feature_map.and_then(|map| graph.features(map));
        if let (Some(&[reads, _]), Some(channels)) = (weights.denses.first(), channels)
            && network.pooling() != Some(Pooling::Flatten)
            && reads != channels
        {
            let name = self.denses.first().map_or("", |layer| layer.path.as_str());
            return Err(format!(
                "its first fully-connected layer, {name}, reads {reads} values, and the last feature map has \
                 {channels} channels, so its head does more than pool them; {WAY_OUT}; with `--no-top` the backbone \
                 can be used"
            ));
        }
        Ok(network)
    }

    /// Pairs each layer's path with the path of its module. Without `top`, layers after the backbone are left out.
    ///
    /// A layer with its Keras name goes where the name says. The other layers (shortcuts without a stable name, and
    /// whole files with automatic names) are assigned by their order within their class, which is the order of
    /// `model.layers`.
    #[allow(clippy::type_complexity, reason = "two lists")]
    fn homes(&self, graph: &Graph, top: bool) -> Result<(Vec<(String, String)>, Vec<String>), String> {
        let mut names = Vec::new();
        let mut left_out: Vec<String> = self.others.iter().map(|layer| layer.path.clone()).collect();
        let order: Vec<LayerId> = graph.keras_order();
        for (class, layers) in [
            ("Conv2D", &self.convs),
            ("SeparableConv2D", &self.separables),
            ("BatchNormalization", &self.norms),
            ("Dense", &self.denses),
        ] {
            let mut left: Vec<_> = order
                .iter()
                .filter(|layer| graph.keras_class(**layer) == class)
                .map(|layer| graph.layer(*layer))
                .collect();
            let expected = left.len();
            let mut unnamed = Vec::new();
            for layer in layers {
                match left.iter().position(|own| own.name == layer.name) {
                    Some(index) => names.push((layer.path.clone(), left.remove(index).path.clone())),
                    None => unnamed.push(layer),
                }
            }
            // Keras lists layers in the order in which they were built: the backbone comes first.
            let extra = unnamed.split_off(left.len().min(unnamed.len()));
            if unnamed.len() < left.len() {
                let found = layers.len();
                return Err(format!(
                    "expected {expected} layers of class {class}, found {found}; {WAY_OUT}"
                ));
            }
            if top && !extra.is_empty() {
                let list: Vec<&str> = extra.iter().take(SHOWN).map(|layer| layer.path.as_str()).collect();
                let more = if extra.len() > SHOWN { ", .." } else { "" };
                return Err(format!(
                    "beside the {expected} layers of class {class} that {} has, it has {}{more}, and weights alone do \
                     not say where they stand; {WAY_OUT}; with `--no-top` the backbone can be used",
                    graph.title,
                    list.join(", ")
                ));
            }
            left_out.extend(extra.into_iter().map(|layer| layer.path.clone()));
            let pairs = unnamed.into_iter().zip(left);
            names.extend(pairs.map(|(layer, own)| (layer.path.clone(), own.path.clone())));
        }
        Ok((names, left_out))
    }
}

/// The most layers that a message lists.
const SHOWN: usize = 5;

const WAY_OUT: &str = "save the whole model (model.save), whose config says what it computes";

fn class(layer: &KerasLayer) -> &str {
    layer.class.as_deref().unwrap_or("unknown class")
}

fn shape<'a>(layer: &'a KerasLayer, variable: &str) -> Option<&'a [usize]> {
    let mut variables = layer.variables.iter();
    variables
        .find(|found| found.name == variable)
        .map(|found| found.shape.as_slice())
}

/// Number of output channels: the last side of every Keras kernel.
fn last_side(layer: &KerasLayer, variable: &str) -> usize {
    shape(layer, variable).and_then(<[usize]>::last).copied().unwrap_or(0)
}
