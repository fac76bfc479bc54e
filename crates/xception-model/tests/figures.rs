//! The paper's figures 2 to 4: what is the same as what.

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use common::{relative_error, values};
use xception_model::graph::{Builder, Conv, Graph, NewLayer, NodeId, Op, Padding, Roles, Tolerance};
use xception_model::zoo::figures::{Towers, extreme};
use xception_model::{Architecture, Network};

const TOWERS: Towers = Towers {
    inputs: 12,
    towers: 3,
    middle: 8,
    outputs: 10,
};

/// Sets tensors by their names.
struct Set<'a> {
    tensors: &'a HashMap<String, Vec<f32>>,
    path: Vec<String>,
}

impl ModuleMapper for Set<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let data = TensorData::new(self.tensors[&self.path.join(".")].clone(), param.lazy_shape());
        let device = param.lazy_device();
        param.map(|_| Tensor::from_data(data, &device))
    }
}

fn network(graph: Graph, tensors: &HashMap<String, Vec<f32>>) -> Network {
    let network = Architecture::Graph(Arc::new(graph)).init(&common::device());
    let path = Vec::new();
    network.expect("a valid graph").map(&mut Set { tensors, path })
}

/// Kernels of the towers, by name, and those of the one grouped convolution: the towers' side by side.
fn kernels() -> (HashMap<String, Vec<f32>>, HashMap<String, Vec<f32>>) {
    let (mut apart, mut joined) = (HashMap::new(), HashMap::new());
    for tower in 1..=TOWERS.towers {
        for (part, name, count) in [
            ("1x1", "pointwise", TOWERS.inputs * TOWERS.middle),
            ("3x3", "grouped", TOWERS.middle * TOWERS.outputs * 9),
        ] {
            let key = format!("tower{tower}_{part}");
            let values = common::uniform_input([1, 1, tower, count], -1.0, 1.0)[..count].to_vec();
            // Kernels are `[out, in, height, width]`: those of a group follow those of the group before.
            let all: &mut Vec<f32> = joined.entry(format!("{name}.weight")).or_default();
            all.extend(&values);
            apart.insert(format!("{key}.weight"), values);
        }
    }
    (apart, joined)
}

#[test]
fn figure_2_is_figure_3() {
    let (apart, joined) = kernels();
    let (two, three) = (
        network(TOWERS.simplified(), &apart),
        network(TOWERS.reformulated(), &joined),
    );
    let picture = common::input([2, 17, 13, TOWERS.inputs], &common::device());
    let [two, three] = [two, three].map(|module| {
        let plain = values(&module.feature_map(picture.clone()).expect("a valid input"));
        let fused = values(&module.fuse().feature_map(picture.clone()).expect("a valid input"));
        assert!(relative_error(&fused, &plain) < 1e-6);
        plain
    });
    assert_eq!(two.len(), 2 * 17 * 13 * TOWERS.towers * TOWERS.outputs);
    let error = relative_error(&two, &three);
    assert!(error < 1e-6, "off by {error:.1e}");
}

#[test]
fn one_channel_for_each_tower_is_figure_4() {
    let towers = Towers {
        inputs: 6,
        towers: 9,
        middle: 1,
        outputs: 1,
    };
    let relu = Some(xception_model::graph::Activation::Relu);
    let (three, four) = (towers.reformulated(), extreme(6, 9, relu));
    let pairs = three.correspondence(three.output(), &four, four.output(), Tolerance::default());
    assert!(pairs.is_ok(), "{pairs:?}");
    assert_eq!(four.num_params(), 6 * 9 + 9 * 9);
}

/// Layers in a row, without activations.
fn chain(ops: Vec<Op>) -> Graph {
    let (mut net, mut x) = Builder::new("A chain", 4);
    for (index, op) in ops.into_iter().enumerate() {
        let name = format!("layer{index}");
        x = net.layer(NewLayer::new(&name).at(&name), op, &[x]);
    }
    let roles = Roles {
        feature_map: Some(x),
        ..Roles::default()
    };
    net.finish(roles, 1)
}

/// With nothing between, a stack of extreme modules is a stack of separable convolutions that is cut at other places.
#[test]
fn figure_4_in_a_stack_is_a_separable_convolution() {
    let pointwise = |channels| Op::Conv(Conv::new(channels, [1; 2], Padding::Same));
    let depthwise = |channels| Op::Conv(Conv::new([channels; 2], [3; 2], Padding::Same).with_groups(channels));
    let widths = [4, 6, 8, 5];
    // Each module: 1 x 1, then 3 x 3 on every channel.
    let extremes = widths
        .windows(2)
        .flat_map(|pair| [pointwise([pair[0], pair[1]]), depthwise(pair[1])]);
    let extremes = chain(extremes.collect());
    // Each separable convolution: 3 x 3 on every channel, then 1 x 1; before and after them the halves that are left.
    let separables = widths[1..]
        .windows(2)
        .flat_map(|pair| [depthwise(pair[0]), pointwise([pair[0], pair[1]])]);
    let first = pointwise([widths[0], widths[1]]);
    let separables = [first].into_iter().chain(separables).chain([depthwise(widths[3])]);
    let separables = chain(separables.collect());
    extremes
        .correspondence(
            extremes.output(),
            &separables,
            separables.output(),
            Tolerance::default(),
        )
        .expect("the same operations in the same order");
    let module = extreme(4, 6, None);
    module
        .correspondence(module.output(), &separables, NodeId(2), Tolerance::default())
        .expect("the first two layers are figure 4");
}
