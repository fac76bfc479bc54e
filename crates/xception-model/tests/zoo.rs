//! The published networks against the numbers of the libraries that publish them: layers and their order, tensors,
//! parameters, multiply-adds.

use sha2::{Digest, Sha256};
use xception_model::graph::{
    Activation, BatchNorm, Block, Builder, ChannelOrder, Dense, NewLayer, Op, Padding, Pool, PoolKind, Roles,
};
use xception_model::{Architecture, Graph, Pooling, Published, Variant};

/// What Keras 3.15 says about `keras.applications.X(weights=None)`.
struct Keras {
    name: &'static str,
    layers: usize,
    weighted: usize,
    tensors: usize,
    params: usize,
    trainable: usize,
    multiply_adds: u64,
    /// The first digits of the SHA-256 of the names of `model.layers`, joined by line feeds.
    order: &'static str,
}

const KERAS: [Keras; 7] = [
    Keras {
        name: "xception",
        layers: 134,
        weighted: 81,
        tensors: 236,
        params: 22_910_480,
        trainable: 22_855_952,
        multiply_adds: 8_357_403_496,
        order: "a65ec06ca9bedd25",
    },
    Keras {
        name: "vgg16",
        layers: 23,
        weighted: 16,
        tensors: 32,
        params: 138_357_544,
        trainable: 138_357_544,
        multiply_adds: 15_470_264_320,
        order: "6ba21e72e9d82565",
    },
    Keras {
        name: "vgg19",
        layers: 26,
        weighted: 19,
        tensors: 38,
        params: 143_667_240,
        trainable: 143_667_240,
        multiply_adds: 19_632_062_464,
        order: "4d24e159bf723006",
    },
    Keras {
        name: "resnet50",
        layers: 177,
        weighted: 107,
        tensors: 320,
        params: 25_636_712,
        trainable: 25_583_592,
        multiply_adds: 3_857_973_248,
        order: "bb97e61fb3ad0d7d",
    },
    Keras {
        name: "resnet101",
        layers: 347,
        weighted: 209,
        tensors: 626,
        params: 44_707_176,
        trainable: 44_601_832,
        multiply_adds: 7_570_194_432,
        order: "dfec9a3331590a22",
    },
    Keras {
        name: "resnet152",
        layers: 517,
        weighted: 311,
        tensors: 932,
        params: 60_419_944,
        trainable: 60_268_520,
        multiply_adds: 11_282_415_616,
        order: "eac14d8894720065",
    },
    Keras {
        name: "inception_v3",
        layers: 313,
        weighted: 189,
        tensors: 378,
        params: 23_851_784,
        trainable: 23_817_352,
        multiply_adds: 5_713_216_096,
        order: "21d32daafca798d9",
    },
];

/// What torchvision 0.29 and timm 1.0 say: tensors of the `state_dict` without `num_batches_tracked`, parameters
/// without running statistics, and multiply-adds in millions.
const TORCH: [(&str, usize, usize, u64); 11] = [
    ("vgg16", 32, 138_357_544, 15_470),
    ("vgg19", 38, 143_667_240, 19_632),
    ("resnet50", 267, 25_557_032, 4_089),
    ("resnet101", 522, 44_549_160, 7_801),
    ("resnet152", 777, 60_192_808, 11_514),
    ("inception_v3", 472, 23_834_568, 5_713),
    ("xception41", 422, 26_969_560, 9_204),
    ("xception65", 662, 39_916_312, 13_853),
    ("xception71", 732, 42_338_736, 17_947),
    ("xception41p", 246, 26_907_752, 9_204),
    ("xception65p", 390, 39_819_560, 13_853),
];

fn published(name: &str) -> Published {
    let mut found = Architecture::published().into_iter();
    found
        .find(|published| published.name == name)
        .unwrap_or_else(|| panic!("no published network is called {name}"))
}

/// Names as `keras.applications` gives them in a fresh process, in the order of `model.layers`.
fn names_in_order(graph: &Graph) -> Vec<String> {
    let names = graph.keras_names();
    let order = graph.keras_order().into_iter();
    order.map(|layer| names[layer.0].clone()).collect()
}

#[test]
fn keras_networks_have_keras_layers_and_numbers() {
    for keras in &KERAS {
        let published = published(keras.name);
        let graph = published.network.graph();
        let summary = graph.summary([published.size; 2]).unwrap();
        assert_eq!(summary.params(), keras.params, "{}", keras.name);
        assert_eq!(summary.trainable_params(), keras.trainable, "{}", keras.name);
        assert_eq!(summary.multiply_adds(), keras.multiply_adds, "{}", keras.name);
        let weighted = summary.rows.iter().filter(|row| row.params() > 0).count();
        assert_eq!(weighted, keras.weighted, "{}", keras.name);
        assert_eq!(graph.parameters().len(), keras.tensors, "{}", keras.name);
        let names = names_in_order(&graph);
        assert_eq!(names.len(), keras.layers, "{}", keras.name);
        let digest = Sha256::digest(names.join("\n").as_bytes());
        let digits = format!("{:016x}", u64::from_be_bytes(digest[..8].try_into().unwrap()));
        assert_eq!(digits, keras.order, "{}: the order of {names:?}", keras.name);
    }
}

#[test]
fn pytorch_networks_have_their_tensors_and_numbers() {
    for (name, tensors, trainable, multiply_adds) in TORCH {
        let published = published(name);
        let graph = published.network.with_variant(Variant::Torch).graph();
        let summary = graph.summary([published.size; 2]).unwrap();
        assert_eq!(summary.trainable_params(), trainable, "{name}");
        assert_eq!(graph.parameters().len(), tensors, "{name}");
        assert_eq!((summary.multiply_adds() + 500_000) / 1_000_000, multiply_adds, "{name}");
        let unnamed = graph
            .parameters()
            .into_iter()
            .find(|parameter| graph.node(parameter.node).torch.is_empty());
        assert_eq!(unnamed, None, "{name}: every tensor has its name in PyTorch");
    }
}

#[test]
fn every_published_network_is_known_by_its_options_and_its_graph() {
    for published in Architecture::published() {
        for variant in [Variant::Keras, Variant::Torch] {
            let network = published.network.clone().with_variant(variant);
            let table = serde_json::to_value(&network).unwrap();
            let again: Architecture = serde_json::from_value(table).unwrap();
            assert_eq!(again, network, "{}", published.name);
            network.validate().unwrap();

            let graph = (*network.graph()).clone();
            let file = xception_model::FileGraph {
                output: graph.output(),
                graph,
                size: Some([published.size; 2]),
                preset: None,
            };
            let found = xception_model::recognise(&file, false, false).unwrap();
            let found: Vec<_> = found.candidates.into_iter().map(|found| found.architecture).collect();
            assert_eq!(found, [network], "{}", published.name);
        }
        assert_eq!(
            published.network.published_as().map(|found| found.name),
            Some(published.name)
        );
        let other = published.network.clone().with_num_classes(7).unwrap();
        assert_eq!(other.published_as().map(|found| found.name), Some(published.name));
        let backbone = published.network.clone().without_top();
        let classifier = xception_model::NewHead {
            num_classes: 3,
            hidden_layers: vec![5],
            dropout: 0.1,
        };
        assert_eq!(backbone.with_classifier(&classifier).unwrap().outputs(), Some(3));
    }
}

/// The layers before the last, from the paper's Figure 5.
#[test]
fn the_last_layers_of_xception_are_left_out() {
    let xception = published("xception").network;
    assert_eq!(
        xception.clone().without_last_layers(0),
        Ok(xception.clone().without_top())
    );
    let whole = xception.graph();
    for (count, layer, widths) in [
        (1, "block14_sepconv1_act", vec![1024, 1536]),
        (2, "block13", vec![1024]),
    ] {
        let shorter = xception.clone().without_last_layers(count).unwrap();
        let options = serde_json::to_value(&shorter).unwrap();
        assert_eq!(options["architecture"], "xception");
        assert_eq!(options["widths"]["exit"], serde_json::json!(widths));
        assert_eq!(serde_json::from_value::<Architecture>(options).unwrap(), shorter);

        let graph = shorter.graph();
        let map = graph.roles.feature_map.unwrap();
        assert_eq!(graph.layer_of(map).name, layer);
        assert_eq!(graph.features(map), widths.last().copied());
        // The layers before are Xception's own.
        for (id, node) in graph.iter().filter(|(id, _)| id.0 <= map.0) {
            assert_eq!(node, whole.node(id));
            assert_eq!(graph.layer(node.layer), whole.layer(node.layer));
        }
        // It loses no other layer.
        assert_eq!(shorter.clone().without_last_layers(count), Ok(shorter.clone()));
        // A description of all its layers, as it was once stored, and what a file shows.
        let described = Architecture::Graph(graph);
        assert_eq!(described.clone().without_top(), shorter);
        assert_eq!(described.without_last_layers(1), Ok(shorter));
    }
    let error = xception.without_last_layers(3).unwrap_err().to_string();
    assert_eq!(error, "`leave_out` is 3; at most 2 is possible");
}

#[test]
fn other_networks_keep_their_last_layers() {
    let mut networks: Vec<Architecture> = Architecture::published()
        .into_iter()
        .map(|published| published.network)
        .filter(|network| network.xception().is_none())
        .collect();
    let towers = xception_model::zoo::figures::Towers {
        inputs: 3,
        towers: 3,
        middle: 8,
        outputs: 10,
    };
    networks.push(Architecture::Graph(towers.simplified().into()));
    for network in networks {
        for count in [1, 3] {
            assert_eq!(
                network.clone().without_last_layers(count),
                Ok(network.clone().without_top())
            );
        }
    }
}

/// Weights are found by their names, so a graph with names of its own stays one, whatever it computes.
#[test]
fn a_graph_with_other_names_of_tensors_keeps_them() {
    let mut graph = (*published("xception").network.without_top().graph()).clone();
    for node in graph.nodes.iter_mut().filter(|node| !node.path.is_empty()) {
        node.path = format!("model.{}", node.path);
    }
    for layer in graph.layers.iter_mut().filter(|layer| !layer.path.is_empty()) {
        layer.path = format!("model.{}", layer.path);
    }
    let network = Architecture::Graph(graph.into());
    assert_eq!(network.clone().without_top(), network);
    assert_eq!(network.clone().without_last_layers(1), Ok(network));
}

/// A backbone of the zoo with a head of layers, as a file shows it.
fn with_head(name: &str, size: usize, head: &[(&str, Op)]) -> xception_model::FileGraph {
    let backbone = published(name).network.without_top().with_pooling(Pooling::None);
    let mut net = Builder::from_graph((*backbone.graph()).clone());
    net.block(Block::HEAD);
    let mut output = backbone.graph().output();
    for (name, op) in head {
        let layer = NewLayer::new(name);
        let layer = match op {
            Op::Dense(_) | Op::BatchNorm(_) => layer.at(name),
            _ => layer,
        };
        output = net.layer(layer, op.clone(), &[output]);
    }
    xception_model::FileGraph {
        graph: net.finish(Roles::default(), 32),
        output,
        size: Some([size; 2]),
        preset: None,
    }
}

fn dense(features: [usize; 2]) -> Op {
    Op::Dense(Dense { features, bias: true })
}

fn flatten() -> Op {
    Op::Flatten {
        order: ChannelOrder::ChannelsLast,
    }
}

/// Keras's ResNet-50 of 2016 ends in an average pooling of 7 x 7, which is the whole map at 224 x 224.
#[test]
fn a_pooling_of_the_whole_map_is_a_global_one() {
    let window = Op::Pool(Pool {
        kind: PoolKind::Average,
        ..Pool::max(7, 7, Padding::Valid)
    });
    let head = [("avg_pool", window), ("flatten_1", flatten()), ("fc", dense([2048, 3]))];
    let found = |size: usize| {
        let file = with_head("resnet50", size, &head);
        let found = xception_model::recognise(&file, false, false).unwrap();
        found.candidates[0].architecture.clone()
    };
    let network = published("resnet50").network.with_num_classes(3).unwrap();
    assert_eq!(found(224), network);
    // Of a map of 8 x 8 the window leaves out a row and a column.
    let Architecture::Graph(graph) = found(256) else {
        panic!("a pooling of a part is no global pooling")
    };
    assert!(
        graph
            .nodes
            .iter()
            .any(|node| matches!(&node.op, Op::Pool(pool) if pool.window == [7; 2]))
    );
}

/// A head that no option describes, on a flattened map: the backbone is VGG-16 all the same.
#[test]
fn the_backbone_before_a_flattened_map_is_known() {
    let norm = Op::BatchNorm(BatchNorm {
        channels: 64,
        epsilon: 1e-3,
        momentum: 0.01,
        scale: true,
        center: true,
    });
    let head = [
        ("flatten", flatten()),
        ("dense_1", dense([7 * 7 * 512, 64])),
        ("batch_normalization", norm),
        ("dense_2", dense([64, 4])),
    ];
    let file = with_head("vgg16", 224, &head);
    let found = xception_model::recognise(&file, false, false).unwrap();
    let network = found.candidates[0].architecture.clone();
    assert!(matches!(network, Architecture::Graph(_)), "{network}");
    let backbone = published("vgg16").network.without_top();
    assert_eq!(network.without_top(), backbone);
    assert_eq!(backbone.pooling(), Some(Pooling::Average));
}

/// A softmax over one number is 1 for every picture. The network before it stays available.
#[test]
fn a_classifier_without_a_meaning_leaves_the_backbone() {
    let softmax = Op::Activation(Activation::Softmax);
    let head = [
        ("flatten", flatten()),
        ("fc", dense([7 * 7 * 512, 1])),
        ("softmax", softmax),
    ];
    let file = with_head("vgg16", 224, &head);
    let Err(error) = xception_model::recognise(&file, false, false) else {
        panic!("its output says nothing");
    };
    assert!(
        error.to_string().contains("layer softmax") && error.to_string().contains("`--no-top`"),
        "{error}"
    );
    let found = xception_model::recognise(&file, false, true).unwrap();
    let network = found.candidates[0].architecture.clone().without_top();
    assert_eq!(network, published("vgg16").network.without_top());
}
