//! Small models for one test each, as configs and as graphs.

use graph::{Builder, Graph, NodeId, Roles};
use serde_json::{Value, json};
use xception_model::keras::{self, End};

/// A sequence of layers on a picture of 8 x 8 x 4.
pub fn sequential(layers: &[(&str, Value)]) -> Value {
    let mut list = vec![json!({
        "class_name": "InputLayer", "config": {"name": "picture", "batch_shape": [null, 8, 8, 4]},
    })];
    for (place, (class, config)) in layers.iter().enumerate() {
        let mut config = config.clone();
        config["name"] = format!("layer{place}").into();
        list.push(json!({"class_name": class, "config": config}));
    }
    json!({"class_name": "Sequential", "config": {"name": "test", "layers": list}})
}

pub fn config(model: &Value, keras: Option<u32>) -> Result<Graph, String> {
    match keras::read_config(model, keras) {
        Ok(Some(network)) => Ok(network.graph),
        Ok(None) => Err("no model".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// The operations after the input, in their stored form.
pub fn ops(model: &Value, keras: Option<u32>) -> Result<Value, String> {
    let graph = config(model, keras)?;
    Ok(graph.nodes[1..]
        .iter()
        .map(|node| match serde_json::to_value(&node.op).unwrap() {
            Value::Object(op) => tagged(op),
            op => json!({"op": op}),
        })
        .collect())
}

/// Turns `{"conv": {..}}` into `{"op": "conv", ..}`, to which changes can be applied.
pub fn tagged(op: serde_json::Map<String, Value>) -> Value {
    let (name, settings) = op.into_iter().next().unwrap();
    let Value::Object(mut settings) = settings else {
        return json!({"op": name, "value": settings});
    };
    settings.insert("op".to_owned(), name.into());
    settings.into()
}

pub fn conv(changes: &Value) -> Value {
    let mut conv = json!({
        "op": "conv", "channels": [4, 6], "kernel": [3, 3], "stride": [1, 1], "dilation": [1, 1], "groups": 1,
        "bias": true, "padding": "valid",
    });
    conv.as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    conv
}

/// A layer or operation with the arguments of its call.
pub fn called(module: &str, class: &str, config: Value, arguments: Value) -> Value {
    let mut config = config;
    config["name"] = "called".into();
    let tensor = |name: &str| json!({"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}});
    let keras2 = class == "TFOpLambda";
    let nodes = if keras2 {
        arguments
    } else {
        json!([{"args": arguments, "kwargs": {}}])
    };
    let text = nodes.to_string().replace("\"PICTURE\"", &tensor("picture").to_string());
    let nodes: Value = serde_json::from_str(&text).unwrap();
    json!({
        "class_name": "Functional",
        "config": {
            "name": "test",
            "layers": [
                {"class_name": "InputLayer", "name": "picture", "inbound_nodes": [],
                 "config": {"name": "picture", "batch_shape": [null, 8, 8, 4]}},
                {"class_name": class, "module": module, "name": "called", "config": config, "inbound_nodes": nodes},
            ],
            "input_layers": [["picture", 0, 0]],
            "output_layers": [["called", 0, 0]],
        },
    })
}

/// Keras 2's functional model of a chain of convolutions.
pub fn conv_chain(count: usize) -> Value {
    let mut layers = vec![json!({
        "class_name": "InputLayer", "name": "picture", "inbound_nodes": [],
        "config": {"name": "picture", "batch_input_shape": [null, 8, 8, 4]},
    })];
    let mut before = "picture".to_owned();
    for place in 0..count {
        let name = format!("conv{place}");
        layers.push(json!({
            "class_name": "Conv2D", "name": name, "config": {"name": name, "filters": 4, "kernel_size": 1},
            "inbound_nodes": [[[before, 0, 0, {}]]],
        }));
        before = name;
    }
    json!({"class_name": "Model", "config": {
        "name": "chain", "layers": layers, "input_layers": [["picture", 0, 0]], "output_layers": [[before, 0, 0]],
    }})
}

/// Names of a model's layers, in its order.
pub fn listed(model: &Value) -> Vec<String> {
    let layers = model["config"]["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| layer["config"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A graph of one layer, after the layers that it needs.
pub fn built(build: impl FnOnce(&mut Builder, NodeId) -> NodeId) -> Graph {
    let (mut net, picture) = Builder::new("Test Network", 4);
    let output = build(&mut net, picture);
    let roles = Roles {
        logits: Some(output),
        ..Roles::default()
    };
    let graph = net.finish(roles, 1);
    graph.validate().unwrap();
    graph
}

/// Class, name and settings of every layer after the input.
pub fn written(graph: &Graph, end: End) -> Result<Vec<(String, String, Value)>, String> {
    let model = keras::keras_model(graph, [8, 8], end).map_err(|error| error.to_string())?;
    assert_eq!(model.config["config"]["name"], "test_network");
    let layers = model.config["config"]["layers"].as_array().unwrap()[1..].iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Ok(layers
        .map(|layer| {
            let mut settings = layer["config"].clone();
            for common in ["name", "trainable", "dtype"] {
                settings.as_object_mut().unwrap().remove(common);
            }
            (text(&layer["class_name"]), text(&layer["name"]), settings)
        })
        .collect())
}

pub fn owned(layers: &[(&str, &str, Value)]) -> Vec<(String, String, Value)> {
    let owned = |(class, name, settings): &(&str, &str, Value)| ((*class).into(), (*name).into(), settings.clone());
    layers.iter().map(owned).collect()
}
