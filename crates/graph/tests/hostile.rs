//! Graphs from untrusted files: a graph that is no valid network gives an error message, quickly, and within memory
//! bounded by the file's size.

use std::time::{Duration, Instant};

use graph::{
    Activation, Builder, Conv, Dense, Graph, GraphError, MAX_NODES, NewLayer, NodeId, Op, Padding, Pool, Roles,
    Tolerance,
};

/// The longest time that any check may take.
const QUICK: Duration = Duration::from_secs(5);

fn relu() -> Op {
    Op::Activation(Activation::Relu)
}

/// A convolution and a ReLU, without a norm.
fn small() -> Graph {
    let (mut net, x) = Builder::new("small", 3);
    net.block("block1");
    let conv = Op::Conv(Conv::new([3, 8], [3; 2], Padding::Same));
    let x = net.layer(NewLayer::new("conv").at("conv"), conv, &[x]);
    let x = net.layer(NewLayer::new("relu"), relu(), &[x]);
    let roles = Roles {
        feature_map: Some(x),
        ..Roles::default()
    };
    net.finish(roles, 1)
}

/// A chain of `count` activations.
fn chain(count: usize) -> Graph {
    let (mut net, mut x) = Builder::new("chain", 3);
    net.block("block1");
    for number in 0..count {
        let tanh = Op::Activation(Activation::Tanh);
        x = net.layer(NewLayer::new(&format!("tanh_{number}")), tanh, &[x]);
    }
    net.finish(Roles::default(), 1)
}

fn refused(change: impl FnOnce(&mut Graph)) -> String {
    let mut graph = small();
    graph.validate().expect("a network");
    change(&mut graph);
    let start = Instant::now();
    let error = graph.validate().expect_err("no network").to_string();
    assert!(start.elapsed() < QUICK);
    error
}

#[test]
fn a_graph_survives_json() {
    let graph = small();
    let text = serde_json::to_string(&graph).unwrap();
    assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), graph);
    let unknown = text.replacen("\"title\"", "\"headline\"", 1);
    assert!(serde_json::from_str::<Graph>(&unknown).is_err());
}

#[test]
fn what_is_no_network_is_named() {
    for (error, expected) in [
        (
            refused(|graph| graph.nodes[1].inputs = vec![NodeId(2)]),
            "has a cycle or is out of order",
        ),
        (
            refused(|graph| graph.nodes[1].inputs = vec![NodeId(1)]),
            "has a cycle or is out of order",
        ),
        (
            refused(|graph| graph.nodes[2].inputs = vec![NodeId(usize::MAX)]),
            "has a cycle or is out of order",
        ),
        (
            refused(|graph| graph.nodes[2].inputs.clear()),
            "activation with 0 inputs",
        ),
        (
            refused(|graph| graph.layers[2].name = "conv".into()),
            "two layers are called conv",
        ),
        (
            refused(|graph| graph.layers[1].name = "a\u{1b}[2J".into()),
            "a layer has the name",
        ),
        (
            refused(|graph| graph.layers[1].name = "x".repeat(501)),
            "a layer has the name",
        ),
        (
            refused(|graph| graph.nodes[1].path = "../etc/passwd".into()),
            "its path is",
        ),
        (refused(|graph| graph.nodes[1].path = "a..b".into()), "its path is"),
        (
            refused(|graph| graph.nodes[1].path.clear()),
            "convolution without a path",
        ),
        (
            refused(|graph| graph.nodes[2].path = "relu".into()),
            "activation with a path",
        ),
        (
            refused(|graph| graph.nodes[2].layer = graph::LayerId(9)),
            "to a layer that does not exist",
        ),
        (
            refused(|graph| graph.roles.logits = Some(NodeId(9))),
            "a role belongs to a node",
        ),
        (refused(|graph| graph.min_size = 0), "its smallest picture"),
        (refused(|graph| graph.nodes.clear()), "its first node is no input"),
    ] {
        assert!(error.contains(expected), "{error}");
    }
    let conv = |change: fn(&mut Conv)| {
        refused(|graph| {
            if let Op::Conv(conv) = &mut graph.nodes[1].op {
                change(conv);
            }
        })
    };
    for (error, expected) in [
        (conv(|conv| conv.channels = [3, usize::MAX]), "channels are"),
        (conv(|conv| conv.channels = [3, 0]), "channels are 0"),
        (conv(|conv| conv.kernel = [usize::MAX, 1]), "kernel is"),
        (conv(|conv| conv.stride = [0, 1]), "stride is 0"),
        (conv(|conv| conv.dilation = [1, usize::MAX]), "dilation is"),
        (conv(|conv| conv.groups = 0), "0 groups do not divide"),
        (conv(|conv| conv.groups = 2), "2 groups do not divide"),
        (
            conv(|conv| conv.padding = Padding::Explicit([usize::MAX; 4])),
            "it pads",
        ),
    ] {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_million_nodes_are_refused_at_once() {
    let start = Instant::now();
    let error = chain(MAX_NODES + 1).validate().expect_err("too many");
    assert!(matches!(error, GraphError::Graph(_)), "{error}");
    let mut graph = small();
    let node = graph.nodes[2].clone();
    graph.nodes.extend(std::iter::repeat_n(node, 1_000_000));
    assert!(graph.validate().is_err());
    assert!(start.elapsed() < QUICK, "{:?}", start.elapsed());
}

/// As deep as a graph may be: nothing recurses, and nothing is quadratic enough to be felt.
#[test]
fn the_deepest_chain_is_walked() {
    let start = Instant::now();
    let graph = chain(MAX_NODES - 1);
    graph.validate().expect("as many as are allowed");
    assert_eq!(graph.keras_order().len(), MAX_NODES);
    assert_eq!(graph.shapes([8, 8]).unwrap().len(), MAX_NODES);
    assert_eq!(graph.stages().len(), MAX_NODES - 1 + 1);
    assert_eq!(graph.folded().graph.nodes.len(), MAX_NODES);
    let pairs = graph.correspondence(graph.output(), &graph, graph.output(), Tolerance::default());
    assert!(pairs.unwrap().iter().all(Option::is_some));
    assert!(start.elapsed() < 4 * QUICK, "{:?}", start.elapsed());
}

#[test]
fn sizes_do_not_overflow_and_no_map_is_beyond_memory() {
    let error = |graph: &Graph, size| graph.shapes(size).expect_err("too large").to_string();
    let graph = small();
    assert!(
        error(&graph, [usize::MAX; 2]).contains("more than"),
        "{}",
        error(&graph, [usize::MAX; 2])
    );
    assert!(error(&graph, [1 << 20; 2]).contains("more than"));

    // Padding upon padding.
    let (mut net, mut x) = Builder::new("pads", 3);
    net.block("block1");
    for number in 0..2000 {
        let pad = Op::Pad { pads: [1 << 14; 4] };
        x = net.layer(NewLayer::new(&format!("pad_{number}")), pad, &[x]);
    }
    let graph = net.finish(Roles::default(), 1);
    graph.validate().expect("each is allowed");
    assert!(error(&graph, [8; 2]).contains("more than"));

    // A window that does not fit.
    let (mut net, x) = Builder::new("pool", 3);
    net.block("block1");
    net.layer(NewLayer::new("pool"), Op::Pool(Pool::max(3, 2, Padding::Valid)), &[x]);
    let graph = net.finish(Roles::default(), 1);
    assert!(error(&graph, [2, 8]).contains("too small"));

    // Concatenations that double.
    let (mut net, mut x) = Builder::new("doubling", 1024);
    net.block("block1");
    for number in 0..60 {
        x = net.layer(NewLayer::new(&format!("concat_{number}")), Op::Concat, &[x, x]);
    }
    let graph = net.finish(Roles::default(), 1);
    graph.validate().expect("each is allowed");
    assert!(error(&graph, [1; 2]).contains("more than"));

    // The parameters of a network are counted, however many they are.
    let (mut net, mut x) = Builder::new("dense", 1 << 24);
    net.block("head");
    for number in 0..1000 {
        let dense = Op::Dense(Dense {
            features: [1 << 24; 2],
            bias: true,
        });
        let name = format!("dense_{number}");
        x = net.layer(NewLayer::new(&name).at(&name), dense, &[x]);
    }
    let graph = net.finish(Roles::default(), 1);
    graph.validate().expect("each is allowed");
    assert!(graph.num_params() > 1 << 57);
}
