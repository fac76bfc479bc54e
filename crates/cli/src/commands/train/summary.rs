//! What will happen, before it starts.

use std::fmt::Write;

use trainer::data::Split;
use trainer::{Inputs, Phase, Progress, Run, RunFile, Trains};

use crate::io::message::printable;
use crate::io::wrap::wrapped;

/// One line about the run, and one for each phase. `weights` is what it starts from, where it is a new run.
pub fn of_run(run: &Run, weights: Option<&str>) -> String {
    let file = run.file();
    let mut text = String::new();
    if let Some(weights) = weights {
        let line = format!("weights   {}{}", printable(weights), last_layer(file));
        let _ = writeln!(text, "{}", wrapped(&line, 10));
    }
    let _ = writeln!(text, "recipe    {}: {}", file.recipe.name, input(file));
    for (number, phase) in (1..).zip(&file.recipe.phases) {
        let line = format!("  {number} {:<6}{}", phase.name, about(phase));
        let _ = writeln!(text, "{}", wrapped(&line, 10));
    }
    let environment = &file.environment;
    let _ = writeln!(
        text,
        "machine   {}, {}, seed {}",
        environment.devices.join(", "),
        environment.counted_threads(),
        file.seed
    );
    let _ = write!(text, "folder    {}", printable(&run.folder().display().to_string()));
    text
}

/// Where a resumed run continues.
pub fn position(run: &Run) -> String {
    let (file, progress): (&RunFile, &Progress) = (run.file(), run.progress());
    match file.recipe.phases.get(progress.phase) {
        None => "continues with the evaluation: all phases are trained".to_owned(),
        Some(phase) => {
            let best = progress.best.as_ref().map_or_else(String::new, |best| {
                format!("; best validation accuracy so far {:.1} %", 100.0 * best.accuracy)
            });
            let pictures = run.dataset().count(Split::Train);
            let place = match progress.seen {
                0 => String::new(),
                seen if seen >= pictures => ", before its validation".to_owned(),
                seen => format!(", after {seen} of {pictures} pictures"),
            };
            let text = format!(
                "continues in phase {} of {}, {}: epoch {} of {}{place}, after step {}{best}",
                progress.phase + 1,
                file.recipe.phases.len(),
                phase.name,
                progress.epoch + 1,
                phase.epochs,
                progress.step
            );
            wrapped(&text, 10)
        }
    }
}

/// Where the backbone ends, if the recipe leaves layers out.
fn last_layer(file: &RunFile) -> String {
    let network = &file.model.network;
    let graph = network.graph();
    let is_shorter = file.recipe.leave_out > 0 && network.xception().is_some();
    let map = graph.roles.feature_map.filter(|_| is_shorter);
    map.map_or_else(String::new, |map| format!(", up to {}", graph.layer_of(map).name))
}

fn input(file: &RunFile) -> String {
    let eval = &file.augmentation.eval;
    format!("pictures of {0} x {0}, resized as {1}", eval.size, eval.preset)
}

/// What a phase trains, in a line.
fn about(phase: &Phase) -> String {
    let what = match &phase.trains {
        Trains::Head if phase.inputs == Inputs::Features => {
            "a new classifier, on features that the backbone computes once".to_owned()
        }
        Trains::Head => "a new classifier; the backbone is frozen".to_owned(),
        Trains::All => "all layers".to_owned(),
        Trains::From(block) => format!("the layers from {block} on"),
        Trains::LastPercent(percent) => format!("the last {percent} % of the blocks"),
    };
    let epochs = match (phase.epochs, phase.patience) {
        (1, _) => "1 epoch".to_owned(),
        (epochs, Some(_)) => format!("up to {epochs} epochs"),
        (epochs, None) => format!("{epochs} epochs"),
    };
    format!("{what}: {epochs}")
}
