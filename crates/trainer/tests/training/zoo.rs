//! The built-in recipe `fine-tune` fine-tunes every published network of the zoo, with fewer channels. The column
//! `fine-tuned` of README's table of architectures is what this test did.

#[path = "../../../xception-model/tests/common/readme.rs"]
mod readme;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::store::ModuleSnapshot;
use image::{Rgb, RgbImage};
use readme::ReadmeTable;
use serde_json::json;
use trainer::augment::AugmentationLevel;
use trainer::data::Split;
use trainer::evaluate::{EvaluateOptions, Labelled, evaluate};
use trainer::{LAST_MODEL, MODEL, Recipe, Run};
use xception_model::{Architecture, Block, Classifier, ModelSpec, Network, Published, Variant};

use crate::common::{noise, options, settings, spec};
use crate::fixture::Fixture;

/// The smallest picture that every network of the zoo takes: Inception V3's.
const SIZE: usize = 75;

/// The classes: the share of red, green and blue in a colour.
const COLOURS: [(&str, [f64; 3]); 2] = [("red", [1.0, 0.2, 0.2]), ("blue", [0.2, 0.2, 1.0])];

/// The network with few channels, for pictures of [`SIZE`], and the epochs and the rate that train it from random
/// weights. PyTorch's norms adapt within dozens of steps.
fn narrow(published: &Published) -> (Architecture, usize, f64) {
    let network = published.network.clone().with_variant(Variant::Torch);
    let (options, epochs, rate) = match network.name() {
        "xception" => {
            let widths = json!({"stem": [4, 8], "entry": [12, 16, 24], "exit": [48, 64, 64]});
            (json!({"widths": widths}), 8, 5e-3)
        }
        "resnet" => (json!({"stem": 16, "widths": [8, 8, 16, 16]}), 14, 1e-2),
        // Without norms, a higher rate would make it jump.
        "vgg" => {
            let layers = json!({"widths": [8, 16, 16, 32, 32], "hidden_layers": [16, 16], "map": [2, 2]});
            (layers, 10, 3e-3)
        }
        "inception-v3" => (json!({"width_divisor": 16}), 14, 1e-2),
        "xception-aligned" => (json!({"width_divisor": 8}), 10, 5e-3),
        other => panic!("no narrow {other}: add its options here"),
    };
    let mut table = serde_json::to_value(&network).unwrap();
    for (key, value) in options.as_object().unwrap() {
        table[key] = value.clone();
    }
    (serde_json::from_value(table).unwrap(), epochs, rate)
}

/// Light and dark stripes of a class's colour.
fn picture(colour: [f64; 3], seed: &mut u64) -> RgbImage {
    let mut draw = |low: f64, high: f64| low + (high - low) * noise(seed);
    let (light, dark) = (draw(150.0, 250.0), draw(60.0, 120.0));
    let (period, slope) = (draw(8.0, 20.0), draw(-1.0, 1.0));
    let side = u32::try_from(SIZE).unwrap();
    RgbImage::from_fn(side, side, |x, y| {
        let is_light = (f64::from(x) + slope * f64::from(y)).rem_euclid(period) < period / 2.0;
        Rgb(colour.map(|share| (share * if is_light { light } else { dark }) as u8))
    })
}

/// One folder per colour, with `count` pictures each.
fn write_colours(folder: &Path, count: usize, mut seed: u64) {
    for (name, colour) in COLOURS {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        for number in 0..count {
            let path = folder.join(format!("{number:03}.png"));
            picture(colour, &mut seed).save(path).unwrap();
        }
    }
}

/// A trained network: the built-in recipe `scratch`, shortened, on other pictures of the same kind. The weights and the
/// norms' statistics of a new network are of no use to a phase that keeps them.
fn base(fixture: &Fixture, published: &Published) -> (Network, ModelSpec) {
    let (network, epochs, rate) = narrow(published);
    let device = settings().device().clone();
    device.seed(1);
    let spec = spec(network.clone(), SIZE);
    let mut recipe = Recipe::load("scratch").unwrap();
    (recipe.dropout, recipe.label_smoothing, recipe.augmentation) = (0.0, 0.0, AugmentationLevel::None);
    let phase = &mut recipe.phases[0];
    (phase.epochs, phase.batch_size) = (epochs, 16);
    (phase.schedule.rate, phase.schedule.warm_up, phase.ema) = (rate, 0.0, None);
    let folder = fixture.path(&format!("{}-base", published.name));
    let mut options = options(&fixture.path("before"), &folder, recipe);
    (options.data_options.val_fraction, options.data_options.test_fraction) = (0.0, 0.0);
    let run = Run::new(&options, settings(), (network.init(&device).unwrap(), spec)).unwrap();
    let outcome = run.train(None).unwrap();
    assert!(outcome.complete);
    xception_model::load(folder.join(MODEL), &device).unwrap()
}

/// The tensors of a network by name.
fn tensors(network: &Network) -> BTreeMap<String, Vec<f32>> {
    let tensors = network.collect(None, None, false).into_iter();
    tensors
        .map(|tensor| {
            let (name, _, _, _, bytes) = tensor.into_parts().unwrap();
            let values = bytes
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
            (name, values.collect())
        })
        .collect()
}

/// Fine-tunes a base network as the recipe says. What a training must do and this one did not do, as sentences.
fn fine_tune(fixture: &Fixture, published: &Published, recipe: Recipe) -> Vec<String> {
    let base = base(fixture, published);
    let folder = fixture.path(published.name);
    let mut settings = settings();
    // `last.bpk` stays.
    settings.keep_checkpoints = true;
    let device = settings.device().clone();
    let run = Run::new(
        &options(&fixture.path("colours"), &folder, recipe),
        settings,
        base.clone(),
    )
    .unwrap();
    let dataset = run.dataset().clone();
    let outcome = run.train(None).unwrap();
    assert!(outcome.complete);
    let mut problems = Vec::new();

    let rows = &outcome.progress.rows;
    let phases: Vec<&str> = rows
        .chunk_by(|a, b| a.phase == b.phase)
        .map(|rows| rows[0].phase.as_str())
        .collect();
    assert_eq!(phases, ["head", "last"]);
    let (first, last) = (rows[0].train_loss, rows[rows.len() - 1].train_loss);
    if last > 0.9 * first {
        problems.push(format!("the training loss went from {first} to {last}"));
    }

    let (last, spec) = xception_model::load(folder.join(LAST_MODEL), &device).unwrap();
    problems.extend(wrong_weights(&base.0, &last));

    let train = dataset.samples.iter().filter(|sample| sample.split == Split::Train);
    let pictures: Vec<Labelled> = train
        .map(|sample| Labelled {
            path: sample.path.clone(),
            classes: sample.labels.clone(),
        })
        .collect();
    let judge = |classifier: &Classifier| {
        let options = EvaluateOptions {
            batch_size: 32,
            threads: 2,
        };
        evaluate(classifier, &pictures, options, |_| {}).unwrap()
    };
    let saved = judge(&Classifier::load(folder.join(MODEL), &device).unwrap());
    let right = saved.evaluation.accuracy();
    if right < 1.0 {
        problems.push(format!("{right} of the training pictures are right"));
    }
    let trained = judge(&Classifier::new(&outcome.model, spec));
    assert_eq!(trained.predictions.probabilities, saved.predictions.probabilities);
    problems
}

/// The tensors that a phase with the last third of the blocks must keep and does not keep, or must change and does not
/// change.
fn wrong_weights(base: &Network, trained: &Network) -> Vec<String> {
    let graph = trained.graph();
    let blocks: Vec<&str> = graph.blocks().iter().map(|block| block.name).collect();
    let (frozen, last) = blocks.split_at(blocks.len() - (blocks.len() * 33).div_ceil(100));
    assert!(
        !frozen.is_empty() && last.len() >= 2 && last.contains(&Block::HEAD),
        "{blocks:?}"
    );
    let (before, after) = (tensors(base), tensors(trained));
    let mut problems = Vec::new();
    for parameter in graph.parameters() {
        let (name, block) = (&parameter.name, graph.layer_of(parameter.node).block.as_str());
        // The classifier is new, and begins with zeros.
        let changed = if block == Block::HEAD {
            after[name].iter().any(|value| value.abs() > 1e-6)
        } else {
            after[name] != before[name]
        };
        let learns = last.contains(&block) && parameter.kind.is_trainable();
        match (learns, changed) {
            (true, false) => problems.push(format!("{name} of the last blocks did not change")),
            (false, true) => problems.push(format!("{name} changed")),
            _ => {}
        }
    }
    problems
}

fn fixture() -> Fixture {
    let fixture = Fixture::new(1);
    write_colours(&fixture.path("before"), 40, 3);
    write_colours(&fixture.path("colours"), 80, 11);
    fixture
}

#[test]
fn every_published_network_is_fine_tuned() {
    let fixture = fixture();
    let mut names = Vec::new();
    for published in Architecture::published() {
        let problems = fine_tune(&fixture, &published, Recipe::load("fine-tune").unwrap());
        assert!(problems.is_empty(), "{}: {problems:#?}", published.name);
        names.push(format!("`{}`", published.name));
    }
    ReadmeTable::read("architectures").check_column("fine-tuned", |name| {
        let is_trained = names.iter().any(|trained| trained == name);
        if is_trained { "yes" } else { "no" }.to_owned()
    });
}

/// The test above finds a training that does not train.
#[test]
fn a_rate_of_nearly_zero_fine_tunes_nothing() {
    let fixture = fixture();
    let mut recipe = Recipe::load("fine-tune").unwrap();
    for phase in &mut recipe.phases {
        phase.schedule.rate = 1e-30;
    }
    let networks = Architecture::published();
    let xception = networks.iter().find(|published| published.name == "xception").unwrap();
    let problems = fine_tune(&fixture, xception, recipe);
    for expected in [
        "the training loss went",
        "did not change",
        "of the training pictures are right",
    ] {
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{expected}: {problems:#?}"
        );
    }
}
