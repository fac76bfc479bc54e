//! The events of a training, for people.

use std::sync::Arc;

use trainer::metrics::EpochRow;
use trainer::{Event, Observer};

use crate::commands::train::display::Display;

/// Of epochs shorter than this many seconds, only every tenth is printed: those of kept features take milliseconds.
const SHORT_EPOCH: f64 = 0.5;

/// Shows each event on the display.
pub fn observer(display: &Arc<Display>) -> Observer {
    let display = Arc::clone(display);
    Arc::new(move |event| match event {
        Event::Check { done, total } => display.check(done, total),
        Event::Features { done, total } => display.advance(done, total, "through the frozen backbone".to_owned()),
        Event::Phase { name, epochs, done } => {
            let from = match done {
                0 => String::new(),
                done => format!(", {done} done"),
            };
            display.print_last(&format!("phase {name}: {epochs} epochs{from}"));
        }
        Event::Step { done, total, loss, .. } => display.advance(done, total, format!("loss {loss:.4}")),
        Event::Epoch(row) if row.seconds < SHORT_EPOCH && row.epoch % 10 != 0 => {}
        Event::Epoch(row) => display.print(&epoch(&row)),
        Event::Warning(text) => display.print(&format!("warning: {text}")),
        _ => {}
    })
}

fn epoch(row: &EpochRow) -> String {
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let ema = row.ema_val_accuracy.map_or_else(String::new, |accuracy| {
        format!("  averaged weights {:.1} %", 100.0 * accuracy)
    });
    format!(
        "{:>4}  {}  loss {:.4}  accuracy {:>7}  validation loss {}  accuracy {:>7}{ema}  {:.1} s, {:.1} % of it \
         waiting for pictures",
        row.epoch,
        row.phase,
        row.train_loss,
        percent(row.train_accuracy),
        row.val_loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.4}")),
        percent(row.val_accuracy),
        row.seconds,
        100.0 * row.wait_share,
    )
}
