//! Keras files as graphs.
#![cfg(feature = "keras")]

use std::path::PathBuf;

use keras_store::KerasStore;
use xception_model::keras;

#[test]
fn explore() {
    for file in std::env::var("FILES").unwrap().split_whitespace() {
        let mut store = KerasStore::from_file(PathBuf::from(file));
        let start = std::time::Instant::now();
        match keras::read(&mut store) {
            Err(error) => println!("{file}: {error}"),
            Ok(None) => println!("{file}: none"),
            Ok(Some(network)) => {
                let graph = &network.graph;
                println!(
                    "{file}: {} {:?} nodes {} layers {} params {} {:?}",
                    graph.title,
                    network.size,
                    graph.nodes.len(),
                    graph.layers.len(),
                    graph.num_params(),
                    start.elapsed()
                );
                let order: Vec<&str> = graph
                    .keras_order()
                    .iter()
                    .map(|id| graph.layer(*id).name.as_str())
                    .collect();
                let listed: Vec<String> = store.model_config().unwrap().unwrap()["config"]["layers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|layer| layer["config"]["name"].as_str().map(str::to_owned))
                    .filter(|name| order.contains(&name.as_str()))
                    .collect();
                println!(
                    "   same order {} of {} listed {}",
                    order == listed,
                    order.len(),
                    listed.len()
                );
                if std::env::var("SHOW").is_ok() {
                    for (id, node) in graph.iter() {
                        println!(
                            "   {} {} {:?} {:?} {}",
                            id.0,
                            graph.layer_of(id).name,
                            node.op,
                            node.inputs,
                            node.path
                        );
                    }
                }
                println!(
                    "   {:?}",
                    network.size.map(|size| graph.shapes(size).map(|s| s.last().copied()))
                );
            }
        }
    }
}

#[test]
fn explore_json() {
    for file in std::env::var("JSONS").unwrap().split_whitespace() {
        let config: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let start = std::time::Instant::now();
        match keras::read_config(&config, Some(3)) {
            Err(error) => println!("{file}: {error}"),
            Ok(None) => println!("{file}: none"),
            Ok(Some(network)) => {
                let graph = &network.graph;
                println!(
                    "{file}: {} {:?} nodes {} layers {} params {} {:?}",
                    graph.title,
                    network.size,
                    graph.nodes.len(),
                    graph.layers.len(),
                    graph.num_params(),
                    start.elapsed()
                );
                let order: Vec<&str> = graph
                    .keras_order()
                    .iter()
                    .map(|id| graph.layer(*id).name.as_str())
                    .collect();
                let listed: Vec<String> = config["config"]["layers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|layer| layer["config"]["name"].as_str().map(str::to_owned))
                    .filter(|name| order.contains(&name.as_str()))
                    .collect();
                println!(
                    "   same order {} of {} listed {}",
                    order == listed,
                    order.len(),
                    listed.len()
                );
                match keras::keras_model(graph, network.size.unwrap_or([64, 64]), keras::End::Linear) {
                    Err(error) => println!("   {error}"),
                    Ok(model) => std::fs::write(file.replace("/in/", "/out/"), model.config.to_string()).unwrap(),
                }
            }
        }
    }
}
