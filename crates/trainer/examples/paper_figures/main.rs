//! Repeats Figure 9 or 10 of the Xception paper in small: the same training with and without a part of the network.
//!
//! ```text
//! cargo run --release --package trainer --example paper_figures -- 10 PICTURES OUTPUT
//! ```
//!
//! PICTURES has one folder per class. OUTPUT gets `figure10.png` (curves), `figure10.csv` (every epoch) and
//! `figure10.md` (the table that is printed). `scripts/paper/figure10.sh` fetches pictures and runs this.

mod figure;
mod results;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use trainer::data::DataOptions;
use trainer::pipeline::Cache;
use trainer::{Outcome, Recipe, Run, RunOptions, RunSettings};
use xception_model::{InputSpec, ModelSpec, Outputs, Preset, Scaling};

use figure::{Figure, Variant};
use results::{Results, VariantRuns};

/// Each run has its own split, first weights and order of the pictures. The runs of one seed share them.
const SEEDS: [u64; 3] = [1, 2, 3];

/// Height and width of the network's input: the smallest that Xception takes.
const SIZE: usize = 71;

/// The same for every network, as in the paper ("the optimization configuration", section 4.6): its rate was chosen for
/// none of them.
const RECIPE: &str = include_str!("recipe.toml");

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [number, pictures, output] = arguments.as_slice() else {
        return Err("usage: paper_figures 9|10 PICTURES OUTPUT".into());
    };
    let figure = Figure::of(number).ok_or("the figures that can be repeated are 9 and 10")?;
    let output = Path::new(output);
    fs::create_dir_all(output)?;
    let start = Instant::now();

    let mut kinds = Vec::new();
    for variant in figure.variants() {
        let mut runs = Vec::new();
        for seed in SEEDS {
            let outcome = train(&variant, seed, Path::new(pictures))?;
            println!("{:<22} seed {seed}  {}", variant.name, results::sentence(&outcome));
            runs.push(outcome);
        }
        kinds.push(VariantRuns::new(&variant, runs));
    }
    let results = Results { figure, kinds };
    let file = |ending: &str| -> PathBuf { output.join(format!("figure{number}.{ending}")) };
    results.plot(&file("png"))?;
    results.write_epochs(&file("csv"))?;
    let table = results.table();
    fs::write(file("md"), &table)?;
    println!("\n{table}\n{:.0} s in all", start.elapsed().as_secs_f64());
    Ok(())
}

/// Trains one network from random numbers; its folder is not kept.
fn train(variant: &Variant, seed: u64, pictures: &Path) -> Result<Outcome, Failure> {
    let device = Device::flex();
    let spec = ModelSpec {
        source: variant.name.to_owned(),
        outputs: Outputs::Softmax,
        input: InputSpec {
            height: SIZE,
            width: SIZE,
            preset: Some(Preset::PilBilinear),
            scaling: Scaling::Tf,
            ..InputSpec::default()
        },
        labels: Vec::new(),
        network: variant.network.clone().into(),
    };
    let folder = tempfile::tempdir()?;
    let options = RunOptions {
        seed,
        data_options: DataOptions {
            val_fraction: 0.3,
            test_fraction: 0.3,
            seed,
            ..DataOptions::default()
        },
        ..RunOptions::new(pictures, folder.path().join("run"), Recipe::parse(RECIPE)?)
    };
    let mut settings = RunSettings::new(device.clone());
    settings.cache = Cache::Memory { bytes: 1 << 30 };
    let network = spec.network.init(&device)?;
    Ok(Run::new(&options, settings, (network, spec))?.train(None)?)
}
