//! Networks learn.

use std::fmt::Write as _;
use std::fs;

use burn::module::Module;
use burn::tensor::{Distribution, Tensor};
use trainer::{Recipe, Run};
use xception_model::zoo::figures::Towers;
use xception_model::{Architecture, ModelSpec, ResNetConfig, Variant, VggConfig};

use crate::common::{self, options, settings, start};
use crate::fixture::{Fixture, assert_card, assert_same, begin, probe, read};

#[test]
fn several_labels_per_picture_are_learnt_judged_and_listed() {
    let fixture = Fixture::new(8);
    // Discs have no label of their own, and every second of them has none at all.
    let mut table = "path,labels\n".to_owned();
    for class in common::CLASSES {
        for number in 0..8 {
            let own = Some(class).filter(|class| *class != "disc");
            let even = Some("even").filter(|_| number % 2 == 0);
            let labels: Vec<&str> = own.into_iter().chain(even).collect();
            writeln!(table, "pictures/{class}/{number:03}.png,{}", labels.join(";")).unwrap();
        }
    }
    let data = fixture.path("pictures.csv");
    fs::write(&data, table).unwrap();
    let folder = fixture.path("run");
    let mut recipe = probe();
    (recipe.phases[0].epochs, recipe.phases[0].schedule.rate) = (30, 0.03);
    let run = begin(&data, &folder, recipe, settings());
    let dataset = run.dataset().clone();
    assert_eq!(dataset.classes, ["even", "horizontal", "square", "vertical"]);
    let outcome = run.train(None).unwrap();
    let (_, evaluation) = outcome.evaluation.as_ref().unwrap();
    assert!(matches!(evaluation.task, trainer::metrics::Task::Multi { .. }));
    let losses: Vec<f64> = outcome.progress.rows.iter().map(|row| row.train_loss).collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
    assert_card(&folder, &outcome);
    assert!(folder.join("report.html").is_file() && !folder.join("confusion_matrix.png").exists());
    let (_, spec) = xception_model::load(folder.join("model.bpk"), settings().device()).unwrap();
    assert!(spec.is_multi_label());

    // The run's own table has the same labels and splits, also for pictures without a label.
    let table = folder.join("data.csv");
    let (again, _) = trainer::data::Dataset::open(&table, &trainer::data::DataOptions::default()).unwrap();
    assert!(again.multi_label);
    let said = |dataset: &trainer::data::Dataset| -> Vec<_> {
        let of = |sample: &trainer::data::Sample| {
            let path = fs::canonicalize(&sample.path).unwrap();
            (path, sample.labels.clone(), sample.split)
        };
        let mut said: Vec<_> = dataset.samples.iter().map(of).collect();
        said.sort();
        said
    };
    assert_eq!(said(&again), said(&dataset));
}

#[test]
fn a_new_classifier_starts_without_an_answer() {
    let fixture = Fixture::new(4);
    let folder = fixture.path("run");
    let mut recipe = probe();
    recipe.phases[0].epochs = 1;
    begin(&fixture.data, &folder, recipe, settings()).train(None).unwrap();
    let steps = read(&folder, "steps.csv");
    let first = steps.lines().nth(1).and_then(|line| line.rsplit(',').next()).unwrap();
    // Before the first update the four classes are equally likely.
    assert!((first.parse::<f64>().unwrap() - 4_f64.ln()).abs() < 1e-5, "{first}");
}

#[test]
fn a_toy_network_learns_to_tell_shapes_apart() {
    let fixture = Fixture::with_seed(60, 3);
    let mut recipe = Recipe::load("scratch").unwrap();
    recipe.dropout = 0.0;
    recipe.label_smoothing = 0.0;
    recipe.augmentation = trainer::augment::AugmentationLevel::None;
    let phase = &mut recipe.phases[0];
    phase.epochs = 25;
    phase.batch_size = 16;
    phase.schedule.rate = 5e-3;
    phase.schedule.warm_up = 1.0;
    phase.ema = Some(0.9);
    // This variant's batch-norm averages adapt within hundreds of steps, not thousands.
    let (_, mut spec) = start(settings().device());
    spec.network = common::toy().with_variant(Variant::Torch).into();
    let start = (spec.network.init(settings().device()).unwrap(), spec);
    let run = Run::new(&options(&fixture.data, &fixture.path("run"), recipe), settings(), start).unwrap();
    let outcome = run.train(None).unwrap();
    let (_, evaluation) = outcome.evaluation.unwrap();
    assert!(evaluation.accuracy() >= 0.99, "{}", evaluation.accuracy());
}

#[test]
fn one_batch_is_learnt_by_heart() {
    let fixture = Fixture::with_seed(2, 3);
    let mut recipe = Recipe::load("scratch").unwrap();
    recipe.dropout = 0.0;
    recipe.label_smoothing = 0.0;
    recipe.augmentation = trainer::augment::AugmentationLevel::None;
    let phase = &mut recipe.phases[0];
    phase.epochs = 150;
    phase.batch_size = 8;
    phase.schedule.rate = 1e-2;
    phase.schedule.warm_up = 0.0;
    let mut options = options(&fixture.data, &fixture.path("run"), recipe);
    (options.data_options.val_fraction, options.data_options.test_fraction) = (0.0, 0.0);
    let run = Run::new(&options, settings(), start(settings().device())).unwrap();
    let outcome = run.train(None).unwrap();
    let last = outcome.progress.rows.last().unwrap();
    assert!(last.train_loss < 1e-3, "{last:?}");
}

/// The new network is the old one up to the layer before its last: its embedding is that layer's mean.
#[test]
fn a_left_out_layer_is_not_computed() {
    let fixture = Fixture::new(4);
    let mut recipe = probe();
    recipe.leave_out = 1;
    let device = settings().device().clone();
    let (network, spec) = start(&device);
    // Random weights are drawn at their first use, in its order.
    let network = network.materialize();
    let folder = fixture.path("run");
    let first = options(&fixture.data, &folder, recipe.clone());
    let run = Run::new(&first, settings(), (network.clone(), spec)).unwrap();
    let trained = run.train(None).unwrap().model;
    let pictures = Tensor::<4>::random([2, 3, 71, 71], Distribution::Default, &device);
    // The toy's seventh block is its last.
    let layer = network.stage(pictures.clone(), "block7_sepconv1_act").unwrap();
    let mean: Tensor<2> = layer.mean_dims(&[2, 3]).flatten(1, 3);
    let embedding = trained.embed(pictures.clone()).unwrap();
    assert_eq!(embedding.dims(), [2, 40]);
    let difference: f32 = (embedding - mean).abs().max().into_scalar();
    assert!(difference < 1e-6, "{difference}");

    let (saved, spec) = xception_model::load(folder.join("model.bpk"), &device).unwrap();
    let difference = saved.forward(pictures.clone()).unwrap() - trained.forward(pictures).unwrap();
    let difference: f32 = difference.abs().max().into_scalar();
    assert!(difference < 1e-6, "{difference}");
    // It is an Xception, and its card and run have its options instead of its layers.
    assert_eq!(spec.network.name(), "xception");
    for file in ["run.toml", trainer::CARD] {
        assert!(read(&folder, file).contains("exit = [32, 40]"), "{file}");
    }

    // A run that starts from it leaves no other layer out; nor does one that starts from the list of its layers.
    for (name, network) in [
        ("again", spec.network.clone()),
        ("listed", Architecture::Graph(spec.network.graph())),
    ] {
        let start = network.init(&device).unwrap().with_backbone(saved.clone());
        let spec = ModelSpec {
            network,
            ..spec.clone()
        };
        let options = options(&fixture.data, &fixture.path(name), recipe.clone());
        let run = Run::new(&options, settings(), (start, spec)).unwrap();
        let model = run.train(None).unwrap().model;
        assert_eq!(model.architecture().name(), "xception");
        assert_eq!(model.embedding_len(), Ok(40));
    }
    assert_same(&fixture.path("listed"), &fixture.path("again"));
}

/// Only an Xception leaves layers out; with another network the recipe computes what it computes without the option.
#[test]
fn other_networks_leave_no_layer_out() {
    let fixture = Fixture::new(4);
    let device = settings().device().clone();
    let resnet = ResNetConfig::new()
        .with_blocks([1, 1, 1, 1])
        .with_stem(4)
        .with_widths([2, 4, 3, 5]);
    let vgg = VggConfig::new()
        .with_widths([2, 3, 4, 5, 6])
        .with_hidden_layers(vec![9, 8])
        .with_map([2, 2]);
    let towers = Towers {
        inputs: 3,
        towers: 2,
        middle: 3,
        outputs: 4,
    };
    let unnamed = Architecture::Graph(towers.simplified().into());
    for (name, network) in [("resnet", resnet.into()), ("vgg", vgg.into()), ("unnamed", unnamed)] {
        let (_, mut spec) = start(&device);
        spec.network = network;
        let network = spec.network.init(&device).unwrap().materialize();
        let runs = [0, 1].map(|leave_out| {
            let folder = fixture.path(&format!("{name}-{leave_out}"));
            let recipe = Recipe { leave_out, ..probe() };
            let options = options(&fixture.data, &folder, recipe);
            let run = Run::new(&options, settings(), (network.clone(), spec.clone())).unwrap();
            assert!(run.train(None).unwrap().complete);
            folder
        });
        assert_same(&runs[1], &runs[0]);
    }
}
