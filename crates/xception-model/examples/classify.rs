//! Classifies pictures: `cargo run --release --features pretrained --example classify -- PICTURE...`
//!
//! The first run downloads Keras's ImageNet weights (88 MB) into the cache folder.

use std::error::Error;

use burn::tensor::Device;
use xception_model::Classifier;

fn main() -> Result<(), Box<dyn Error>> {
    let weights = std::env::var("XCEPTION_WEIGHTS").unwrap_or_else(|_| "xception-imagenet".to_owned());
    let classifier = Classifier::pretrained(&weights, &Device::default())?;
    for picture in std::env::args().skip(1) {
        println!("{picture}");
        for guess in classifier.classify_file(&picture, 3)? {
            println!("  {:5.1} %  {}", 100.0 * guess.probability, guess.label);
        }
    }
    Ok(())
}
