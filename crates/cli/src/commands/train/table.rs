//! The table of epochs, at most 78 columns wide.

use trainer::metrics::EpochRow;
use trainer::report::duration;

/// The names of the columns. The averaged weights have columns only in phases that average.
pub fn header(averages: bool) -> String {
    let columns = if averages { "  avg loss  avg %" } else { "" };
    format!(
        "{:>7}  {:>7}  {:>8}  {:>5}{columns}  {:>12}",
        "epoch", "loss", "val loss", "val %", "time"
    )
}

/// An epoch's row. `number` is its number in the phase.
pub fn row(number: usize, of: usize, row: &EpochRow, best: bool, averages: bool) -> String {
    let loss = |loss: Option<f64>| loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.4}"));
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share));
    let columns = if averages {
        format!("  {:>8}  {:>5}", loss(row.ema_val_loss), percent(row.ema_val_accuracy))
    } else {
        String::new()
    };
    let seconds = if row.seconds < 10.0 {
        format!("{:.1} s", row.seconds)
    } else {
        duration(row.seconds)
    };
    let mark = if best { "  best" } else { "" };
    format!(
        "{:>7}  {:>7}  {:>8}  {:>5}{columns}  {seconds:>12}{mark}",
        format!("{number}/{of}"),
        format!("{:.4}", row.train_loss),
        loss(row.val_loss),
        percent(row.val_accuracy)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_at_most_78_columns_wide_and_stand_under_the_header() {
        let wide = EpochRow {
            train_loss: 12.3456,
            val_loss: Some(123.4567),
            val_accuracy: Some(1.0),
            ema_val_loss: Some(123.4567),
            ema_val_accuracy: Some(1.0),
            seconds: 100.0 * 3600.0 + 59.0 * 60.0,
            ..EpochRow::default()
        };
        for averages in [false, true] {
            let line = row(100, 100, &wide, true, averages);
            assert!(line.len() <= 78, "{}: {line}", line.len());
            assert_eq!(header(averages).len() + "  best".len(), line.len());
        }
        let bare = row(1, 5, &EpochRow::default(), false, true);
        assert_eq!(bare, "    1/5   0.0000         -      -         -      -         0.0 s");
    }
}
